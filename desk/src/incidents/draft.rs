//! A new incident: from the request to the one change that records it.

use super::{Shown, body, written};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::{Body, Fields};
use crate::ledger::{Claim, Draft, Identity, Recording, Staged, Store, Whole};
use crate::rules::{self, Act};
use crate::settings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use sync_protocol::merge::RecordState;
use sync_protocol::record::{FieldError, INCIDENT};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Statuses a report may begin with.
const FIRST_STATUSES: [&str; 2] = ["draft", "submitted"];
/// Longest `Idempotency-Key`, in characters.
pub const MAX_KEY: usize = 200;
/// One text for every id or key that is taken: it does not tell by what.
const TAKEN: &str = "this id or Idempotency-Key was used with other content: choose another one";

/// Records the incident that `request` describes, or finds what the same request recorded before.
///
/// # Errors
/// [`Refusal::Invalid`]; [`Refusal::Conflict`] where the id or key was used with other content; what the ledger says.
pub async fn create(desk: &Desk, actor: &Actor, mut request: Body, key: Option<String>) -> Result<Shown, Error> {
    rules::check(actor, Act::Record)?;
    let now_ms = desk.now_ms();
    let own_id = take_id(&mut request)?;
    let id = own_id.unwrap_or_else(|| desk.ids().new_v7(now_ms));
    let claim = Claim { is_own_id: own_id.is_some(), ..claim(actor, id, key, &request)? };
    let store = store_of(desk, actor, &mut request).await?;
    let scope = Scope::Store(store.code.clone());
    let status = take_status(&mut request)?;
    let ids = desk.ids().clone();
    let custom = if settings::concern(&request, false) {
        settings::custom_fields(desk, &store.code).await?
    } else {
        Vec::new()
    };
    let none = RecordState::default();
    let flat = body::flatten(request, &none, || ids.new_v7(now_ms)).map_err(Refusal::Invalid)?.changes(&none);
    let mut errors = flat.check_whole(&none);
    errors.extend(settings::own::check(&custom, &none, &flat.set));
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    let mut set = flat.set;
    set.insert("status".to_owned(), Value::String(status));
    let says_when = set.contains_key("occurred_at");
    set.entry("occurred_at".to_owned())
        .or_insert_with(|| Value::String(chassis::clock::format_rfc3339(now_ms)));
    body::force_severity(&none, &mut set);
    let facts = Facts::gather(desk, &set).await?;

    let mut records = vec![id];
    records.extend(facts.original);
    let found = Arc::new(OnceLock::new());
    let draft = Draft {
        kind: INCIDENT,
        id,
        scope,
        new: true,
        set,
        number_year: Some(year(&store, now_ms)),
    };
    let who = actor.clone();
    let earlier = Arc::clone(&found);
    let plan = move |staged: &Staged| plan(staged, &who, draft, says_when, &facts, &earlier);
    let recording = Recording {
        records,
        by: actor.username.clone(),
        when: desk.when_at(now_ms),
        claim: Some(claim),
        jobs: Vec::new(),
        plan: Box::new(plan),
    };
    if let Some(mut made) = desk.ledger().record(recording).await? {
        // The program itself has no account to be named by.
        made.reported_by_name = (!actor.id.is_nil()).then(|| actor.display_name.clone());
        return Ok(Shown::of(&Whole { row: made, comments: Vec::new(), photos: Vec::new() }, desk));
    }
    match written(desk, actor, found.get().copied().unwrap_or(id)).await {
        // The same request was made in a store that is not theirs to see.
        Err(Error::Refused(Refusal::NotFound)) => Err(Refusal::Conflict(TAKEN.to_owned()).into()),
        shown => shown,
    }
}

/// What has to be looked up beside the incident itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What is wrong with `assigned_to`, by store; `None` where it is not given.
    assignee: Option<Option<Actor>>,
    /// The incident that this one repeats.
    original: Option<Uuid>,
}

impl Facts {
    /// Looks up what the writes refer to.
    pub(super) async fn gather(desk: &Desk, set: &Fields) -> Result<Self, Error> {
        let text = |field: &str| set.get(field).and_then(Value::as_str);
        let assignee = match text("assigned_to") {
            None => None,
            Some(username) => {
                Some(desk.ledger().account(username).await?.filter(|account| account.active).map(Actor::from))
            }
        };
        Ok(Self { assignee, original: text("duplicate_of").and_then(body::parse_id) })
    }

    /// Which incident to stage behind the one that is written.
    pub(super) const fn original(&self) -> Option<Uuid> {
        self.original
    }

    /// What is wrong with the references of an incident `id` of `scope`.
    pub(super) fn check(&self, staged: &Staged, id: Uuid, scope: &Scope) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: &str| {
            errors.push(FieldError { field: field.to_owned(), message: message.to_owned() })
        };
        if let Some(assignee) = &self.assignee {
            let store_code = scope.store_code().unwrap_or_default();
            if !assignee.as_ref().is_some_and(|assignee| rules::sees(assignee, store_code)) {
                wrong("assigned_to", "must be the username of an active account that may see this store");
            }
        }
        if let Some(original) = self.original {
            let there = staged
                .records
                .get(1)
                .and_then(Option::as_ref)
                .filter(|record| record.kind == INCIDENT && record.scope == *scope);
            if original == id || there.is_none() {
                wrong("duplicate_of", "must be the id of another incident of the same store");
            }
        }
        errors
    }
}

fn plan(
    staged: &Staged,
    actor: &Actor,
    draft: Draft,
    says_when: bool,
    facts: &Facts,
    found: &OnceLock<Uuid>,
) -> Result<Vec<Draft>, Refusal> {
    let taken = || Refusal::Conflict(TAKEN.to_owned());
    if let Some(earlier) = &staged.earlier {
        if !earlier.same {
            return Err(taken());
        }
        let _ = found.set(earlier.incident_id);
        return Ok(Vec::new());
    }
    if let Some(Some(there)) = staged.records.first() {
        // Recorded at another site, and asked for once more at this one.
        let is_same = there.scope == draft.scope
            && staged.born.as_ref().is_some_and(|born| content(born, says_when) == content(&draft.set, says_when));
        if !is_same {
            return Err(taken());
        }
        let _ = found.set(draft.id);
        return Ok(Vec::new());
    }
    if draft.set.contains_key("assigned_to") {
        rules::check(actor, Act::Assign)?;
    }
    let errors = facts.check(staged, draft.id, &draft.scope);
    if errors.is_empty() { Ok(vec![draft]) } else { Err(Refusal::Invalid(errors)) }
}

/// A member of `people` or `items`, without its id.
type Element<'a> = (&'a str, BTreeMap<&'a str, String>);

/// What a report says, as far as its author said it: without what a site adds, which is another number and other ids each time.
fn content(set: &Fields, says_when: bool) -> (BTreeMap<&str, &Value>, Vec<Element<'_>>) {
    let mut plain = BTreeMap::new();
    let mut elements: BTreeMap<(&str, &str), BTreeMap<&str, String>> = BTreeMap::new();
    for (field, value) in set {
        match field.splitn(3, '/').collect::<Vec<_>>()[..] {
            ["reference"] => {}
            ["occurred_at"] if !says_when => {}
            [list @ ("people" | "items"), id] => {
                elements.entry((list, id)).or_default().insert("", value.to_string());
            }
            [list @ ("people" | "items"), id, member] => {
                elements.entry((list, id)).or_default().insert(member, value.to_string());
            }
            _ => {
                plain.insert(field.as_str(), value);
            }
        }
    }
    let mut elements: Vec<Element<'_>> = elements.into_iter().map(|((list, _), members)| (list, members)).collect();
    elements.sort_unstable();
    (plain, elements)
}

/// What the request says of itself: two requests are the same when everything but their id is.
fn claim(actor: &Actor, id: Uuid, key: Option<String>, request: &Body) -> Result<Claim, Refusal> {
    if let Some(key) = &key {
        let fits = (1..=MAX_KEY).contains(&key.chars().count()) && !key.chars().any(char::is_control);
        if !fits {
            return Err(Refusal::field("Idempotency-Key", format!("must be 1 to {MAX_KEY} printable characters")));
        }
    }
    let key = key.map(|key| format!("{}/{key}", actor.username));
    let mut canonical = String::new();
    for (name, value) in request {
        // Members come sorted: `serde_json::Map` is a `BTreeMap` here, and a test holds it to that.
        canonical.push_str(&format!("{}:{value}\n", Value::from(name.as_str())));
    }
    Ok(Claim {
        id,
        is_own_id: false,
        key,
        digest: *blake3::hash(canonical.as_bytes()).as_bytes(),
    })
}

fn take_id(request: &mut Body) -> Result<Option<Uuid>, Refusal> {
    match request.remove("id") {
        None | Some(Value::Null) => Ok(None),
        // Version 7 sorts by time and is what clients should make; any other is as unique.
        Some(id) => id
            .as_str()
            .and_then(body::parse_id)
            .map(Some)
            .ok_or_else(|| Refusal::field("id", "must be a UUID, best of version 7")),
    }
}

fn take_status(request: &mut Body) -> Result<String, Refusal> {
    match request.remove("status") {
        None | Some(Value::Null) => Ok("submitted".to_owned()),
        Some(Value::String(status)) if FIRST_STATUSES.contains(&status.as_str()) => Ok(status),
        Some(_) => Err(Refusal::field("status", "must be draft or submitted: a report begins with one of them")),
    }
}

/// The store that the incident belongs to.
async fn store_of(desk: &Desk, actor: &Actor, request: &mut Body) -> Result<Store, Error> {
    let given = match request.remove("store_code") {
        None | Some(Value::Null) => None,
        Some(Value::String(code)) => Some(code),
        Some(_) => return Err(Refusal::field("store_code", "must be text").into()),
    };
    let own = match desk.identity().await? {
        Identity::Unenrolled => return Err(Refusal::NotEnrolled.into()),
        Identity::Node(enrolment) => Some(enrolment.store_code),
        Identity::Hub { .. } => rules::sight(actor),
    };
    let code = match (given, own) {
        (None, None) => return Err(Refusal::field("store_code", "is required at headquarters").into()),
        (Some(given), Some(own)) if given != own => {
            return Err(Refusal::field("store_code", format!("must be {own}, the store you are in")).into());
        }
        (Some(code), _) | (None, Some(code)) => code,
    };
    match desk.ledger().store(&code).await? {
        Some(store) => Ok(store),
        None if rules::sight(actor).is_none() => Err(Refusal::field("store_code", "there is no such store").into()),
        // A node that has not heard of its own store yet still records.
        None => Ok(Store { id: Uuid::nil(), name: code.clone(), code, timezone: "UTC".to_owned() }),
    }
}

/// The year in the store, for the running number.
fn year(store: &Store, now_ms: i64) -> i16 {
    let now = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let zone = jiff::tz::TimeZone::get(&store.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    now.to_zoned(zone).year()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Role;
    use crate::ledger::Earlier;
    use serde_json::json;

    fn actor() -> Actor {
        Actor {
            id: Uuid::nil(),
            username: "kim".to_owned(),
            display_name: "Kim".to_owned(),
            role: Role::Manager,
            store_code: Some("042".to_owned()),
        }
    }

    fn request(value: Value) -> Body {
        value.as_object().unwrap().clone()
    }

    fn draft() -> Draft {
        Draft {
            kind: INCIDENT,
            id: Uuid::from_u128(1),
            scope: Scope::Store("042".to_owned()),
            new: true,
            set: Fields::new(),
            number_year: Some(2026),
        }
    }

    #[test]
    fn the_same_content_has_the_same_digest_in_whatever_order_it_was_written() {
        let digest =
            |text: &str| claim(&actor(), Uuid::nil(), None, &serde_json::from_str(text).unwrap()).unwrap().digest;
        assert_eq!(digest(r#"{"a":1,"b":{"d":1,"c":2}}"#), digest(r#"{"b":{"c":2,"d":1},"a":1}"#));
        assert_ne!(digest(r#"{"a":1}"#), digest(r#"{"a":"1"}"#));
        assert_ne!(digest(r#"{"a":"1\n\"b\":2"}"#), digest(r#"{"a":"1","b":2}"#));
    }

    #[test]
    fn keys_are_the_users_own_and_have_a_limit() {
        let claim = |key: &str| claim(&actor(), Uuid::nil(), Some(key.to_owned()), &Body::new());
        assert_eq!(claim("k 1").unwrap().key.as_deref(), Some("kim/k 1"));
        for bad in ["", "a\nb", &"x".repeat(201)] {
            assert!(claim(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repeat_finds_the_first_one_and_other_content_is_refused() {
        let found = OnceLock::new();
        let mut staged = Staged {
            records: vec![None],
            earlier: Some(Earlier { incident_id: Uuid::from_u128(9), same: true }),
            born: None,
        };
        assert_eq!(plan(&staged, &actor(), draft(), true, &Facts::default(), &found), Ok(Vec::new()));
        assert_eq!(found.get(), Some(&Uuid::from_u128(9)));
        staged.earlier = Some(Earlier { incident_id: Uuid::from_u128(9), same: false });
        assert!(matches!(
            plan(&staged, &actor(), draft(), true, &Facts::default(), &OnceLock::new()),
            Err(Refusal::Conflict(_))
        ));
        staged.earlier = None;
        assert_eq!(plan(&staged, &actor(), draft(), true, &Facts::default(), &OnceLock::new()), Ok(vec![draft()]));
    }

    #[test]
    fn the_same_report_at_another_site_is_known_again_whatever_that_site_added() {
        let fields = |value: Value| -> Fields { value.as_object().unwrap().clone().into_iter().collect() };
        let there = fields(json!({
            "description": "x", "severity": 4, "occurred_at": "2026-11-20T00:00:00Z", "reference": "042-2026-000001-K7",
            "people/1": {"name": "Ann"}, "people/2": {"name": "Bob"}, "status": "submitted",
        }));
        let here = |description: &str, first: &str| {
            fields(json!({
                "description": description, "severity": 4, "occurred_at": "2026-11-21T00:00:00Z",
                "people/8": {"name": "Bob"}, "people/9": {"name": first}, "status": "submitted",
            }))
        };
        assert_eq!(content(&there, false), content(&here("x", "Ann"), false));
        assert_ne!(content(&there, true), content(&here("x", "Ann"), true), "it said when, and not the same");
        assert_ne!(content(&there, false), content(&here("y", "Ann"), false));
        assert_ne!(content(&there, false), content(&here("x", "Eve"), false));
    }

    #[test]
    fn an_id_or_a_first_status_that_cannot_be_is_refused() {
        assert!(take_id(&mut request(json!({"id": "7"}))).is_err());
        assert!(take_id(&mut request(json!({"id": "00000000000070008000000000000000"}))).is_err());
        assert!(take_id(&mut request(json!({"id": "00000000-0000-4000-8000-00000000000A"}))).is_ok());
        assert_eq!(take_id(&mut request(json!({}))), Ok(None));
        assert!(take_status(&mut request(json!({"status": "closed"}))).is_err());
        assert_eq!(take_status(&mut request(json!({"status": "draft"}))).unwrap(), "draft");
        assert_eq!(take_status(&mut request(json!({}))).unwrap(), "submitted");
    }

    #[test]
    fn the_year_is_the_stores_year() {
        let store = |timezone: &str| Store {
            id: Uuid::nil(),
            code: "1".to_owned(),
            name: "x".to_owned(),
            timezone: timezone.to_owned(),
        };
        let new_year = 1_767_225_600_000;
        assert_eq!(year(&store("UTC"), new_year), 2026);
        assert_eq!(year(&store("America/Chicago"), new_year), 2025);
        assert_eq!(year(&store("Nowhere/Land"), new_year), 2026);
        // Summer time at New Year, the zone that is first, and the one that is last.
        let hour = 3_600_000;
        assert_eq!(year(&store("Australia/Sydney"), new_year - 11 * hour), 2026);
        assert_eq!(year(&store("Australia/Sydney"), new_year - 11 * hour - 1), 2025);
        assert_eq!(year(&store("Pacific/Kiritimati"), new_year - 14 * hour), 2026);
        assert_eq!(year(&store("Pacific/Niue"), new_year + 11 * hour - 1), 2025);
        // A clock that is years off makes a reference of its year, and none twice: the running number is that year's.
        assert_eq!((year(&store("UTC"), 1_925_000_000_000), year(&store("UTC"), 0)), (2031, 1970));
        assert_eq!(year(&store("America/Chicago"), 0), 1969);
    }
}
