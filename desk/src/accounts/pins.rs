//! People who share a device: whoever has logged in on it with the password comes back to it with a PIN.
//!
//! A PIN is short, so by itself it is worth nothing. It counts on a device alone that has a cookie of its own (256 random bits; the
//! ledger keeps their hash), on which its owner has shown the password within some days, and the same password that holds now. A
//! device goes by a new cookie after each password, so that one that somebody planted is worth nothing either. After five wrong PINs
//! the device forgets whose they were to be: then it takes the password. None of this leaves the site.

use super::password;
use super::sessions::{self, LIFETIME_MS, Proof, Session, token_hash};
use crate::actor::{Account, Actor};
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::ledger::{Failures, Familiar};
use sync_protocol::record::FieldError;

/// Fewest digits of a PIN.
pub const MIN_DIGITS: usize = 4;
/// Most digits of a PIN.
pub const MAX_DIGITS: usize = 8;
/// Wrong PINs after which a device forgets somebody.
pub const WRONG: u32 = 5;
/// One wrong PIN is forgotten each time this has passed without another, in milliseconds: a shift. A right one forgets none: whoever
/// guesses a colleague's would have as many tries as that colleague comes back.
const FORGOTTEN_AFTER_MS: i64 = 8 * 3_600_000;
/// Milliseconds to wait after so many wrong ones: fingers slip twice.
const WAITS_MS: [i64; WRONG as usize] = [0, 0, 0, 5_000, 30_000];
/// Most people of a device; those that showed their password last.
pub const MOST_PEOPLE: u32 = 24;
/// One that was shown later than this after now was shown to a clock that has been set back since.
const SET_BACK_MS: i64 = 24 * 3_600_000;

/// What a site thinks of PINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pins {
    /// How long after the password a PIN is enough, in milliseconds.
    pub lasts_ms: i64,
}

/// What became of a PIN.
#[derive(Debug)]
pub enum Switch {
    /// Welcome back.
    Opened(Session),
    /// Not this one.
    Wrong {
        /// How many more the device takes.
        left: u32,
    },
    /// Too many, too fast.
    Wait {
        /// Whole seconds until the next one is taken.
        retry_after_s: u64,
    },
    /// It takes the password here: there is no PIN, it is too long ago, or there were too many wrong ones.
    Password,
}

/// Somebody who used a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whose account.
    pub username: String,
    /// What people see.
    pub display_name: String,
    /// Whether a PIN is enough; else it takes the password.
    pub by_pin: bool,
}

/// What becomes of somebody's PIN.
#[derive(Debug, PartialEq, Eq)]
pub enum Setting {
    /// It is set.
    Set,
    /// The password is not the account's.
    Wrong,
    /// Too many failures of this name.
    Wait {
        /// Whole seconds until the next try is taken.
        retry_after_s: u64,
    },
}

/// Whether PINs are taken here.
///
/// # Errors
/// [`Refusal::NotFound`] where they are not.
pub fn allowed(desk: &Desk) -> Result<Pins, Error> {
    Ok(desk.pins().ok_or(Refusal::NotFound)?)
}

/// What is wrong with a new PIN.
#[must_use]
pub fn check(pin: &str) -> Option<FieldError> {
    let wrong = |message: &str| Some(FieldError { field: "pin".to_owned(), message: message.to_owned() });
    let digits = pin.as_bytes();
    if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return wrong("must be 4 to 8 digits");
    }
    let goes = |step: u8| digits.windows(2).all(|pair| pair[0].wrapping_add(step) == pair[1]);
    if goes(0) || goes(1) || goes(u8::MAX) {
        return wrong("is too easy to guess: use other digits");
    }
    None
}

/// Sets the PIN of `actor`, who shows the password again: a screen that was left open is not enough.
///
/// # Errors
/// [`Refusal::NotFound`] where PINs are not taken, [`Refusal::Invalid`]; what the ledger says.
pub async fn set(desk: &Desk, actor: &Actor, password: String, pin: String) -> Result<Setting, Error> {
    allowed(desk)?;
    if let Some(error) = check(&pin) {
        return Err(Refusal::Invalid(vec![error]).into());
    }
    if password.chars().count() > password::MAX_CHARS {
        return Ok(Setting::Wrong);
    }
    match sessions::prove(desk, &actor.username, password).await? {
        Proof::Wrong => Ok(Setting::Wrong),
        Proof::Wait { retry_after_s } => Ok(Setting::Wait { retry_after_s }),
        Proof::Right(account) => {
            let hash = desk.hashing().hash(pin).await?;
            desk.ledger().set_pin(account.username, Some(hash), desk.now_ms()).await?;
            Ok(Setting::Set)
        }
    }
}

/// Removes the PIN of `actor`: on no device is anything but the password enough.
///
/// # Errors
/// [`Refusal::NotFound`] where PINs are not taken; what the ledger says.
pub async fn remove(desk: &Desk, actor: &Actor) -> Result<(), Error> {
    allowed(desk)?;
    desk.ledger().set_pin(actor.username.clone(), None, desk.now_ms()).await
}

/// Notes that `account` has just shown the password on the device with the cookie `device`; the device's new cookie. None where
/// PINs are not taken.
///
/// # Errors
/// What the ledger says.
pub async fn remember(desk: &Desk, account: &Account, device: Option<&str>) -> Result<Option<String>, Error> {
    let Some(Pins { lasts_ms }) = desk.pins() else {
        return Ok(None);
    };
    let (fresh, now_ms) = (chassis::secret::token(desk.ids()), desk.now_ms());
    let times = (now_ms, now_ms.saturating_sub(lasts_ms));
    let proof = proof_of(&account.password_hash);
    let before = device.map(token_hash);
    desk.ledger()
        .know_person(before, token_hash(&fresh), account.username.clone(), proof, times, MOST_PEOPLE)
        .await?;
    Ok(Some(fresh))
}

/// The people of the device with the cookie `device`, by name.
///
/// # Errors
/// [`Refusal::NotFound`] where PINs are not taken; what the ledger says.
pub async fn people(desk: &Desk, device: Option<&str>) -> Result<Vec<Person>, Error> {
    let pins = allowed(desk)?;
    let Some(device) = device else {
        return Ok(Vec::new());
    };
    let now_ms = desk.now_ms();
    let found = desk.ledger().familiars(token_hash(device)).await?;
    let seen = found.into_iter().filter(|one| one.active).map(|one| Person {
        by_pin: is_enough(pins, &one, now_ms),
        username: one.username,
        display_name: one.display_name,
    });
    Ok(seen.collect())
}

/// Lets somebody in by a PIN on the device with the cookie `device`. The session `ends`, which was open there, ends.
///
/// # Errors
/// [`Refusal::NotFound`] where PINs are not taken; [`Error::Unavailable`] where too many try at once; what the ledger says.
pub async fn switch(
    desk: &Desk,
    device: Option<&str>,
    username: &str,
    pin: String,
    ends: Option<&str>,
) -> Result<Switch, Error> {
    let pins = allowed(desk)?;
    let Some(device) = device.map(token_hash) else {
        return Ok(Switch::Password);
    };
    let turn = desk.hashing().turn().await?;
    let (ledger, now_ms) = (desk.ledger(), desk.now_ms());
    let found = ledger.familiars(device).await?.into_iter().find(|one| one.username == username);
    let Some(known) = found.filter(|one| is_enough(pins, one, now_ms)) else {
        return Ok(Switch::Password);
    };
    let wrong = remembered(known.failures, known.last_ms, now_ms);
    if let Some(wait_ms) = wait_ms(wrong.count, wrong.last_ms, now_ms) {
        return Ok(Switch::Wait { retry_after_s: super::lockout::retry_after_s(wait_ms) });
    }
    // Counted before it is looked at: however many are sent at once, five are looked at.
    let counted = Failures { count: wrong.count + 1, last_ms: now_ms };
    let stood = Failures { count: known.failures, last_ms: known.last_ms };
    if !ledger.count_pin(device, username.to_owned(), stood, counted).await? {
        return Ok(Switch::Wait { retry_after_s: 1 });
    }
    let account = ledger.account(username).await?;
    let right = pin.len() <= MAX_DIGITS && desk.hashing().verify(&turn, pin, known.pin_hash).await?;
    drop(turn);
    let left = WRONG.saturating_sub(counted.count);
    let Some(account) = account.filter(|_| right) else {
        if left == 0 {
            ledger.forget_person(device, username.to_owned()).await?;
            return Ok(Switch::Password);
        }
        return Ok(Switch::Wrong { left });
    };
    let token = chassis::secret::token(desk.ids());
    let expires_ms = now_ms.saturating_add(LIFETIME_MS);
    let times = (now_ms, expires_ms);
    ledger
        .switch_person(device, username.to_owned(), (counted, wrong), ends.map(token_hash), token_hash(&token), times)
        .await?;
    Ok(Switch::Opened(Session { token, expires_ms, account }))
}

/// Has the device with the cookie `device` forget `username`.
///
/// # Errors
/// [`Refusal::NotFound`] where PINs are not taken; what the ledger says.
pub async fn forget(desk: &Desk, device: Option<&str>, username: &str) -> Result<(), Error> {
    allowed(desk)?;
    match device {
        Some(device) => desk.ledger().forget_person(token_hash(device), username.to_owned()).await,
        None => Ok(()),
    }
}

/// What a device keeps of a password: enough to see that there is another one by now.
fn proof_of(password_hash: &str) -> [u8; 32] {
    token_hash(password_hash)
}

fn is_enough(pins: Pins, one: &Familiar, now_ms: i64) -> bool {
    let age_ms = now_ms.saturating_sub(one.password_ms);
    one.active
        && one.pin_hash.is_some()
        && one.failures < WRONG
        && (-SET_BACK_MS..pins.lasts_ms).contains(&age_ms)
        && chassis::secret::same(&one.proof, &proof_of(&one.password_hash))
}

/// The wrong PINs that are not forgotten by now, and since when they are that many.
fn remembered(count: u32, last_ms: i64, now_ms: i64) -> Failures {
    let forgotten = now_ms.saturating_sub(last_ms).max(0) / FORGOTTEN_AFTER_MS;
    match u32::try_from(forgotten).ok().and_then(|forgotten| count.checked_sub(forgotten)) {
        None | Some(0) => Failures { count: 0, last_ms: 0 },
        Some(count) => Failures { count, last_ms: last_ms + forgotten * FORGOTTEN_AFTER_MS },
    }
}

/// Milliseconds until the next PIN is taken; `None`: now.
fn wait_ms(failures: u32, last_ms: i64, now_ms: i64) -> Option<i64> {
    let wait = WAITS_MS.get(failures as usize).copied().unwrap_or(0);
    let left = wait - now_ms.saturating_sub(last_ms).max(0);
    (left > 0).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_four_to_eight_digits_that_are_no_row() {
        for fine in ["2580", "1213", "90817263"] {
            assert_eq!(check(fine), None, "{fine}");
        }
        for wrong in ["", "123", "123456789", "12a4", "٣٤٥٦", "0000", "1234", "87654321"] {
            assert!(check(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn wrong_pins_are_forgotten_one_by_one_and_a_clock_set_back_forgets_none() {
        let wrong = |now_ms| remembered(4, 1_000, now_ms);
        assert_eq!(wrong(1_000), Failures { count: 4, last_ms: 1_000 });
        assert_eq!(wrong(FORGOTTEN_AFTER_MS), Failures { count: 4, last_ms: 1_000 });
        let since_ms = 1_000 + FORGOTTEN_AFTER_MS;
        assert_eq!(wrong(since_ms), Failures { count: 3, last_ms: since_ms });
        assert_eq!(wrong(since_ms + FORGOTTEN_AFTER_MS - 1), Failures { count: 3, last_ms: since_ms });
        assert_eq!(wrong(1_000 + 4 * FORGOTTEN_AFTER_MS), Failures { count: 0, last_ms: 0 });
        assert_eq!(wrong(i64::MAX), Failures { count: 0, last_ms: 0 });
        assert_eq!(wrong(0), Failures { count: 4, last_ms: 1_000 });
    }

    #[test]
    fn fingers_slip_twice_then_one_waits() {
        assert_eq!(wait_ms(2, 0, 0), None);
        assert_eq!(wait_ms(3, 0, 1_000), Some(4_000));
        assert_eq!(wait_ms(4, 0, 1_000), Some(29_000));
        assert_eq!(wait_ms(4, 0, 30_000), None);
        // A clock that was set back makes nobody wait longer than once.
        assert_eq!(wait_ms(3, 1_000_000, 0), Some(5_000));
    }
}
