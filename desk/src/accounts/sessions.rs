//! Logging in and out. A session's token is known to its client alone: the ledger keeps the hash.

use super::lockout;
use crate::actor::{Account, Actor};
use crate::desk::Desk;
use crate::error::Error;

/// How long a session lasts, in milliseconds: seven days.
pub const LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
/// No username is longer, in characters; what is longer is nobody's.
const MAX_USERNAME: usize = 64;

/// What became of a login. Neither a wrong password nor a wait is an error of the program.
#[derive(Debug)]
pub enum Login {
    /// Welcome.
    Opened(Session),
    /// No such account, not this password, or no longer active: which of them is not told.
    Wrong,
    /// Too many failures of this name.
    Wait {
        /// Whole seconds until the next try is taken.
        retry_after_s: u64,
    },
}

/// An open session.
pub struct Session {
    /// 43 characters of base64url.
    pub token: String,
    /// When it ends.
    pub expires_ms: i64,
    /// Whose it is.
    pub account: Account,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("username", &self.account.username).finish_non_exhaustive()
    }
}

/// What became of a password that somebody showed.
#[derive(Debug)]
pub(super) enum Proof {
    /// It is this account's.
    Right(Box<Account>),
    /// No such account, not this password, or no longer active.
    Wrong,
    /// Too many failures of this name.
    Wait {
        /// Whole seconds until the next try is taken.
        retry_after_s: u64,
    },
}

/// Whether `password` is the one of the account; a failure is noted.
pub(super) async fn prove(desk: &Desk, username: &str, password: String) -> Result<Proof, Error> {
    // Failures are read under the turn: at most two tries run at once, however many are sent.
    let turn = desk.hashing().turn().await?;
    let failures = desk.ledger().failures(username).await?;
    if let Some(wait) = lockout::wait_ms(failures, desk.now_ms()) {
        return Ok(Proof::Wait { retry_after_s: lockout::retry_after_s(wait) });
    }
    let account = desk
        .ledger()
        .account(username)
        .await?
        .filter(|account| account.active && !account.password_hash.is_empty());
    let hash = account.as_ref().map(|account| account.password_hash.clone());
    let right = desk.hashing().verify(&turn, password, hash).await?;
    let Some(account) = account.filter(|_| right) else {
        desk.ledger().note_failure(username.to_owned(), desk.now_ms()).await?;
        return Ok(Proof::Wrong);
    };
    Ok(Proof::Right(Box::new(account)))
}

/// Tries to log in. Case makes no difference in a username.
///
/// # Errors
/// [`crate::Refusal::NotEnrolled`]; [`Error::Unavailable`] where too many try at once; what the ledger says.
pub async fn login(desk: &Desk, username: &str, password: String) -> Result<Login, Error> {
    desk.own_store().await?;
    let username: String = username.trim().to_lowercase().chars().take(MAX_USERNAME + 1).collect();
    let account = match prove(desk, &username, password).await? {
        Proof::Right(account) => *account,
        Proof::Wrong => return Ok(Login::Wrong),
        Proof::Wait { retry_after_s } => return Ok(Login::Wait { retry_after_s }),
    };
    let token = chassis::secret::token(desk.ids());
    let now_ms = desk.now_ms();
    let expires_ms = now_ms.saturating_add(LIFETIME_MS);
    desk.ledger().open_session(token_hash(&token), username, now_ms, expires_ms).await?;
    Ok(Login::Opened(Session { token, expires_ms, account }))
}

/// Ends the session.
///
/// # Errors
/// What the ledger says.
pub async fn logout(desk: &Desk, token_hash: [u8; 32]) -> Result<(), Error> {
    desk.ledger().close_session(token_hash).await
}

/// Who is behind a session; `None` where it has ended or its account is no longer active. Costs nothing while nothing was
/// committed.
///
/// # Errors
/// What the ledger says.
pub async fn authenticate(desk: &Desk, token_hash: [u8; 32]) -> Result<Option<Actor>, Error> {
    // Read before the session: what is committed in between makes the next question look again.
    let (commits, now_ms) = (*desk.ledger().committed().borrow(), desk.now_ms());
    if let Some(actor) = desk.recall().session(commits, token_hash, now_ms) {
        return Ok(Some(actor));
    }
    let Some((account, expires_ms)) = desk.ledger().session(token_hash, now_ms).await? else {
        return Ok(None);
    };
    let actor = Actor::from(account);
    desk.recall().keep_session(commits, token_hash, actor.clone(), now_ms, expires_ms);
    Ok(Some(actor))
}

/// What is kept of a token.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}
