//! Filters of the list that somebody has given a name: their own, at one site.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{Added, Pair, View};
use sync_protocol::record::FieldError;
use uuid::Uuid;

/// Most views of a person.
pub const MOST: u32 = 30;
/// Longest name, in characters.
pub const MAX_NAME: usize = 60;
/// Most filters of a view.
pub const MOST_FILTERS: usize = 60;
/// Longest value of one, in characters.
pub const MAX_VALUE: usize = 200;
/// What a filter may name that names it in `/api/v1/incidents`, too.
const PLAIN: [&str; 11] = [
    "q",
    "status",
    "category",
    "subcategory",
    "severity_min",
    "severity_max",
    "store",
    "tag",
    "person",
    "reported_by",
    "deleted",
];
/// The filters of pages that are days of the store's calendar.
pub const DAYS: [&str; 2] = ["from", "to"];

/// Whether a filter of that name is one of `/api/v1/incidents`, too: the fields of the company's own are among them.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    PLAIN.contains(&name) || name.starts_with("custom.")
}

/// Whether a filter may have that name.
#[must_use]
pub fn is_filter(name: &str) -> bool {
    is_plain(name) || DAYS.contains(&name)
}

/// The views of `actor`, by name.
///
/// # Errors
/// What the ledger says.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Vec<View>, Error> {
    desk.own_store().await?;
    desk.ledger().views(&actor.username).await
}

/// Keeps `filters`, as in the address of the list's page, as `name`.
///
/// # Errors
/// [`Refusal::Invalid`]; [`Refusal::Conflict`] where there is one of that name, or there are too many.
pub async fn add(desk: &Desk, actor: &Actor, name: &str, filters: Vec<Pair>) -> Result<View, Error> {
    desk.own_store().await?;
    let name = name.trim();
    let mut errors = Vec::new();
    let mut wrong = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
    if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        wrong("name", format!("must be 1 to {MAX_NAME} characters"));
    }
    if let Some(unknown) = filters.iter().find(|one| !is_filter(&one.name)) {
        let unknown: String = unknown.name.chars().take(40).collect();
        wrong("filters", format!("{unknown} is no filter of the list"));
    }
    if !(1..=MOST_FILTERS).contains(&filters.len()) || filters.iter().any(|one| one.value.chars().count() > MAX_VALUE) {
        wrong("filters", format!("must be 1 to {MOST_FILTERS}, each of at most {MAX_VALUE} characters"));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    let view = View { id: desk.ids().new_v7(desk.now_ms()), name: name.to_owned(), filters };
    match desk.ledger().add_view(actor.username.clone(), view.clone(), desk.now_ms(), MOST).await? {
        Added::Kept => Ok(view),
        Added::Taken => Err(Refusal::Conflict(format!("you have a view {name} already: delete it first")).into()),
        Added::Full => Err(Refusal::Conflict(format!("you have {MOST} views: delete one first")).into()),
    }
}

/// Removes one of the views of `actor`.
///
/// # Errors
/// [`Refusal::NotFound`].
pub async fn remove(desk: &Desk, actor: &Actor, id: Uuid) -> Result<(), Error> {
    desk.own_store().await?;
    if desk.ledger().remove_view(actor.username.clone(), id).await? {
        Ok(())
    } else {
        Err(Refusal::NotFound.into())
    }
}
