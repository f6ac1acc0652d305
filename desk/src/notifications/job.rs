//! Sends one message.

use super::rule::{Channel, Rule, What};
use super::{Notifier, letter};
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::RuleRow;
use chassis::jobs::{Handler, Job, JobError, NewJob, Patience};
use chassis::mail::Letter;
use chassis::webhooks::{Secret, Undelivered, receiver};
use futures::FutureExt as _;
use std::sync::Arc;
use std::time::Duration;

/// The job's kind; its key is the message's id.
pub const KIND: &str = "notify";
/// Messages on their way at once, to all receivers.
pub const AT_ONCE: usize = 16;
/// Those to one of them: one that never answers does not hold up the others.
pub const TO_ONE: usize = 4;
/// A line that is cut for weeks loses no message: tries go on for 30 days.
pub const PATIENCE: Patience = Patience { tries: 12, lasts: Duration::from_secs(30 * 24 * 3600) };
/// What people call mail's only receiver, the company's server.
const MAIL: &str = "mail";

/// To whom messages of `rule` go: those to one receiver wait for it together.
#[must_use]
pub fn lane(rule: &Rule) -> String {
    match rule.channel {
        Channel::Mail => MAIL.to_owned(),
        Channel::Webhook => rule.url.as_deref().map(receiver).unwrap_or_default(),
    }
}

/// The job that sends the message `id` of `rule`.
#[must_use]
pub fn of(id: &str, rule: &Rule, now_ms: i64) -> NewJob {
    NewJob {
        priority: 5,
        run_at_ms: now_ms,
        lane: lane(rule),
        ..NewJob::new(KIND, id.to_owned())
    }
}

/// Does [`KIND`].
#[must_use]
pub fn handler(desk: Desk) -> Handler {
    Arc::new(move |job: Job| {
        let desk = desk.clone();
        async move { deliver(&desk, &job.key).await }.boxed()
    })
}

/// What is wrong with the ledger is for the log; the reason is for people.
fn later(error: Error) -> JobError {
    tracing::warn!(%error, "a notification cannot be looked up or noted; it is tried again");
    JobError::Retry("this site could not look it up or note it".to_owned())
}

async fn deliver(desk: &Desk, id: &str) -> Result<(), JobError> {
    let ledger = desk.ledger();
    // Sent already, or its rule is gone.
    let Some(message) = ledger.waiting_message(id).await.map_err(later)? else {
        return Ok(());
    };
    let rules = ledger.notification_rules(false).await.map_err(later)?;
    let Some(row) = rules.into_iter().find(|row| row.id == message.rule_id) else {
        return Ok(());
    };
    if !row.rule.enabled && !matches!(message.what, What::Test { .. }) {
        return Err(JobError::Dead("its rule is disabled: enable it and try again, or give this up".to_owned()));
    }
    let no_notifier = || JobError::Retry("this site sends nothing".to_owned());
    let notifier = desk.notifier().ok_or_else(no_notifier)?;
    let Some(told) = letter::write(desk, &*notifier.wording, &row, &message).await.map_err(later)? else {
        tracing::info!(message = id, "a notification's incident is gone; nothing is told");
        return ledger.note_try(id, None, desk.now_ms()).await.map_err(later);
    };
    let sent = send(desk, notifier, &row, id, message.made_ms, told).await;
    let error = match &sent {
        Ok(()) => None,
        // Why it was not tried says less than why the last try failed.
        Err(Undelivered::Unasked { why, wait }) => {
            return Err(JobError::Unasked { why: why.clone(), wait: *wait });
        }
        Err(Undelivered::Away { why, .. } | Undelivered::ForNow(why) | Undelivered::ForGood(why)) => Some(why.clone()),
    };
    // Where this fails it is sent again, under the same id.
    ledger.note_try(id, error, desk.now_ms()).await.map_err(later)?;
    sent.map_err(|undelivered| match undelivered {
        Undelivered::Unasked { why, wait } => JobError::Unasked { why, wait },
        Undelivered::Away { why, wait } => JobError::Away { why, wait },
        Undelivered::ForNow(why) => JobError::Retry(why),
        Undelivered::ForGood(why) => JobError::Dead(why),
    })
}

async fn send(
    desk: &Desk,
    notifier: &Notifier,
    row: &RuleRow,
    id: &str,
    made_ms: i64,
    told: letter::Told,
) -> Result<(), Undelivered> {
    let cannot = |why: &str| Undelivered::ForGood(why.to_owned());
    match row.rule.channel {
        Channel::Mail => {
            let no_mail =
                || Undelivered::ForNow("this site sends no mail: [mail] of its configuration file says how".to_owned());
            let mailer = notifier.mailer.as_ref().ok_or_else(no_mail)?;
            let to = row.rule.addresses.clone();
            mailer
                .send(Letter { id: id.to_owned(), to, subject: told.subject, text: told.text, at_ms: made_ms })
                .await
        }
        Channel::Webhook => {
            let url = row.rule.url.as_deref().ok_or_else(|| cannot("the rule has no address"))?;
            let secret =
                row.secret.as_deref().and_then(Secret::parse).ok_or_else(|| cannot("the rule has no secret"))?;
            let timestamp_s = desk.now_ms().div_euclid(1000);
            notifier.webhooks.send(url, &secret, id, timestamp_s, told.body.to_string().into_bytes()).await
        }
    }
}
