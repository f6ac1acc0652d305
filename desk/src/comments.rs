//! Comments, and addenda: facts that came to light after a report was submitted. Each a record of its own.

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents;
use crate::incidents::body::Fields;
use crate::ledger::{Comment, Draft, Recording, Staged};
use crate::rules::{self, Act};
use chassis::clock::format_rfc3339;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use sync_protocol::record::{self, COMMENT};
use uuid::Uuid;

/// A comment to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewComment {
    /// Made by the client, so that a repeat is recognised.
    pub id: Option<Uuid>,
    /// 1 to 10,000 characters.
    pub body: String,
    /// `comment` or `addendum`.
    pub kind: String,
}

/// Records a comment on the incident `incident_id`. The same comment under the same id is recorded once.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Gone`], [`Refusal::Invalid`]; [`Refusal::Conflict`] where the id is taken.
pub async fn add(desk: &Desk, actor: &Actor, incident_id: Uuid, new: NewComment) -> Result<Comment, Error> {
    rules::check(actor, Act::Comment)?;
    desk.own_store().await?;
    let at_ms = desk.now_ms();
    let id = new.id.unwrap_or_else(|| desk.ids().new_v7(at_ms));
    let set = Fields::from([
        ("incident_id".to_owned(), Value::from(incident_id.hyphenated().to_string())),
        ("body".to_owned(), Value::from(new.body.as_str())),
        ("kind".to_owned(), Value::from(new.kind.as_str())),
    ]);
    let errors = record::check(COMMENT, &set);
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors).into());
    }
    let first_ms = Arc::new(OnceLock::new());
    let (who, first) = (actor.clone(), Arc::clone(&first_ms));
    let plan = move |staged: &Staged| plan(staged, &who, id, set, &first);
    let recording = Recording::of(vec![incident_id, id], &actor.username, desk.when_at(at_ms), Box::new(plan));
    desk.ledger().record(recording).await?;
    let created_ms = first_ms.get().copied().unwrap_or(at_ms);
    Ok(Comment {
        id,
        kind: new.kind,
        body: new.body,
        author: actor.username.clone(),
        created_at: format_rfc3339(created_ms),
    })
}

fn plan(
    staged: &Staged,
    actor: &Actor,
    id: Uuid,
    set: Fields,
    first_ms: &OnceLock<i64>,
) -> Result<Vec<Draft>, Refusal> {
    let incident = incidents::standing(staged, actor)?;
    let Some(there) = staged.records.get(1).and_then(Option::as_ref) else {
        return Ok(vec![Draft {
            kind: COMMENT,
            id,
            scope: incident.scope.clone(),
            new: true,
            set,
            number_year: None,
        }]);
    };
    let born = there.state.born.as_ref().filter(|born| born.by == actor.username);
    let same = there.kind == COMMENT
        && there.scope == incident.scope
        && set.iter().all(|(field, value)| there.state.get(field) == Some(value));
    match born {
        Some(born) if same => {
            let _ = first_ms.set(born.at);
            Ok(Vec::new())
        }
        _ => Err(Refusal::Conflict("this id was used with other content: choose another one".to_owned())),
    }
}
