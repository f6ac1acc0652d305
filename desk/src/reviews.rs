//! Fields in which two people did not know of each other's edit: a manager, or headquarters, looks at them and decides.
//!
//! A decision is an edit of the incident: it writes the field anew where another value than the standing one is chosen, and
//! says which lost values it is about. So it goes to every site, and the review is settled there too.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::{self, body};
use crate::ledger::{Draft, Recording, Review, Staged};
use crate::rules::{self, Act};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::change::ChangeId;
use sync_protocol::merge::DELETED;
use sync_protocol::record::{self, INCIDENT, MAX_LOST};
use uuid::Uuid;

/// Which value shall stand.
#[derive(Clone, Debug, PartialEq)]
pub enum Keep {
    /// The one that stands.
    Standing,
    /// One that was lost; the latest of them where it is not said which.
    Lost(Option<ChangeId>),
    /// Another one.
    Value(Value),
}

/// The newest reviews that `actor` may see, at most `limit`: open ones, or `settled` ones.
///
/// # Errors
/// [`Refusal::Forbidden`]; what the ledger says.
pub async fn list(desk: &Desk, actor: &Actor, settled: bool, limit: u32) -> Result<Vec<Review>, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::SeeReviews)?;
    let sight = rules::sight(actor);
    if settled {
        desk.ledger().settled_reviews(sight, limit).await
    } else {
        desk.ledger().reviews(sight, limit).await
    }
}

/// Every review of one incident that `actor` may see, open or settled.
///
/// # Errors
/// [`Refusal::Forbidden`]; [`Refusal::NotFound`] where it is another store's; what the ledger says.
pub async fn of(desk: &Desk, actor: &Actor, incident: Uuid) -> Result<Vec<Review>, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::SeeReviews)?;
    let reviews = desk.ledger().reviews_of(incident).await?;
    if let Some(review) = reviews.first() {
        rules::within(actor, &review.store_code)?;
    }
    Ok(reviews)
}

/// Decides about the field that people call `field` in an incident. Answers the review as it is then.
///
/// # Errors
/// [`Refusal::Forbidden`]; [`Refusal::NotFound`] where there is no such review; [`Refusal::Conflict`] where it is settled or
/// the field was changed meanwhile; [`Refusal::Invalid`] where the value cannot be.
pub async fn settle(desk: &Desk, actor: &Actor, incident: Uuid, field: &str, keep: Keep) -> Result<Review, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::SeeReviews)?;
    let review = find(desk, actor, incident, field).await?;
    if review.decided.is_some() && review.is_settled {
        let said = review.decided.as_ref().map(|said| format!("{} settled it at {}", said.by, said.at));
        return Err(Refusal::Conflict(said.unwrap_or_default()).into());
    }
    let who = actor.clone();
    let plan = move |staged: &Staged| {
        let there = incidents::existing(staged, &who)?;
        if there.state.base_of(&review.field) != review.base {
            return Err(Refusal::Conflict("the field was changed meanwhile: read it again, then decide".to_owned()));
        }
        let set = writes(&review, keep, &there.state)?;
        let (id, scope) = (there.id, there.scope.clone());
        Ok(vec![Draft { kind: INCIDENT, id, scope, new: false, set, number_year: None }])
    };
    let recording = Recording::of(vec![incident], &actor.username, desk.when(), Box::new(plan));
    desk.ledger().record(recording).await?;
    find(desk, actor, incident, field).await
}

/// A field's name as people know it: `people.ID`.
#[must_use]
pub fn public(field: &str) -> String {
    field.replace('/', ".")
}

async fn find(desk: &Desk, actor: &Actor, incident: Uuid, field: &str) -> Result<Review, Error> {
    let reviews = desk.ledger().reviews_of(incident).await?;
    let review = reviews.into_iter().find(|review| public(&review.field) == field).ok_or(Refusal::NotFound)?;
    rules::within(actor, &review.store_code)?;
    Ok(review)
}

/// The field writes that a decision amounts to. Pure.
fn writes(review: &Review, keep: Keep, before: &sync_protocol::merge::RecordState) -> Result<body::Fields, Refusal> {
    let field = review.field.as_str();
    let word = match &keep {
        Keep::Standing => "standing",
        Keep::Lost(_) => "lost",
        Keep::Value(_) => "value",
    };
    let chosen = match keep {
        Keep::Standing => None,
        Keep::Lost(None) => review.lost.last().map(|said| said.value.clone()),
        Keep::Lost(Some(change)) => {
            let said = review.lost.iter().find(|said| said.change == change);
            let said = said.ok_or_else(|| Refusal::field("change", "is none of the lost values' changes"))?;
            Some(said.value.clone())
        }
        Keep::Value(value) => Some(value),
    };
    let lost: Vec<String> = review.lost.iter().rev().take(MAX_LOST).map(|said| said.change.to_string()).collect();
    let mut set = BTreeMap::from([(format!("settled/{field}"), json!({ "keep": word, "lost": lost }))]);
    if field == DELETED {
        let deleted = match chosen {
            // Whatever keeps it alive was not seen by the deletion; from now on it is not deleted.
            None => review.standing.as_ref().is_some_and(|said| said.value == Value::Bool(true)),
            Some(Value::Bool(deleted)) => deleted,
            Some(_) => return Err(Refusal::field("value", "must be true or false")),
        };
        let seen = serde_json::to_value(before.seen()).unwrap_or(Value::Null);
        set.insert(DELETED.to_owned(), if deleted { seen } else { Value::Null });
        return Ok(set);
    }
    let Some(chosen) = chosen else { return Ok(set) };
    if field == "status" {
        return Err(Refusal::field(
            "value",
            "a status is moved by a step: keep the standing one, then change the incident's status",
        ));
    }
    let mut value = BTreeMap::from([(field.to_owned(), chosen)]);
    let mut errors = record::unknown_members(INCIDENT, &value);
    errors.extend(record::check(INCIDENT, &value));
    if errors.is_empty() {
        let old = record::check_whole(INCIDENT, before);
        errors = record::check_whole(INCIDENT, &body::after(before, &value));
        errors.retain(|error| !old.contains(error));
    }
    if !errors.is_empty() {
        errors.iter_mut().for_each(|error| error.field = public(&error.field));
        return Err(Refusal::Invalid(errors));
    }
    body::force_severity(before, &mut value);
    set.append(&mut value);
    Ok(set)
}
