//! Finds what there is to tell: what changed, and what the clock brings.

use super::clocks::{Clock, FORM_301, FORM_301_PASSED, Facts, HOUR_MS, OSHA, OVERDUE};
use super::rule::{About, Delivery, Rule, What};
use super::zone;
use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{DueClock, Gathered, NewMessage, Noted, RuleRow};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// The pause after a commit, so that a busy site is looked at once a second and not with every commit.
const REST: Duration = Duration::from_secs(1);
/// The pause while there is more to be looked at.
const BREATH: Duration = Duration::from_millis(20);
/// How often the clock is asked what it brings.
const TICK: Duration = Duration::from_secs(30);
/// How often what is too old is forgotten.
const FORGET: Duration = Duration::from_secs(3600);
/// The pause after something failed.
const AGAIN: Duration = Duration::from_secs(5);
/// Changes looked at in one step.
const STEP: u32 = 200;
/// So many changes are passed over without noting it: noting costs a write, looking again costs nothing.
const UNNOTED: i64 = 2000;
/// Messages of one rule in an hour; what is beyond comes in a digest.
pub const MOST_PER_HOUR: u32 = 30;
/// An incident that was recorded earlier is no news, and comes in a digest: a week, in milliseconds.
pub const NEWS_MS: i64 = 7 * 24 * HOUR_MS;
/// What was told is remembered so long, and of an older incident nothing is told: 400 days, in milliseconds.
pub const MEMORY_MS: i64 = 400 * 24 * HOUR_MS;
/// What could not be sent is kept for a person so long: 90 days, in milliseconds.
pub const DEAD_MS: i64 = 90 * 24 * HOUR_MS;
/// Silent stores that are remembered as told, so that they are not noted with every look.
const MOST_REMEMBERED: usize = 20_000;

/// Where the looking stands.
#[derive(Debug)]
pub struct Follower {
    /// The cursor as it is noted, and how far the looking is behind it.
    at: Option<(i64, i64)>,
    /// Nobody is silent who had no chance to call; milliseconds since 1970.
    begun_ms: i64,
    silent: HashSet<String>,
    /// When messages were last forgotten.
    forgot: Option<Instant>,
}

/// Looks as long as it is polled.
pub async fn keep(desk: &Desk) {
    let mut follower = Follower::new(desk.now_ms());
    let mut committed = desk.ledger().committed();
    let mut ticked: Option<Instant> = None;
    loop {
        committed.borrow_and_update();
        let tick = ticked.is_none_or(|at| at.elapsed() >= TICK);
        match follower.look(desk, tick).await {
            Ok(true) => {
                tokio::time::sleep(BREATH).await;
                continue;
            }
            Ok(false) => {
                if tick {
                    ticked = Some(Instant::now());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what there is to tell cannot be looked for; it is tried again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        }
        tokio::select! {
            rung = committed.changed() => tokio::time::sleep(if rung.is_ok() { REST } else { TICK }).await,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

impl Follower {
    /// Begins to look at `now_ms`.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { at: None, begun_ms: now_ms, silent: HashSet::new(), forgot: None }
    }

    /// Looks at what changed, a step at a time; with `tick` at what the clock brings, too, once nothing is left of that. Answers whether
    /// there is more.
    ///
    /// # Errors
    /// When the ledger cannot be used; nothing is lost then.
    pub async fn look(&mut self, desk: &Desk, tick: bool) -> Result<bool, Error> {
        let mut rules = desk.ledger().notification_rules(false).await?;
        rules.retain(|row| row.rule.enabled);
        if let Some(notifier) = desk.notifier() {
            notifier.webhooks.keep_only(rules.iter().filter_map(|row| row.rule.url.as_deref()));
        }
        if rules.is_empty() {
            self.at = None;
            return Ok(false);
        }
        if self.changes(desk, &rules).await? {
            return Ok(true);
        }
        if tick {
            return self.clock(desk, &rules).await;
        }
        Ok(false)
    }

    async fn changes(&mut self, desk: &Desk, rules: &[RuleRow]) -> Result<bool, Error> {
        let Some(noted) = desk.ledger().notification_cursor().await? else {
            return Ok(false);
        };
        // Another one than was noted here: everything is looked at anew.
        let from = self.at.filter(|(known, _)| *known == noted).map_or(noted, |(_, to)| to);
        let changed = desk.ledger().incidents_changed_after(from, STEP).await?;
        let now_ms = desk.now_ms();
        let mut note = Noted::default();
        for facts in &changed.incidents {
            let clocks: BTreeMap<_, _> = facts.clocks().iter().map(|clock| (clock.what, clock.at_ms)).collect();
            if facts.has_clocks || !clocks.is_empty() {
                note.clocks.push((facts.id, clocks.into_iter().collect()));
            }
            note.messages.extend(rules.iter().filter_map(|row| reported(row, facts, now_ms)));
        }
        let is_news = !note.clocks.is_empty() || !note.messages.is_empty();
        let mut at = (noted, changed.to);
        if is_news || changed.to - noted >= UNNOTED {
            note.cursor = Some(at);
            desk.ledger().note_notifications(note, MOST_PER_HOUR, now_ms).await?;
            at = (changed.to, changed.to);
        }
        self.at = Some(at);
        Ok(changed.looked_at >= u64::from(STEP))
    }

    async fn clock(&mut self, desk: &Desk, rules: &[RuleRow]) -> Result<bool, Error> {
        let now_ms = desk.now_ms();
        let due = desk.ledger().due_clocks(now_ms, STEP).await?;
        let more = due.len() >= STEP as usize;
        if !due.is_empty() {
            let messages = due.iter().flat_map(|clock| run_out(rules, clock, now_ms)).collect();
            let note = Noted { messages, looked_at: due, ..Noted::default() };
            desk.ledger().note_notifications(note, MOST_PER_HOUR, now_ms).await?;
        }
        if more {
            return Ok(true);
        }
        self.silence(desk, rules, now_ms).await?;
        for row in rules {
            if let Some(gathered) = desk.ledger().gathered(row.id).await?
                && is_digest_due(&row.rule, &zone::of(desk, &row.rule).await?, gathered, now_ms)
            {
                desk.ledger().begin_digest(row.id, gathered.to, now_ms).await?;
            }
        }
        if self.forgot.is_none_or(|at| at.elapsed() >= FORGET) {
            desk.ledger().forget_messages(now_ms - MEMORY_MS).await?;
            desk.ledger().forget_dead(now_ms - DEAD_MS, now_ms).await?;
            self.forgot = Some(Instant::now());
        }
        Ok(false)
    }

    /// Headquarters: stores none of whose nodes has called for as long as a rule says.
    async fn silence(&mut self, desk: &Desk, rules: &[RuleRow], now_ms: i64) -> Result<(), Error> {
        let rules: Vec<_> = rules.iter().filter(|row| row.rule.about == About::Silent).collect();
        if rules.is_empty() || desk.own_store().await?.is_some() {
            return Ok(());
        }
        let mut called: BTreeMap<String, i64> = BTreeMap::new();
        for node in desk.ledger().nodes(None).await? {
            if node.is_in_service() {
                let last_ms = node.last_contact_ms.unwrap_or(node.enrolled_ms);
                let latest = called.entry(node.store_code).or_insert(last_ms);
                *latest = last_ms.max(*latest);
            }
        }
        let mut messages = Vec::new();
        for (store_code, last_ms) in called {
            for row in &rules {
                let after_ms = i64::from(row.rule.silent_minutes) * 60_000;
                let since_ms = last_ms.max(self.begun_ms) + after_ms;
                let is_silent = since_ms <= now_ms && last_ms + after_ms >= row.since_ms;
                if !is_silent || !row.rule.covers_store(&store_code) {
                    continue;
                }
                let what = What::Silent { store_code: store_code.clone(), at_ms: last_ms };
                if self.silent.len() >= MOST_REMEMBERED {
                    self.silent.clear();
                }
                if self.silent.insert(what.id(row.id)) {
                    messages.push(NewMessage { rule_id: row.id, what, gathered: row.rule.delivery == Delivery::Daily });
                }
            }
        }
        if !messages.is_empty() {
            let note = Noted { messages, ..Noted::default() };
            if let Err(error) = desk.ledger().note_notifications(note, MOST_PER_HOUR, now_ms).await {
                self.silent.clear();
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What a rule tells of an incident that changed.
fn reported(row: &RuleRow, facts: &Facts, now_ms: i64) -> Option<NewMessage> {
    let is_about = row.rule.about == About::Incident && facts.no > row.since_no && row.rule.covers(facts);
    let what = What::Incident { incident_id: facts.id };
    if is_about { message(row, facts, what, now_ms) } else { None }
}

/// What rules tell of a clock that has run out. One that no longer is, because somebody changed what it follows from, says nothing.
fn run_out<'a>(rules: &'a [RuleRow], due: &'a DueClock, now_ms: i64) -> impl Iterator<Item = NewMessage> + 'a {
    let facts = due.facts.as_ref();
    let clocks = facts.map(Facts::clocks).unwrap_or_default();
    let still = clocks.into_iter().find(|clock| clock.what == due.what && clock.at_ms == due.at_ms);
    rules.iter().filter_map(move |row| {
        let (facts, Clock { what, at_ms, end_ms }) = facts.zip(still.clone())?;
        let about = if what == OVERDUE { About::Overdue } else { About::Osha };
        if row.rule.about != about || at_ms < row.since_ms || !row.rule.covers(facts) {
            return None;
        }
        let what = match about {
            About::Overdue => What::Overdue { incident_id: facts.id, at_ms: end_ms },
            _ if matches!(what, FORM_301 | FORM_301_PASSED) => {
                What::Form301 { incident_id: facts.id, at_ms: end_ms, passed: what == FORM_301_PASSED }
            }
            _ => What::Osha { incident_id: facts.id, at_ms: end_ms, passed: what != OSHA },
        };
        message(row, facts, what, now_ms)
    })
}

fn message(row: &RuleRow, facts: &Facts, what: What, now_ms: i64) -> Option<NewMessage> {
    let age_ms = facts.recorded_ms().map_or(0, |recorded_ms| now_ms.saturating_sub(recorded_ms));
    // A follow-up of an old incident is news; the incident itself is not.
    let is_older_than = |most_ms| matches!(what, What::Incident { .. }) && age_ms > most_ms;
    let gathered = is_older_than(NEWS_MS) || row.rule.delivery == Delivery::Daily;
    (!is_older_than(MEMORY_MS)).then_some(NewMessage { rule_id: row.id, what, gathered })
}

/// Whether what is gathered is to be told: daily at the rule's hour, what was too much or too old an hour after the first of it.
fn is_digest_due(rule: &Rule, zone: &TimeZone, gathered: Gathered, now_ms: i64) -> bool {
    // Gathered by a clock that was ahead.
    if gathered.first_ms > now_ms + HOUR_MS {
        return true;
    }
    match rule.delivery {
        Delivery::AtOnce => now_ms - gathered.first_ms >= HOUR_MS,
        Delivery::Daily => {
            zone::next_hour(gathered.first_ms, rule.digest_hour, zone).is_none_or(|next_ms| next_ms <= now_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_at_the_rules_hour_or_an_hour_after_the_first() {
        let day = 24 * HOUR_MS;
        let gathered = |first_ms| Gathered { to: 1, count: 1, first_ms };
        let daily = Rule { delivery: Delivery::Daily, digest_hour: 6, ..Rule::default() };
        for (first, now, due) in [
            (5 * HOUR_MS, 6 * HOUR_MS - 1, false),
            (5 * HOUR_MS, 6 * HOUR_MS, true),
            (6 * HOUR_MS, 7 * HOUR_MS, false),
            (6 * HOUR_MS, day + 6 * HOUR_MS, true),
            (10 * day, day, true),
        ] {
            assert_eq!(is_digest_due(&daily, &TimeZone::UTC, gathered(first), now), due, "{first} {now}");
        }
        assert!(!is_digest_due(&Rule::default(), &TimeZone::UTC, gathered(0), HOUR_MS - 1));
        assert!(is_digest_due(&Rule::default(), &TimeZone::UTC, gathered(0), HOUR_MS));
    }
}
