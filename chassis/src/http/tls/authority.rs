//! A site's own certificate authority: for stores whose PC no public authority would vouch for.
//!
//! The authority is made once and kept in the data folder: phones and PCs that were told to trust it go on doing so. It can
//! vouch for private addresses (all of them: 10/8 may be the company's), local names, what the machine is called and what a
//! person named, and for nothing else (name constraints): it vouches for no site of the internet. The certificates it signs live in memory only; a new
//! one is made at every start, and when names or addresses change, or half of its time is over.
//!
//! Another authority is needed for a name beyond those, towards the end of its ten years, and where it was made while the clock was
//! years ahead. It is made beside the one in use, for all that both vouch for, and told to those who follow the site
//! ([`Followers`]) over connections that the one in use vouches for. Only when all of them have heard is it used, or in the last month
//! of the one in use; until then that vouches for what it can. Where nobody follows there is nobody to wait for.

mod kept;
mod making;
mod wanted;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;

use super::TlsError;
use crate::clock::SharedClock;
use crate::outbound::Pin;
use kept::{Kept, Place};
pub use kept::{export, import};
use wanted::Wanted;
pub use wanted::check_names;

const DAY_MS: i64 = 24 * 3_600_000;
/// How long the authority is good.
const AUTHORITY_DAYS: i64 = 3650;
/// The next one is made so long before the end.
const AUTHORITY_PREPARED_DAYS: i64 = 180;
/// It takes over so long before the end, once all have heard of it.
const AUTHORITY_RENEWED_DAYS: i64 = 90;
/// It takes over so long before the end, whoever has not heard of it.
const AUTHORITY_FORCED_DAYS: i64 = 30;
/// But never sooner than so long after it was made: whoever follows is to have had the time to hear of it.
const AUTHORITY_TOLD_DAYS: i64 = 14;
/// How long a certificate is good; telephones take no longer ones than 825 days.
const CERTIFICATE_DAYS: i64 = 180;
/// Both are good from so long before they were made: clocks in a store differ.
const BEFORE_DAYS: i64 = 30;
/// So long the machine's clock has to have said the same before an authority is given up for it: a PC that starts in 2037 is put right
/// within minutes, and what is trusted by a whole store is not thrown away for that.
const CLOCK_HELD_MS: i64 = 6 * 3_600_000;
/// No machine's clock is earlier and right: 2026-01-01. A PC with an empty battery starts before.
const EARLIEST_MS: i64 = 1_767_225_600_000;

/// Sites that believe this one by its own authority, and are told of the next one before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followers {
    /// How many there are.
    pub all: usize,
    /// How many of them said that they believe `of`.
    pub heard: usize,
    /// The authority that is to come, as far as was known when they were counted.
    pub of: Option<Pin>,
}

impl Followers {
    /// How many have not heard of `next`.
    fn missing(self, next: Option<Pin>) -> usize {
        if next.is_some() && self.of == next {
            self.all.saturating_sub(self.heard)
        } else {
            self.all
        }
    }
}

/// Why another authority is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// It cannot vouch for something that it has to.
    Names,
    /// Its end is near.
    Age,
    /// It begins in the future.
    Future,
}

impl Cause {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Names => "it cannot vouch for all names and addresses of this site",
            Self::Age => "its end is near",
            Self::Future => "it was made while the clock was ahead, and is not good yet",
        }
    }
}

/// The authority, and what it last vouched for.
pub struct Authority {
    folder: PathBuf,
    given: Vec<String>,
    clock: SharedClock,
    now: Kept,
    next: Option<Kept>,
    last: Option<Signed>,
    /// Since when the clock gives a reason for another one, by the time since the machine started.
    since: Option<(Cause, i64)>,
    /// What was last said of it.
    told: Option<(Cause, usize)>,
}

/// The last certificate.
struct Signed {
    at_ms: i64,
    wanted: Wanted,
    /// Who signed it.
    by: String,
}

impl Authority {
    /// The authority in `folder`; made there where there is none.
    ///
    /// # Errors
    /// [`TlsError`].
    pub(super) fn open(folder: PathBuf, given: Vec<String>, clock: SharedClock) -> Result<Self, TlsError> {
        let now = match kept::read(&folder, Place::Now)? {
            Some(now) => now,
            None => {
                let now = making::make(&Wanted::now(&given), std::iter::empty(), believable(clock.now_ms()))?;
                kept::write(&folder, Place::Now, &now)?;
                now
            }
        };
        kept::put_right(&folder, &now)?;
        let mut authority = Self { folder, given, clock, now, next: None, last: None, since: None, told: None };
        authority.reload()?;
        Ok(authority)
    }

    /// The authority's certificate.
    pub(super) fn pem(&self) -> &str {
        &self.now.cert_pem
    }

    /// The file that it is kept in.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join(Place::Now.file())
    }

    /// The certificate of the one that is to come.
    pub(super) fn next_pem(&self) -> Option<&str> {
        self.next.as_ref().map(|next| next.cert_pem.as_str())
    }

    /// Whether another certificate has to be made.
    pub(super) fn is_due(&self) -> bool {
        self.is_due_for(&Wanted::now(&self.given))
    }

    fn is_due_for(&self, wanted: &Wanted) -> bool {
        self.last.as_ref().is_none_or(|last| {
            // A clock that was set back makes it look as if it came from the future.
            let age_ms = self.clock.now_ms() - last.at_ms;
            !(-DAY_MS..CERTIFICATE_DAYS / 2 * DAY_MS).contains(&age_ms)
                || last.by != self.now.cert_pem
                || last.wanted != *wanted
        })
    }

    /// Another certificate for what the machine is called and has now, as far as the authority can vouch for it.
    pub(super) fn certificate(&mut self) -> Result<CertifiedKey, TlsError> {
        self.certificate_for(Wanted::now(&self.given))
    }

    fn certificate_for(&mut self, wanted: Wanted) -> Result<CertifiedKey, TlsError> {
        let at_ms = self.clock.now_ms();
        let pair = making::sign(&self.now, &self.now.part_of(&wanted), at_ms)?;
        self.last = Some(Signed { at_ms, wanted, by: self.now.cert_pem.clone() });
        Ok(pair)
    }

    /// Prepares another authority where one is needed, and lets it take over when it may. `doubted`: another machine says that this one's
    /// clock is wrong. What a command did to the folder is seen, too.
    pub(super) fn turn(&mut self, followers: Followers, doubted: bool) -> Result<(), TlsError> {
        self.reload()?;
        let wanted = Wanted::now(&self.given);
        self.turn_for(&wanted, followers, doubted)
    }

    fn turn_for(&mut self, wanted: &Wanted, followers: Followers, doubted: bool) -> Result<(), TlsError> {
        let now_ms = self.clock.now_ms();
        let Some(cause) = self.cause(wanted, now_ms, doubted) else {
            self.told = None;
            return Ok(());
        };
        // A clock that was years ahead for long and was put right: whoever believes the later one believes the earlier one, too.
        if cause == Cause::Future
            && let Some(before) = kept::read(&self.folder, Place::Before)?
            && is_fit(&before, now_ms)
            && before.covers(wanted)
        {
            tracing::warn!("the clock was set back: the site's own authority of before is used again");
            return self.change(before);
        }
        let next = match self.next.clone().filter(|next| next.covers(wanted) && is_fit(next, now_ms)) {
            Some(next) => next,
            None => self.prepare(wanted, now_ms)?,
        };
        let missing = followers.missing(next.pin());
        let left_ms = self.now.until_ms().saturating_sub(now_ms);
        let may = missing == 0 && (cause != Cause::Age || left_ms <= AUTHORITY_RENEWED_DAYS * DAY_MS);
        let must = cause == Cause::Age
            && left_ms <= AUTHORITY_FORCED_DAYS * DAY_MS
            && now_ms.saturating_sub(next.made_ms) >= AUTHORITY_TOLD_DAYS * DAY_MS;
        if may || must {
            tracing::warn!(
                why = cause.in_words(),
                missing,
                "the site has another authority of its own now: devices have to be told to trust it (/trust)"
            );
            return self.change(next);
        }
        if self.told != Some((cause, missing)) {
            let next = next.pin().map(|pin| pin.to_string());
            tracing::warn!(
                why = cause.in_words(),
                next,
                missing,
                "another authority of the site's own is prepared; it is used once all nodes have heard of it (now: `aincident-hub tls switch`)"
            );
            self.told = Some((cause, missing));
        }
        self.next = Some(next);
        Ok(())
    }

    fn prepare(&self, wanted: &Wanted, now_ms: i64) -> Result<Kept, TlsError> {
        let next = making::make(wanted, std::iter::once(&self.now).chain(&self.next), believable(now_ms))?;
        kept::write(&self.folder, Place::Next, &next)?;
        Ok(next)
    }

    fn change(&mut self, other: Kept) -> Result<(), TlsError> {
        kept::change(&self.folder, &self.now, &other)?;
        self.now = other;
        (self.since, self.told) = (None, None);
        self.reload()
    }

    /// Why another authority is needed, if it is.
    fn cause(&mut self, wanted: &Wanted, now_ms: i64, doubted: bool) -> Option<Cause> {
        if !self.now.covers(wanted) {
            return Some(Cause::Names);
        }
        let by_clock = if now_ms < self.now.since_ms() {
            Some(Cause::Future)
        } else {
            (self.now.until_ms().saturating_sub(now_ms) <= AUTHORITY_PREPARED_DAYS * DAY_MS).then_some(Cause::Age)
        };
        let Some(cause) = by_clock.filter(|_| !doubted && now_ms >= EARLIEST_MS) else {
            self.since = None;
            return None;
        };
        let boot_ms = self.clock.boot_ms();
        match self.since {
            Some((before, since_ms)) if before == cause => {
                (boot_ms.saturating_sub(since_ms) >= CLOCK_HELD_MS).then_some(cause)
            }
            _ => {
                self.since = Some((cause, boot_ms));
                None
            }
        }
    }

    /// Reads what is kept: a command may have changed it.
    fn reload(&mut self) -> Result<(), TlsError> {
        if let Some(now) = kept::read(&self.folder, Place::Now)? {
            self.now = now;
        }
        self.next = kept::read(&self.folder, Place::Next)?.filter(|next| *next != self.now);
        Ok(())
    }
}

/// Whether an authority is good, and will be for long enough to be worth asking for trust in it.
const fn is_fit(kept: &Kept, now_ms: i64) -> bool {
    kept.since_ms() <= now_ms && kept.until_ms().saturating_sub(now_ms) > AUTHORITY_PREPARED_DAYS * DAY_MS
}

/// When an authority is said to be made, where the clock says `now_ms`.
const fn believable(now_ms: i64) -> i64 {
    if now_ms < EARLIEST_MS { EARLIEST_MS } else { now_ms }
}

/// The digest of the certificate of the authority that is kept in `folder`, where there is one, and until when it is good: milliseconds
/// since 1970.
#[must_use]
pub fn kept(folder: &Path) -> Option<(Pin, i64)> {
    told(folder, Place::Now)
}

/// The same of the authority that is to come, where one is prepared.
#[must_use]
pub fn next(folder: &Path) -> Option<(Pin, i64)> {
    told(folder, Place::Next)
}

fn told(folder: &Path, place: Place) -> Option<(Pin, i64)> {
    let kept = kept::read(folder, place).ok()??;
    Some((kept.pin()?, kept.until_ms()))
}

/// Prepares the authority that is to come after the one in `folder`, for it and for the names `given`; one that is prepared already and
/// does for them stays. The digest of its certificate.
///
/// # Errors
/// [`TlsError`]: there is none to come after, or it cannot be written.
pub fn prepare(folder: &Path, given: Vec<String>, clock: SharedClock) -> Result<Pin, TlsError> {
    if kept::read(folder, Place::Now)?.is_none() {
        return Err(kept::none_in(folder));
    }
    let authority = Authority::open(folder.to_owned(), given, clock)?;
    let (wanted, now_ms) = (Wanted::now(&authority.given), authority.clock.now_ms());
    let next = match authority.next.as_ref().filter(|next| next.covers(&wanted) && is_fit(next, now_ms)) {
        Some(next) => next.pin(),
        None => authority.prepare(&wanted, now_ms)?.pin(),
    };
    next.ok_or_else(|| TlsError::Made("the next authority's certificate cannot be read".to_owned()))
}

/// Lets the authority that is prepared in `folder` take over, whoever has not heard of it; the one in use is kept as the one before. A
/// program that serves notices within a minute. The digests of both.
///
/// # Errors
/// [`TlsError`]: none is prepared, or it cannot be written.
pub fn switch(folder: &Path) -> Result<(Pin, Pin), TlsError> {
    let now = kept::read(folder, Place::Now)?.ok_or_else(|| kept::none_in(folder))?;
    let next = kept::read(folder, Place::Next)?.filter(|next| *next != now).ok_or_else(|| {
        TlsError::Given("no other authority is prepared; run `aincident-hub tls prepare` first".to_owned())
    })?;
    let unread = || TlsError::Made("an authority's certificate cannot be read".to_owned());
    let pins = (now.pin().ok_or_else(unread)?, next.pin().ok_or_else(unread)?);
    kept::change(folder, &now, &next)?;
    Ok(pins)
}
