//! Passwords: what they must be like, and their hashes (argon2id, 19 MiB, two passes: OWASP's choice).
//!
//! Hashing is slow and large on purpose, so it runs on blocking threads, two at a time, and the queue has an end.

use crate::error::Error;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use sync_protocol::record::FieldError;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Fewest characters.
pub const MIN_CHARS: usize = 8;
/// Most characters.
pub const MAX_CHARS: usize = 200;
/// Hashes made at once: each takes 19 MiB and a whole core.
const AT_ONCE: usize = 2;
/// Hashes made or waited for; whoever comes on top is asked to come back.
const QUEUE: usize = 64;

/// What is wrong with a new password.
#[must_use]
pub fn check(password: &str) -> Option<FieldError> {
    let count = password.chars().count();
    (!(MIN_CHARS..=MAX_CHARS).contains(&count)).then(|| FieldError {
        field: "password".to_owned(),
        message: format!("must be {MIN_CHARS} to {MAX_CHARS} characters"),
    })
}

/// Where passwords are hashed.
#[derive(Debug)]
pub struct Hashing {
    at_once: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// A hash of no account's password: checking an unknown username takes as long as a known one.
    nobody: OnceCell<String>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(QUEUE)),
            nobody: OnceCell::new(),
        }
    }
}

/// The right to hash: holds a place until dropped.
#[derive(Debug)]
pub struct Turn {
    _place: OwnedSemaphorePermit,
    _queue: OwnedSemaphorePermit,
}

impl Hashing {
    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    pub async fn turn(&self) -> Result<Turn, Error> {
        let busy = || Error::Unavailable("too many people log in at once".to_owned());
        let queue = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| busy())?;
        let place = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| busy())?;
        Ok(Turn { _place: place, _queue: queue })
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where too many wait already.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        let turn = self.turn().await?;
        let hash = blocking(move || hash(&password)).await?;
        drop(turn);
        hash
    }

    /// Whether `password` is the one behind `phc`. Without a `phc` it is not, and that takes as long to find out.
    ///
    /// # Errors
    /// [`Error::Fault`] where the hash cannot be read.
    pub async fn verify(&self, _turn: &Turn, password: String, phc: Option<String>) -> Result<bool, Error> {
        let nobody = self.nobody.get_or_try_init(|| async { blocking(|| hash("nobody's password")).await? }).await?;
        let known = phc.is_some();
        let phc = phc.unwrap_or_else(|| nobody.clone());
        let right = blocking(move || verify(&password, &phc)).await??;
        Ok(right && known)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Fault(format!("hashing a password: {error}")))
}

fn hash(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| Error::Fault(format!("hashing a password: {error}")))
}

fn verify(password: &str, phc: &str) -> Result<bool, Error> {
    let parsed = PasswordHash::new(phc).map_err(|error| Error::Fault(format!("a stored password hash: {error}")))?;
    Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_and_nothing_else() {
        let hashing = Hashing::default();
        let phc = hashing.hash("correct horse".to_owned()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let turn = hashing.turn().await.unwrap();
        assert!(hashing.verify(&turn, "correct horse".to_owned(), Some(phc.clone())).await.unwrap());
        assert!(!hashing.verify(&turn, "wrong horse".to_owned(), Some(phc)).await.unwrap());
        assert!(!hashing.verify(&turn, "nobody's password".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let hashing = Hashing {
            at_once: Arc::new(Semaphore::new(1)),
            queue: Arc::new(Semaphore::new(1)),
            nobody: OnceCell::new(),
        };
        let _turn = hashing.turn().await.unwrap();
        assert!(matches!(hashing.turn().await, Err(Error::Unavailable(_))));
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(check("1234567").is_some());
        assert!(check("żółć1234").is_none());
        assert!(check(&"ż".repeat(200)).is_none());
        assert!(check(&"ż".repeat(201)).is_some());
    }
}
