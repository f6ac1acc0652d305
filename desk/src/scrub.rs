//! Reading slowly, in the background, everything that is kept, to find what the disk has lost before it is needed.
//!
//! A round goes through the tables, the changes, the records and the contents, a little at a time, at a pace that nobody notices.
//! How far it has got is in the ledger, so that it goes on after a restart where it was. What is found is set aside as it was,
//! said aloud, and mended where that can be: records from their changes, by the ledger; changes and contents by the other side,
//! which the replicator asks. Nothing that is known to be wrong is shown meanwhile: the ledger makes nothing of a damaged change, and
//! a damaged content is as good as gone.

use crate::desk::Desk;
use crate::error::Error;
use crate::ledger::{Damage, DamageKind, ScrubPart, ScrubState, ScrubStep};
use crate::photos;
use chassis::blobs::Sha256;
use std::time::{Duration, Instant};

/// Records and changes from before there were sums get theirs so many at a time.
const SUMMED_AT_ONCE: u32 = 500;
/// The pause between two such times.
const SUM_PAUSE: Duration = Duration::from_millis(20);
/// At most this part of one processor, and of the disk's time, goes into the scrub: a step is followed by a pause this many times as
/// long.
const REST: u32 = 4;
/// The longest time between two looks at whether a round is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Rounds because of what was come upon begin no more often.
const SUSPICIOUS_EVERY: Duration = Duration::from_secs(600);
/// The pause after the ledger could not be used.
const AGAIN: Duration = Duration::from_secs(10);

/// How the scrub goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// From the end of one round to the beginning of the next; also from the first start to the first round.
    pub interval: Duration,
    /// Most bytes read in a second, on average.
    pub bytes_per_s: u64,
    /// Whether it holds still.
    pub paused: bool,
}

impl Default for Scrub {
    /// Once a day, 4 MiB a second.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(24 * 60 * 60),
            bytes_per_s: 4 * 1024 * 1024,
            paused: false,
        }
    }
}

/// Scrubs for as long as it is polled.
pub async fn keep(desk: &Desk) {
    while let Err(error) = sum_up(desk).await {
        tracing::warn!(%error, "what is kept cannot be summed up; it is tried again");
        tokio::time::sleep(AGAIN).await;
    }
    let mut settings = desk.scrub_settings();
    // What somebody came upon has to be found and noted before it can be mended, and is not put off until a round is due.
    let (mut is_suspicious, mut looked) = (false, None::<Instant>);
    loop {
        let scrub = *settings.borrow_and_update();
        if scrub.paused {
            tracing::info!("the scrub is paused: nothing looks for what the disk may have lost");
            // Whoever sets it lives as long as the desk does.
            let _ = settings.changed().await;
            continue;
        }
        let mut did = false;
        for part in ScrubPart::ALL {
            match work(desk, part, scrub, is_suspicious).await {
                Ok(worked) => did |= worked,
                Err(error) => {
                    tracing::warn!(part = part.as_str(), %error, "the scrub cannot go on; it is tried again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        if std::mem::take(&mut is_suspicious) {
            looked = Some(Instant::now());
        }
        if !did {
            let suspicion = async {
                // What cannot be mended is come upon again and again.
                tokio::time::sleep(looked.map_or(Duration::ZERO, |at| SUSPICIOUS_EVERY.saturating_sub(at.elapsed())))
                    .await;
                desk.ledger().suspicion().await;
            };
            let pause = scrub.interval.clamp(Duration::from_millis(100), LOOK_EVERY);
            tokio::select! {
                biased;
                // A round that was put off may be due by the new ones.
                _ = settings.changed() => {}
                waited = tokio::time::timeout(pause, suspicion) => is_suspicious = waited.is_ok(),
            }
        }
    }
}

/// Gives what is from before there were sums its own.
async fn sum_up(desk: &Desk) -> Result<(), Error> {
    while desk.ledger().sum_up(SUMMED_AT_ONCE).await? > 0 {
        tokio::time::sleep(SUM_PAUSE).await;
    }
    Ok(())
}

/// Does what is due of one part, or all of it at once, to the end of its round; whether anything was.
async fn work(desk: &Desk, part: ScrubPart, scrub: Scrub, at_once: bool) -> Result<bool, Error> {
    let now_ms = desk.now_ms();
    let Some(mut state) = desk.ledger().scrub_state(part).await? else {
        let first = ScrubState { began_ms: now_ms, ..ScrubState::default() };
        desk.ledger().keep_scrub_state(part, first).await?;
        return Ok(false);
    };
    let is_under_way = !state.position.is_empty();
    let since_ms = now_ms.saturating_sub(state.ended_ms.unwrap_or(state.began_ms));
    // A clock that was set back does not put the next round off for years.
    if !is_under_way && !at_once && i128::from(since_ms.unsigned_abs()) < scrub.interval.as_millis() as i128 {
        return Ok(false);
    }
    if !is_under_way {
        state.began_ms = now_ms;
    }
    loop {
        let began = Instant::now();
        let step = if part == ScrubPart::Contents {
            content(desk, &state.position).await?
        } else {
            desk.ledger().scrub(part, state.position.clone(), desk.now_ms()).await?
        };
        tell(&step);
        let is_over = step.position.is_none();
        state.position = step.position.unwrap_or_default();
        if is_over {
            state.ended_ms = Some(desk.now_ms());
        }
        desk.ledger().keep_scrub_state(part, state.clone()).await?;
        metrics::counter!("scrubbed_bytes_total", "part" => part.as_str()).increment(step.bytes);
        let now = desk.scrub();
        let pace = Duration::from_secs_f64(step.bytes as f64 / now.bytes_per_s.max(1) as f64);
        tokio::time::sleep(pace.max(began.elapsed() * REST)).await;
        // How far it has got is kept: it goes on there.
        if is_over || now.paused {
            return Ok(true);
        }
    }
}

/// Says aloud what a step found and mended.
pub fn tell(step: &ScrubStep) {
    for damage in &step.found {
        metrics::counter!("damage_found_total", "kind" => damage.kind.as_str()).increment(1);
        tracing::error!(
            kind = damage.kind.as_str(),
            name = damage.name,
            what = damage.what,
            "something that is kept is damaged; it is set aside and asked for where somebody else may have it"
        );
    }
    for damage in &step.mended {
        metrics::counter!("damage_mended_total", "kind" => damage.kind.as_str()).increment(1);
        tracing::warn!(
            kind = damage.kind.as_str(),
            name = damage.name,
            what = damage.what,
            how = damage.how,
            "something that was damaged is whole again"
        );
    }
}

/// Reads the content after `position` and compares it with its name.
async fn content(desk: &Desk, position: &str) -> Result<ScrubStep, Error> {
    let next = desk.ledger().contents_after(position.to_owned(), 1).await?;
    let Some((sha256, size_bytes)) = next.into_iter().next() else {
        return Ok(ScrubStep::default());
    };
    if !desk.blobs().verify(sha256).await.map_err(photos::disk)? {
        damaged(desk, sha256).await?;
    }
    Ok(ScrubStep { position: Some(sha256.to_string()), bytes: size_bytes, ..ScrubStep::default() })
}

/// Sets a content aside that is not what its name says, notes it, and asks for it. One that was put right meanwhile stays.
///
/// # Errors
/// When disk or ledger cannot be used.
pub async fn damaged(desk: &Desk, sha256: Sha256) -> Result<(), Error> {
    let now_ms = desk.now_ms();
    let aside = desk.blobs().set_aside(sha256, now_ms).await.map_err(photos::disk)?;
    if aside.is_none() && desk.blobs().contains(sha256).await {
        return Ok(());
    }
    let damage = Damage {
        kind: DamageKind::Content,
        name: sha256.to_string(),
        scope: None,
        what: if aside.is_some() { "it is not what its name says" } else { "it is gone" }.to_owned(),
        found_ms: now_ms,
        mended_ms: None,
        how: None,
    };
    let is_new = desk.ledger().note_damage(damage.clone(), aside).await?;
    desk.ledger().lose_blob(sha256).await?;
    desk.want(sha256);
    if is_new {
        tell(&ScrubStep { found: vec![damage], ..ScrubStep::default() });
    }
    Ok(())
}
