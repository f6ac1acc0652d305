//! Changing an incident: RFC 7396 over the public form, and a step of the workflow where the status is in it.

use super::body::{self, Body};
use super::draft::Facts;
use super::{IfMatch, Shown, edit, is_own, standing, status, written};
use crate::actor::Actor;
use crate::desk::Desk;
use crate::erasures;
use crate::error::{Error, Refusal};
use crate::ledger::{Draft, Recording, Staged, StagedRecord};
use crate::reports;
use crate::rules::{self, Act};
use crate::settings::{self, CustomField, own};
use crate::steps::{self, Wanted};
use chassis::ids::Ids;
use serde_json::Value;
use uuid::Uuid;

/// Applies the merge patch `request`. What changes nothing records nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Gone`], [`Refusal::Forbidden`], [`Refusal::Stale`], [`Refusal::Invalid`].
pub async fn patch(desk: &Desk, actor: &Actor, id: Uuid, if_match: IfMatch, mut request: Body) -> Result<Shown, Error> {
    desk.own_store().await?;
    let at_ms = desk.now_ms();
    let wanted = steps::take(&mut request)?;
    let closes = wanted.as_ref().is_some_and(|wanted| wanted.to == "closed");
    let facts = Facts::gather(desk, &references(&request)).await?;
    let mut custom = Vec::new();
    if settings::concern(&request, closes)
        && let Some(there) = desk.ledger().incident(id).await?
    {
        custom = settings::custom_fields(desk, &there.store_code).await?;
    }
    let mut records = vec![id];
    records.extend(facts.original());
    let request = Request {
        actor: actor.clone(),
        if_match,
        wanted,
        body: request,
        facts,
        custom,
        ids: desk.ids().clone(),
        at_ms,
    };
    let jobs = if closes { vec![reports::job::of(id)] } else { Vec::new() };
    let plan = move |staged: &Staged| request.plan(staged);
    let recording = Recording {
        records,
        by: actor.username.clone(),
        when: desk.when_at(at_ms),
        claim: None,
        jobs,
        plan: Box::new(plan),
    };
    desk.ledger().record(recording).await?;
    written(desk, actor, id).await
}

/// The members that name something else, as they will be written.
fn references(request: &Body) -> body::Fields {
    let text = |field: &str| {
        request
            .get(field)
            .and_then(Value::as_str)
            .map(|text| (field.to_owned(), Value::from(text.to_lowercase())))
    };
    ["assigned_to", "duplicate_of"].into_iter().filter_map(text).collect()
}

#[derive(Clone)]
struct Request {
    actor: Actor,
    if_match: IfMatch,
    wanted: Option<Wanted>,
    body: Body,
    facts: Facts,
    /// The fields of the company's own.
    custom: Vec<CustomField>,
    ids: Ids,
    at_ms: i64,
}

impl Request {
    fn plan(self, staged: &Staged) -> Result<Vec<Draft>, Refusal> {
        let incident = standing(staged, &self.actor)?;
        self.if_match.check(incident.etag.as_deref())?;
        let mut drafts = Vec::new();
        // Its own status goes in with the fields: the reporter may complete a draft and submit it in one request.
        let step = self.wanted.filter(|wanted| wanted.to != status(incident));
        if !self.body.is_empty() {
            let about = (&self.facts, self.custom.as_slice());
            let set = fields(staged, incident, &self.actor, self.body, about, || self.ids.new_v7(self.at_ms))?;
            if !set.is_empty() {
                drafts.push(edit(incident, set));
            }
        }
        if let Some(wanted) = step {
            rules::check(
                &self.actor,
                Act::Step { own: is_own(incident, &self.actor), from: status(incident), to: &wanted.to },
            )?;
            if wanted.to == "closed" {
                let missing = own::missing(&self.custom, &incident.state, drafts.first().map(|draft| &draft.set));
                if !missing.is_empty() {
                    return Err(Refusal::Invalid(missing));
                }
            }
            drafts.push(steps::draft(incident, status(incident), wanted, self.ids.new_v7(self.at_ms))?);
        }
        Ok(drafts)
    }
}

/// The field writes that the patch amounts to.
fn fields(
    staged: &Staged,
    incident: &StagedRecord,
    actor: &Actor,
    patch: Body,
    (facts, custom): (&Facts, &[CustomField]),
    fresh: impl FnMut() -> Uuid,
) -> Result<body::Fields, Refusal> {
    rules::check(actor, Act::Edit { own: is_own(incident, actor), status: status(incident) })?;
    let before = &incident.state;
    let flat = body::flatten(patch, before, fresh).map_err(Refusal::Invalid)?.changes(before);
    if flat.set.contains_key("assigned_to") {
        rules::check(actor, Act::Assign)?;
    }
    erasures::leaves_erased_people(before, &flat.set)?;
    let mut errors = flat.check_whole(before);
    errors.extend(own::check(custom, before, &flat.set));
    // What was right when it was written stays right: an assignee who has left since is no reason to refuse a title.
    errors.extend(
        facts
            .check(staged, incident.id, &incident.scope)
            .into_iter()
            .filter(|error| flat.set.contains_key(&error.field)),
    );
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let mut set = flat.set;
    body::force_severity(before, &mut set);
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Role;
    use serde_json::json;
    use sync_protocol::hlc::Hlc;
    use sync_protocol::merge::{Born, RecordState, Stamp};
    use sync_protocol::record::{INCIDENT, STEP};
    use sync_protocol::scope::Scope;

    fn actor(role: Role, username: &str) -> Actor {
        Actor {
            id: Uuid::nil(),
            username: username.to_owned(),
            display_name: String::new(),
            role,
            store_code: Some("042".to_owned()),
        }
    }

    fn staged(fields: Value) -> Staged {
        let set = fields.as_object().unwrap().clone().into_iter().collect();
        let mut state = body::after(&RecordState::default(), &set);
        let stamp = Stamp {
            hlc: Hlc::default(),
            id: sync_protocol::change::ChangeId { origin: Uuid::nil(), seq: 1 },
        };
        state.born = Some(Born { stamp, by: "kim".to_owned(), at: 0 });
        let record = StagedRecord {
            id: Uuid::from_u128(1),
            kind: INCIDENT.to_owned(),
            scope: Scope::Store("042".to_owned()),
            state,
            etag: Some("\"e\"".to_owned()),
            photo_count: 0,
        };
        Staged { records: vec![Some(record)], ..Staged::default() }
    }

    fn plan(actor: &Actor, staged: &Staged, request: Value) -> Result<Vec<Draft>, Refusal> {
        let mut body = request.as_object().unwrap().clone();
        let wanted = steps::take(&mut body)?;
        let request = Request {
            actor: actor.clone(),
            if_match: IfMatch::Absent,
            wanted,
            body,
            facts: Facts::default(),
            custom: Vec::new(),
            ids: Ids::seeded(1),
            at_ms: 0,
        };
        request.plan(staged)
    }

    #[test]
    fn a_patch_that_changes_nothing_records_nothing() {
        let staged = staged(json!({"description": "x", "status": "submitted"}));
        let kim = actor(Role::Employee, "kim");
        assert_eq!(plan(&kim, &staged, json!({})), Ok(vec![]));
        assert_eq!(plan(&kim, &staged, json!({"description": "x", "status": "submitted", "severity": 3})), Ok(vec![]));
    }

    #[test]
    fn a_reporter_completes_and_submits_a_draft_in_one_request() {
        let staged = staged(json!({"description": "x", "status": "draft"}));
        let drafts =
            plan(&actor(Role::Employee, "kim"), &staged, json!({"title": "t", "status": "submitted"})).unwrap();
        assert_eq!(drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>(), [INCIDENT, STEP]);
        assert_eq!(drafts[1].set["to"], "submitted");
        assert!(matches!(
            plan(&actor(Role::Employee, "lee"), &staged, json!({"title": "t"})),
            Err(Refusal::Forbidden(_))
        ));
    }

    #[test]
    fn an_employee_neither_closes_nor_voids_nor_reassigns() {
        let staged = staged(json!({"description": "x", "status": "submitted"}));
        let kim = actor(Role::Employee, "kim");
        for request in
            [json!({"status": "closed"}), json!({"status": "void", "reason": "r"}), json!({"assigned_to": "lee"})]
        {
            assert!(matches!(plan(&kim, &staged, request.clone()), Err(Refusal::Forbidden(_))), "{request}");
        }
        assert!(plan(&kim, &staged, json!({"title": "t"})).is_ok());
    }

    #[test]
    fn an_impossible_step_and_a_void_without_reason_are_refused() {
        let mia = actor(Role::Manager, "mia");
        let closed = staged(json!({"description": "x", "status": "closed"}));
        let refused = |request| matches!(plan(&mia, &closed, request), Err(Refusal::Invalid(_)));
        assert!(refused(json!({"status": "draft"})));
        assert!(refused(json!({"status": "void"})));
        assert!(refused(json!({"reason": "because"})));
        assert!(refused(json!({"status": "nonsense"})));
        assert!(plan(&mia, &closed, json!({"status": "void", "reason": "twice"})).is_ok());
    }

    #[test]
    fn another_stores_incident_is_not_there() {
        let staged = staged(json!({"description": "x"}));
        let other = Actor { store_code: Some("007".to_owned()), ..actor(Role::Manager, "mia") };
        assert_eq!(plan(&other, &staged, json!({"title": "t"})), Err(Refusal::NotFound));
    }
}
