//! Accounts: making and changing them (at headquarters), and finding them.
//!
//! A store's accounts travel to its nodes, so its people log in with the hub gone; those of headquarters stay there.

pub mod lockout;
pub mod password;
pub mod pins;
pub mod sessions;

pub use password::Hashing;
pub use sessions::{Login, Session, authenticate, login, logout};

use crate::actor::{Account, Actor, Role};
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::body::Fields;
use crate::ledger::{Draft, Recording, Staged};
use crate::rules::{self, Act};
use crate::stores::named_id;
use serde_json::Value;
use sync_protocol::record::{self, ACCOUNT, FieldError};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// An account to be.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// 1 to 64 of `a-z0-9._-`; capital letters are taken as small ones.
    pub username: String,
    /// What people see; the username where there is none.
    pub display_name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Its store: for employees and managers, and for nobody else.
    pub store_code: Option<String>,
    /// 8 to 200 characters.
    pub password: String,
}

/// What an account becomes; `None` leaves as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountEdit {
    /// What people see.
    pub display_name: Option<String>,
    /// What it may do. A store's account stays one, and so does headquarters'.
    pub role: Option<Role>,
    /// Its store, which is where it is already: an account does not move.
    pub store_code: Option<Option<String>>,
    /// Whether it may log in.
    pub active: Option<bool>,
    /// A new password; ends its sessions.
    pub password: Option<String>,
}

/// The accounts that `actor` may see.
///
/// # Errors
/// [`Refusal::Forbidden`]; what the ledger says.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Vec<Account>, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::SeeAccounts)?;
    desk.ledger().accounts(rules::sight(actor)).await
}

/// Makes an account.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::Invalid`]; [`Refusal::Conflict`] where the username is taken.
pub async fn add(desk: &Desk, actor: &Actor, new: NewAccount) -> Result<Account, Error> {
    at_headquarters(desk, actor).await?;
    let username = new.username.to_lowercase();
    let display_name = new.display_name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| username.clone());
    let mut set = Fields::from([
        ("username".to_owned(), Value::from(username.as_str())),
        ("display_name".to_owned(), Value::from(display_name)),
        ("role".to_owned(), Value::from(new.role.as_str())),
    ]);
    if let Some(code) = &new.store_code {
        set.insert("store_code".to_owned(), Value::from(code.as_str()));
    }
    let mut errors = record::check(ACCOUNT, &set);
    errors.extend(password::check(&new.password));
    errors.extend(store_fits(desk, new.role, new.store_code.as_deref()).await?);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    let id = named_id(ACCOUNT, &username);
    let taken = || Refusal::Conflict(format!("there is an account {username} already"));
    if desk.ledger().account(&username).await?.is_some() {
        return Err(taken().into());
    }
    let hash = desk.hashing().hash(new.password).await?;
    set.insert("password_hash".to_owned(), Value::from(hash));
    let scope = new.store_code.map_or(Scope::Hub, Scope::Store);
    let refusal = taken();
    let plan = move |staged: &Staged| {
        if staged.records.first().is_some_and(Option::is_some) {
            return Err(refusal);
        }
        Ok(vec![Draft { kind: ACCOUNT, id, scope, new: true, set, number_year: None }])
    };
    let recording = Recording::of(vec![id], &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    desk.ledger()
        .account(&username)
        .await?
        .ok_or_else(|| Error::Fault(format!("account {username} was recorded and is not there")))
}

/// Changes the account `id`.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::Invalid`]; [`Refusal::Conflict`] where administrators would
/// shut themselves out.
pub async fn edit(desk: &Desk, actor: &Actor, id: Uuid, edit: AccountEdit) -> Result<Account, Error> {
    at_headquarters(desk, actor).await?;
    let account = desk.ledger().account_by_id(id).await?.ok_or(Refusal::NotFound)?;
    if id == actor.id && (edit.active == Some(false) || edit.role.is_some_and(|role| role < actor.role)) {
        return Err(
            Refusal::Conflict("ask another administrator: you cannot take your own rights away".to_owned()).into()
        );
    }
    let mut errors = wrong_moves(&account, &edit);
    let mut set = Fields::new();
    if let Some(name) = edit.display_name.filter(|name| *name != account.display_name) {
        set.insert("display_name".to_owned(), Value::from(name));
    }
    if let Some(role) = edit.role.filter(|role| *role != account.role) {
        set.insert("role".to_owned(), Value::from(role.as_str()));
    }
    if let Some(active) = edit.active.filter(|active| *active != account.active) {
        set.insert("active".to_owned(), Value::from(active));
    }
    errors.extend(record::check(ACCOUNT, &set));
    errors.extend(edit.password.as_deref().and_then(password::check));
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    if let Some(password) = edit.password {
        set.insert("password_hash".to_owned(), Value::from(desk.hashing().hash(password).await?));
    }
    let plan = move |staged: &Staged| {
        let there = staged
            .records
            .first()
            .and_then(Option::as_ref)
            .filter(|there| there.kind == ACCOUNT)
            .ok_or(Refusal::NotFound)?;
        if set.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Draft {
            kind: ACCOUNT,
            id,
            scope: there.scope.clone(),
            new: false,
            set,
            number_year: None,
        }])
    };
    let recording = Recording::of(vec![id], &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    Ok(desk.ledger().account_by_id(id).await?.ok_or(Refusal::NotFound)?)
}

/// Accounts and stores are made where every site hears of them.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(crate) async fn at_headquarters(desk: &Desk, actor: &Actor) -> Result<(), Error> {
    rules::check(actor, Act::Administer)?;
    match desk.own_store().await? {
        None => Ok(()),
        Some(_) => {
            Err(Refusal::Forbidden("stores and accounts are made at headquarters, on the hub".to_owned()).into())
        }
    }
}

/// Whether a role and a store go together.
async fn store_fits(desk: &Desk, role: Role, store_code: Option<&str>) -> Result<Option<FieldError>, Error> {
    let wrong = |message: &str| Some(FieldError { field: "store_code".to_owned(), message: message.to_owned() });
    Ok(match (is_of_store(role), store_code) {
        (true, None) => wrong("is required for employees and managers"),
        (false, Some(_)) => wrong("must be left out for hq and admin: they work on every store"),
        (false, None) => None,
        (true, Some(code)) if desk.ledger().store(code).await?.is_none() => {
            wrong("there is no such store: make it first")
        }
        (true, Some(_)) => None,
    })
}

const fn is_of_store(role: Role) -> bool {
    matches!(role, Role::Employee | Role::Manager)
}

/// Where an account lives is settled when it is made: its history stays with its store.
fn wrong_moves(account: &Account, edit: &AccountEdit) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong =
        |field: &str, message: &str| errors.push(FieldError { field: field.to_owned(), message: message.to_owned() });
    if edit.role.is_some_and(|role| is_of_store(role) != is_of_store(account.role)) {
        wrong(
            "role",
            "an account does not move between a store and headquarters: make a new one and deactivate this one",
        );
    }
    if edit.store_code.as_ref().is_some_and(|code| *code != account.store_code) {
        wrong("store_code", "an account does not move to another store: make a new one and deactivate this one");
    }
    errors
}
