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

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{DeadMessage, NewMessage, Noted, RuleRow};
use crate::rules::{self, Act};
use chassis::mail::{MailConfig, Mailer};
use chassis::webhooks::{Secret, WebhookConfig, Webhooks};
use clocks::HOUR_MS;
use letter::Wording;
use rule::{Channel, Rule, What};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Most rules of a site.
pub const MOST_RULES: usize = 50;
/// Most tests of all rules of a site within an hour: they go to whomever a rule names, and nobody is to be flooded with them.
pub const MOST_TESTS_PER_HOUR: usize = 20;
/// Messages set aside that are shown.
const MOST_DEAD: u32 = 100;

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
    /// Messages that could not be sent, newest first, at most 100.
    pub dead: Vec<DeadMessage>,
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

/// Every rule, and what could not be sent.
///
/// # Errors
/// [`Refusal::Forbidden`]; when the ledger cannot be read.
pub async fn list(desk: &Desk, actor: &Actor) -> Result<Listing, Error> {
    let at_hub = may(desk, actor).await?;
    let rules = desk.ledger().notification_rules(true).await?;
    let dead = desk.ledger().dead_messages(MOST_DEAD).await?;
    Ok(Listing {
        rules,
        dead,
        mail: desk.notifier().is_some_and(|notifier| notifier.mailer.is_some()),
        at_hub,
    })
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
    keep(desk, actor, id, rule, secret).await
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
    let secret = (rule.channel == Channel::Webhook && row.secret.is_none()).then(|| Secret::make(desk.ids()));
    keep(desk, actor, id, rule, secret).await
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

async fn keep(desk: &Desk, actor: &Actor, id: Uuid, rule: Rule, secret: Option<Secret>) -> Result<Kept, Error> {
    let (by, now_ms) = (actor.username.clone(), desk.now_ms());
    let name = rule.name.clone();
    let spelt = secret.as_ref().map(Secret::spell);
    desk.ledger().save_notification_rule(id, rule, spelt, by, now_ms).await?;
    tracing::info!(rule = %id, name, by = actor.username, "a notification rule was made or changed");
    Ok(Kept { row: find(desk, id).await?, secret })
}

/// Removes a rule and what it had to tell.
///
/// # Errors
/// [`Refusal::Forbidden`], [`Refusal::NotFound`].
pub async fn remove(desk: &Desk, actor: &Actor, id: Uuid) -> Result<(), Error> {
    may(desk, actor).await?;
    if !desk.ledger().remove_notification_rule(id).await? {
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
    keep(desk, actor, id, row.rule, Some(Secret::make(desk.ids()))).await
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
