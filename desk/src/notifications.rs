//! Whom this site tells of what: rules that people make, and messages that follow from them.
//!
//! Nothing of it is done while somebody waits. [`follow`] looks, a second behind the commits, at what changed, and at what the clock
//! brings; what there is to tell is kept and queued in one transaction. [`job`] sends it, again and again where that fails.
//! A message's id follows from its rule and what it tells ([`rule::What::id`]), so nothing is told twice however often it is looked at,
//! and a receiver that gets one twice (the program was killed between sending and noting it) can tell.
//!
//! Rules are a site's own and do not replicate. Messages name the incident and lead to it; what people wrote is not in them.

pub mod clocks;
pub mod follow;
pub mod job;
pub mod letter;
pub mod rule;
pub mod zone;

use crate::actor::Actor;
use crate::acts;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::acts::name;
use crate::ledger::{DeadCount, DeadMessage, NewAct, NewMessage, Noted, RuleRow};
use crate::rules::{self, Act};
use chassis::mail::{MailConfig, Mailer};
use chassis::outbound::BreakerConfig;
use chassis::webhooks::{Secret, WebhookConfig, Webhooks};
use clocks::HOUR_MS;
use letter::Wording;
use rule::{Channel, Rule, What};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Most rules of a site.
pub const MOST_RULES: usize = 50;
/// Most tests of all rules of a site within an hour: they go to whomever a rule names, and nobody is to be flooded with them.
pub const MOST_TESTS_PER_HOUR: usize = 20;
/// Messages set aside that are shown at once.
pub const MOST_DEAD: u32 = 100;

/// How messages leave the site.
#[derive(Debug)]
pub struct Notifier {
    mailer: Option<Mailer>,
    webhooks: Webhooks,
    wording: Box<dyn Wording>,
    /// When tests were asked for within the last hour. Forgotten at a restart, which takes an administrator of the machine.
    tests: Mutex<VecDeque<i64>>,
}

impl Notifier {
    /// As the configuration says; without `mail` none is sent. Mail is worded as `wording` has it.
    ///
    /// # Errors
    /// In one line, when a file that the configuration names cannot be used.
    pub fn new(mail: Option<MailConfig>, webhooks: WebhookConfig, wording: Box<dyn Wording>) -> Result<Self, String> {
        Ok(Self {
            mailer: mail.map(Mailer::new).transpose()?,
            webhooks: Webhooks::new(webhooks)?,
            wording,
            tests: Mutex::default(),
        })
    }

    /// The same, that leaves receivers which fail alone as `breaker` says.
    #[must_use]
    pub fn with_breaker_config(self, breaker: BreakerConfig) -> Self {
        let mailer = self.mailer.map(|mailer| mailer.with_breaker_config(breaker));
        Self { mailer, webhooks: self.webhooks.with_breaker_config(breaker), ..self }
    }

    /// Counts a test; where there were too many within an hour, the milliseconds until there may be another one.
    fn count_test(&self, now_ms: i64) -> Result<(), i64> {
        let mut tests = self.tests.lock().unwrap_or_else(PoisonError::into_inner);
        // One in the future was counted by a clock that has been set back since.
        tests.retain(|at_ms| (now_ms - HOUR_MS + 1..=now_ms).contains(at_ms));
        if tests.len() >= MOST_TESTS_PER_HOUR {
            return Err(tests.front().map_or(0, |first| first + HOUR_MS - now_ms));
        }
        tests.push_back(now_ms);
        Ok(())
    }
}

/// What people see of it all.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Every rule, oldest first.
    pub rules: Vec<RuleRow>,
    /// Messages that could not be sent, newest first, at most [`MOST_DEAD`].
    pub dead: Vec<DeadMessage>,
    /// Behind which job the next page of them begins; none: this is the last.
    pub dead_before: Option<i64>,
    /// How many there are of them in all.
    pub dead_count: DeadCount,
    /// Whether the site can send mail.
    pub mail: bool,
    /// Whether the site is headquarters.
    pub at_hub: bool,
}

/// A rule that was made or changed.
#[derive(Clone, Debug)]
pub struct Kept {
    /// It.
    pub row: RuleRow,
    /// What its webhooks are signed with, where that is new: told this once.
    pub secret: Option<Secret>,
}

/// Every rule, and what could not be sent: the page of that whose jobs are before `dead_before`, newest first.
///
/// # Errors
/// [`Refusal::Forbidden`]; when the ledger cannot be read.
pub async fn list(desk: &Desk, actor: &Actor, dead_before: Option<i64>) -> Result<Listing, Error> {
    let at_hub = may(desk, actor).await?;
    let rules = desk.ledger().notification_rules(true).await?;
    let mut dead = desk.ledger().dead_messages(dead_before, MOST_DEAD + 1).await?;
    let more = dead.len() > MOST_DEAD as usize;
    dead.truncate(MOST_DEAD as usize);
    Ok(Listing {
        rules,
        dead_before: dead.last().filter(|_| more).map(|last| last.no),
        dead,
        dead_count: desk.ledger().dead_count().await?,
        mail: desk.notifier().is_some_and(|notifier| notifier.mailer.is_some()),
        at_hub,
    })
}

/// Has every message that could not be sent tried again; answers how many they are.
///
/// # Errors
/// [`Refusal::Forbidden`]; when the ledger cannot be written.
pub async fn retry_all(desk: &Desk, actor: &Actor) -> Result<u64, Error> {
    may(desk, actor).await?;
    let act = acts::draft(desk, actor, name::JOBS_RETRIED, String::new(), Value::Null).await?;
    let count = desk.ledger().revive_messages(act, desk.now_ms()).await?;
    tracing::info!(count, by = actor.username, "all messages that were set aside are sent again");
    Ok(count)
}

/// Makes a rule. It tells of what happens from now on.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::Invalid`]; [`Refusal::Conflict`] where there are too many.
pub async fn create(desk: &Desk, actor: &Actor, rule: Rule) -> Result<Kept, Error> {
    let at_hub = may(desk, actor).await?;
    check(desk, &rule, at_hub)?;
    let id = desk.ids().new_v7(desk.now_ms());
    let secret = (rule.channel == Channel::Webhook).then(|| Secret::make(desk.ids()));
    let act = act(desk, actor, name::NOTIFICATION_ADDED, id, &rule, Value::Null).await?;
    keep(desk, actor, (id, rule, secret), act).await
}

/// Changes a rule: `patch` holds the members that become others.
///
/// # Errors
/// As [`create`]; [`Refusal::NotFound`].
pub async fn change(desk: &Desk, actor: &Actor, id: Uuid, patch: Map<String, Value>) -> Result<Kept, Error> {
    let at_hub = may(desk, actor).await?;
    let row = find(desk, id).await?;
    let rule = patched(&row.rule, patch)?;
    check(desk, &rule, at_hub)?;
    let fields = json!(differing(&row.rule, &rule)?);
    let secret = (rule.channel == Channel::Webhook && row.secret.is_none()).then(|| Secret::make(desk.ids()));
    let act = act(desk, actor, name::NOTIFICATION_CHANGED, id, &rule, fields).await?;
    keep(desk, actor, (id, rule, secret), act).await
}

/// The names of the fields in which two rules differ.
fn differing(one: &Rule, other: &Rule) -> Result<Vec<String>, Error> {
    let read =
        |rule| serde_json::to_value(rule).map_err(|error| Error::Fault(format!("a notification's rule: {error}")));
    let (one, other) = (read(one)?, read(other)?);
    let members = other.as_object().into_iter().flatten();
    Ok(members
        .filter(|(name, value)| one.get(name.as_str()) != Some(*value))
        .map(|(name, _)| name.clone())
        .collect())
}

/// What is noted of a rule: what it tells of and to where, but nobody's address and nothing that somebody typed.
async fn act(
    desk: &Desk,
    actor: &Actor,
    act: &'static str,
    id: Uuid,
    rule: &Rule,
    fields: Value,
) -> Result<Option<NewAct>, Error> {
    let mut details = json!({ "about": rule.about, "channel": rule.channel, "enabled": rule.enabled });
    if rule.channel == Channel::Webhook {
        details["receiver"] = json!(rule.url.as_deref().map(chassis::webhooks::receiver));
    } else {
        details["addresses"] = json!(rule.addresses.len());
    }
    if !fields.is_null() {
        details["fields"] = fields;
    }
    acts::draft(desk, actor, act, id.hyphenated().to_string(), details).await
}

/// A JSON merge patch over a rule.
fn patched(rule: &Rule, patch: Map<String, Value>) -> Result<Rule, Error> {
    let fault = |error: serde_json::Error| Error::Fault(format!("a notification's rule: {error}"));
    let Value::Object(mut members) = serde_json::to_value(rule).map_err(fault)? else {
        return Err(Error::Fault("a notification's rule is no object".to_owned()));
    };
    for (name, value) in patch {
        if !members.contains_key(&name) {
            return Err(Refusal::field(name, "there is no such field").into());
        }
        if value.is_null() {
            members.remove(&name);
        } else {
            // Each by itself, so that what cannot be read is named.
            let alone = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            if let Err(error) = serde_json::from_value::<Rule>(alone) {
                return Err(Refusal::field(name, error.to_string()).into());
            }
            members.insert(name, value);
        }
    }
    serde_json::from_value(Value::Object(members)).map_err(fault)
}

async fn keep(
    desk: &Desk,
    actor: &Actor,
    (id, rule, secret): (Uuid, Rule, Option<Secret>),
    act: Option<NewAct>,
) -> Result<Kept, Error> {
    let (by, now_ms) = (actor.username.clone(), desk.now_ms());
    let name = rule.name.clone();
    let spelt = secret.as_ref().map(Secret::spell);
    desk.ledger().save_notification_rule(id, rule, spelt, by, act, now_ms).await?;
    tracing::info!(rule = %id, name, by = actor.username, "a notification rule was made or changed");
    Ok(Kept { row: find(desk, id).await?, secret })
}

/// Removes a rule and what it had to tell.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`].
pub async fn remove(desk: &Desk, actor: &Actor, id: Uuid) -> Result<(), Error> {
    may(desk, actor).await?;
    let row = find(desk, id).await?;
    let act = act(desk, actor, name::NOTIFICATION_REMOVED, id, &row.rule, Value::Null).await?;
    if !desk.ledger().remove_notification_rule(id, act).await? {
        return Err(Refusal::NotFound.into());
    }
    tracing::info!(rule = %id, by = actor.username, "a notification rule was removed");
    Ok(())
}

/// Gives a webhook's rule another secret; the one before is good no more.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::Conflict`] for mail.
pub async fn renew_secret(desk: &Desk, actor: &Actor, id: Uuid) -> Result<Kept, Error> {
    may(desk, actor).await?;
    let row = find(desk, id).await?;
    if row.rule.channel != Channel::Webhook {
        return Err(Refusal::Conflict("mail is not signed: only a webhook has a secret".to_owned()).into());
    }
    let act = act(desk, actor, name::NOTIFICATION_SECRET_RENEWED, id, &row.rule, Value::Null).await?;
    keep(desk, actor, (id, row.rule, Some(Secret::make(desk.ids()))), act).await
}

/// Sends a message that says nothing, to see whether it arrives: by the same way as any other, also where the rule is disabled. Answers
/// the message's id.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`]; [`Refusal::TooOften`] after [`MOST_TESTS_PER_HOUR`].
pub async fn test(desk: &Desk, actor: &Actor, id: Uuid) -> Result<String, Error> {
    may(desk, actor).await?;
    let row = find(desk, id).await?;
    if let Some(Err(wait_ms)) = desk.notifier().map(|notifier| notifier.count_test(desk.now_ms())) {
        let retry_after_s = crate::accounts::lockout::retry_after_s(wait_ms);
        return Err(Refusal::TooOften { retry_after_s }.into());
    }
    if let Some(act) = act(desk, actor, name::NOTIFICATION_TESTED, id, &row.rule, Value::Null).await? {
        desk.ledger().note_act(act).await?;
    }
    let what = What::Test { at_ms: desk.now_ms() };
    let message = what.id(row.id);
    let messages = vec![NewMessage { rule_id: row.id, what, gathered: false }];
    // A person who asks is not held up by what the rule has sent.
    desk.ledger()
        .note_notifications(Noted { messages, ..Noted::default() }, u32::MAX, desk.now_ms())
        .await?;
    Ok(message)
}

async fn find(desk: &Desk, id: Uuid) -> Result<RuleRow, Error> {
    let rows = desk.ledger().notification_rules(true).await?;
    rows.into_iter().find(|row| row.id == id).ok_or_else(|| Refusal::NotFound.into())
}

/// Answers whether the site is headquarters.
async fn may(desk: &Desk, actor: &Actor) -> Result<bool, Error> {
    let at_hub = desk.own_store().await?.is_none();
    rules::check(actor, Act::KeepNotifications { at_hub })?;
    Ok(at_hub)
}

fn check(desk: &Desk, rule: &Rule, at_hub: bool) -> Result<(), Error> {
    let notifier = desk.notifier();
    if rule.channel == Channel::Mail && notifier.is_none_or(|notifier| notifier.mailer.is_none()) {
        return Err(
            Refusal::field("channel", "this site sends no mail: [mail] of its configuration file says how").into()
        );
    }
    let target = |url: &str| match notifier {
        Some(notifier) => notifier.webhooks.target(url).map(drop),
        None => Err("this site sends no webhooks".to_owned()),
    };
    Ok(rule.check(at_hub, target)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_what_it_names_and_takes_nothing_that_is_no_rule() {
        let rule = Rule { name: "grave".to_owned(), severity_min: 4, ..Rule::default() };
        let patch = |value: Value| patched(&rule, value.as_object().unwrap().clone());
        assert_eq!(patch(json!({"severity_min": 5})).unwrap(), Rule { severity_min: 5, ..rule.clone() });
        assert_eq!(patch(json!({"severity_min": null})).unwrap().severity_min, 1);
        for (wrong, field) in [
            (json!({"severity": 5}), "severity"),
            (json!({"severity_min": "five"}), "severity_min"),
            (json!({"about": "weather"}), "about"),
        ] {
            let Err(Error::Refused(Refusal::Invalid(errors))) = patch(wrong) else {
                panic!("taken")
            };
            assert_eq!(errors[0].field, field);
        }
    }
}
