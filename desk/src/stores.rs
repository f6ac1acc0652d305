//! Stores: making and changing them (at headquarters), and finding them.

use crate::accounts::at_headquarters;
use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::Fields;
use crate::ledger::{Draft, Recording, Staged, Store};
use crate::rules;
use serde_json::Value;
use sync_protocol::record::{self, FieldError, STORE};
use sync_protocol::scope::Scope;
use uuid::{Builder, Uuid};

/// A store to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStore {
    /// 1 to 16 ASCII letters, digits, `-` or `_`; zeros in front count.
    pub code: String,
    /// 1 to 200 characters.
    pub name: String,
    /// IANA time zone; UTC where there is none.
    pub timezone: Option<String>,
}

/// What a store becomes; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreEdit {
    /// Its name.
    pub name: Option<String>,
    /// IANA time zone.
    pub timezone: Option<String>,
}

/// The id of the record of `kind` that goes by `name`: a UUIDv7 of time 0 whose random part is a digest. One name is one
/// record, so two administrators at once, at a page and at a prompt, cannot make two.
#[must_use]
pub(crate) fn named_id(kind: &str, name: &str) -> Uuid {
    let digest = blake3::derive_key("aincident 2026-11 id of a named record", format!("{kind}/{name}").as_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    Builder::from_unix_timestamp_millis(0, &random).into_uuid()
}

/// The stores that `actor` may see.
///
/// # Errors
/// What the ledger says.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Vec<Store>, Error> {
    desk.own_store().await?;
    desk.ledger().stores(rules::sight(actor)).await
}

/// Makes a store.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::Invalid`]; [`Refusal::Conflict`] where the code is taken.
pub async fn add(desk: &Desk, actor: &Actor, new: NewStore) -> Result<Store, Error> {
    at_headquarters(desk, actor).await?;
    let timezone = new.timezone.unwrap_or_else(|| "UTC".to_owned());
    let set = Fields::from([
        ("code".to_owned(), Value::from(new.code.as_str())),
        ("name".to_owned(), Value::from(new.name)),
        ("timezone".to_owned(), Value::from(timezone)),
    ]);
    check(&set)?;
    let id = named_id(STORE, &new.code);
    let scope = Scope::Store(new.code.clone());
    let taken = Refusal::Conflict(format!("there is a store {} already", new.code));
    let plan = move |staged: &Staged| {
        if staged.records.first().is_some_and(Option::is_some) {
            return Err(taken);
        }
        Ok(vec![Draft { kind: STORE, id, scope, new: true, set, number_year: None }])
    };
    let recording = Recording::of(vec![id], &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    desk.ledger()
        .store(&new.code)
        .await?
        .ok_or_else(|| Error::Fault(format!("store {} was recorded and is not there", new.code)))
}

/// Changes the store with the code `code`.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Invalid`].
pub async fn edit(desk: &Desk, actor: &Actor, code: &str, edit: StoreEdit) -> Result<Store, Error> {
    at_headquarters(desk, actor).await?;
    let store = desk.ledger().store(code).await?.ok_or(Refusal::NotFound)?;
    let mut set = Fields::new();
    if let Some(name) = edit.name.filter(|name| *name != store.name) {
        set.insert("name".to_owned(), Value::from(name));
    }
    if let Some(timezone) = edit.timezone.filter(|timezone| *timezone != store.timezone) {
        set.insert("timezone".to_owned(), Value::from(timezone));
    }
    check(&set)?;
    let id = store.id;
    let plan = move |staged: &Staged| {
        let there = staged
            .records
            .first()
            .and_then(Option::as_ref)
            .filter(|there| there.kind == STORE)
            .ok_or(Refusal::NotFound)?;
        if set.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Draft { kind: STORE, id, scope: there.scope.clone(), new: false, set, number_year: None }])
    };
    let recording = Recording::of(vec![id], &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    Ok(desk.ledger().store(code).await?.ok_or(Refusal::NotFound)?)
}

fn check(set: &Fields) -> Result<(), Refusal> {
    let mut errors = record::check(STORE, set);
    let timezone = set.get("timezone").and_then(Value::as_str);
    if timezone.is_some_and(|name| jiff::tz::TimeZone::get(name).is_err())
        && !errors.iter().any(|error| error.field == "timezone")
    {
        errors.push(FieldError {
            field: "timezone".to_owned(),
            message: "must be an IANA time zone, such as America/Chicago".to_owned(),
        });
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_record_and_its_id_is_a_uuid_of_version_7() {
        let id = named_id(STORE, "042");
        assert_eq!(id, named_id(STORE, "042"));
        assert_ne!(id, named_id(STORE, "42"));
        assert_ne!(id, named_id("account", "042"));
        assert_eq!(id.get_version_num(), 7);
    }

    #[test]
    fn a_time_zone_has_to_be_one() {
        let zone = |name: &str| check(&Fields::from([("timezone".to_owned(), Value::from(name))]));
        assert!(zone("America/Chicago").is_ok());
        assert!(zone("UTC").is_ok());
        assert!(zone("Middle/Earth").is_err());
        assert!(zone("").is_err());
    }
}
