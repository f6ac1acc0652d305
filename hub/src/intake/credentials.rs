//! Who a node's request comes from.
//!
//! A request brings `NODE_ID.SECRET`; the hub keeps two keys that follow from each secret, never the secret. Good is
//! the last credential that was used and the one issued after it (the ledger keeps no second one that was never used):
//! an answer that carries a new secret may be lost on the way, and the node then still has the old one. The first use
//! of a newer one ends all before it, so of two copies of a disk the first to come back goes on and the other is told.
//!
//! A backup that is restored comes back with an old secret, as a copy does. It is let in again to say `hello`, and only that,
//! when it runs on the machine and in the folder of the one that was last good, and that one is not on the line: so it is the
//! node itself, with nobody beside it. Headquarters is told. A copy of a disk that holds the secret in use is found out the same way:
//! it says `hello` from another machine while the node is there.
//!
//! Every request reads what the ledger holds (a point read): a revocation made by another process works at once.

use super::refused::Refused;
use chassis::secret::same;
use desk::ledger::{CredentialRow, NodeAuth, OriginHead, SharedLedger};
use sync_protocol::message::credential_keys;
use uuid::Uuid;

/// A node that was heard of this recently is there, also between two of its requests or after the hub was begun anew: one that
/// waits for news asks again every 25 s. In milliseconds.
const HEARD_MS: i64 = 35_000;
/// Longest secret looked at, in bytes.
const MAX_SECRET_BYTES: usize = 128;

/// A node whose request is good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The node.
    pub node_id: Uuid,
    /// Its store.
    pub store_code: String,
    /// Its credential is one that this hub made and did not remember: it was restored from a backup.
    pub is_ahead: bool,
    /// It came with a secret from before the last one used, on its own machine: restored from a backup, or an old request that
    /// took long. Only the former uses the secret that it gets.
    pub returns: bool,
    /// The protocol version its request is in.
    pub protocol: u32,
    /// Another node took its place: it may send what it still has.
    pub retired: bool,
}

/// Whether the stream may be this node's to push.
#[must_use]
pub fn may_push(held: &OriginHead, caller: &Caller) -> bool {
    held.pusher == Some(caller.node_id) || (held.is_orphan && held.scope == caller.own_scope())
}

/// A request that is not good. `proof_key` is there when the secret was once the node's: it may believe the refusal.
#[derive(Debug)]
pub struct Denied {
    /// Why.
    pub refused: Refused,
    /// What to sign the refusal with.
    pub proof_key: Option<[u8; 32]>,
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        Self { refused, proof_key: None }
    }
}

/// What an `Authorization` header says, taken apart.
#[must_use]
pub fn parse_bearer(header: &str) -> Option<(Uuid, &str)> {
    let (scheme, token) = header.split_once(' ')?;
    let (node_id, secret) = token.trim().split_once('.')?;
    let fits = scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty() && secret.len() <= MAX_SECRET_BYTES;
    Some((Uuid::try_parse(node_id).ok().filter(|_| fits)?, secret))
}

/// What a request says of who sends it.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The node.
    pub node_id: Uuid,
    /// Its secret.
    pub secret: &'a str,
    /// What a `hello` says besides.
    pub hello: Option<Hello<'a>>,
}

/// What only a `hello` says, and what is seen while it comes: a node's place is looked at then, and at no other request.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// Where it runs: [`sync_protocol::message::MACHINE_HEADER`].
    pub machine: Option<&'a str>,
    /// Whether another request of the node is under way.
    pub is_on_the_line: bool,
}

/// The node behind a claim, and the key that signs the answer. Notes the first use of a credential, and where it runs.
///
/// # Errors
/// [`Refused::UnknownNode`], [`Refused::Revoked`], [`Refused::Superseded`]; [`Refused::Failed`].
pub async fn authenticate(ledger: &SharedLedger, claim: Claim<'_>, now_ms: i64) -> Result<(Caller, [u8; 32]), Denied> {
    let node_id = claim.node_id;
    let keys = credential_keys(claim.secret);
    let auth = ledger.node_auth(node_id).await.map_err(Refused::Failed)?.ok_or(Refused::UnknownNode)?;
    let mut standing = check(&auth, &keys.auth);
    if standing == Standing::Unknown {
        standing = recognise(&auth, ledger.hub_key().await.map_err(Refused::Failed)?.generation(node_id, claim.secret));
    }
    let deny = |refused| Denied { refused, proof_key: Some(keys.proof) };
    let mut returns = false;
    let machine = claim.hello.and_then(|hello| hello.machine);
    let known_machine = machine.is_some() && machine == auth.machine.as_deref();
    let is_elsewhere = machine.is_some() && auth.machine.is_some() && !known_machine;
    let is_on_the_line = claim.hello.is_some_and(|hello| hello.is_on_the_line);
    let heard = auth.last_contact_ms.is_some_and(|last| now_ms.saturating_sub(last) < HEARD_MS);
    match standing {
        Standing::Unknown => return Err(Refused::UnknownNode.into()),
        _ if auth.revoked => return Err(deny(Refused::Revoked)),
        Standing::Superseded(generation) if known_machine && !is_on_the_line => {
            returns = last_used(&auth).is_some_and(|last| generation < last);
            tracing::warn!(node = %node_id, store = auth.store_code, generation, "a node comes with an old secret, on its own machine, as one that was restored from a backup");
        }
        Standing::Superseded(_) => return Err(deny(Refused::Superseded)),
        // A disk that was copied while its node served holds the secret in use. The node itself is on the line, elsewhere.
        _ if is_elsewhere && (is_on_the_line || heard) => {
            tracing::warn!(node = %node_id, store = auth.store_code, "a copy of a node's disk calls while the node is there");
            return Err(deny(Refused::Superseded));
        }
        Standing::FirstUse(generation) => {
            ledger.use_credential(node_id, generation, now_ms).await.map_err(|e| deny(Refused::Failed(e)))?;
            tracing::info!(node = %node_id, generation, "a node uses a new credential");
        }
        Standing::Ahead(generation) => {
            let accepted = ledger.accept_credential(node_id, generation, now_ms).await;
            accepted.map_err(|error| deny(Refused::Failed(error)))?;
            tracing::warn!(node = %node_id, generation, "a node's credential is newer than any the hub knows of: it was restored");
        }
        Standing::Good => {}
    }
    if let Some(machine) = machine.filter(|_| !known_machine) {
        ledger.note_machine(node_id, machine.to_owned()).await.map_err(|e| deny(Refused::Failed(e)))?;
    }
    let is_ahead = matches!(standing, Standing::Ahead(_));
    let protocol = sync_protocol::VERSION;
    Ok((
        Caller {
            node_id,
            store_code: auth.store_code,
            is_ahead,
            returns,
            protocol,
            retired: auth.retired,
        },
        keys.proof,
    ))
}

/// Asks again whether `caller` may have what it waited for.
///
/// # Errors
/// [`Refused::Revoked`], [`Refused::UnknownNode`]; [`Refused::Failed`].
pub async fn recheck(ledger: &SharedLedger, caller: &Caller) -> Result<(), Refused> {
    match ledger.node_auth(caller.node_id).await.map_err(Refused::Failed)? {
        None => Err(Refused::UnknownNode),
        Some(auth) if auth.revoked => Err(Refused::Revoked),
        Some(_) => Ok(()),
    }
}

/// [`recheck`], for what only a node gets that is still a store's: nobody took its place meanwhile.
///
/// # Errors
/// As [`recheck`]; [`Refused::Retired`].
pub async fn may_pull(ledger: &SharedLedger, caller: &Caller) -> Result<(), Refused> {
    match ledger.node_auth(caller.node_id).await.map_err(Refused::Failed)? {
        None => Err(Refused::UnknownNode),
        Some(auth) if auth.revoked => Err(Refused::Revoked),
        Some(auth) if auth.retired => Err(Refused::Retired),
        Some(_) => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Unknown,
    /// By one that was used since, or by one that was given out after it.
    Superseded(i64),
    FirstUse(i64),
    /// Made by this hub's key, and newer than any in its ledger.
    Ahead(i64),
    Good,
}

/// What a secret that is not in the ledger is, by the generation that the hub's key proves.
fn recognise(auth: &NodeAuth, generation: Option<i64>) -> Standing {
    let newest = auth.credentials.iter().map(|row| row.generation).max().unwrap_or(0);
    match generation {
        None => Standing::Unknown,
        Some(generation) if generation > newest => Standing::Ahead(generation),
        // Given out, and given up again because another one was asked for: a copy of the machine has that one.
        Some(generation) => Standing::Superseded(generation),
    }
}

fn last_used(auth: &NodeAuth) -> Option<i64> {
    auth.credentials.iter().filter(|row| row.used_ms.is_some()).map(|row| row.generation).max()
}

fn check(auth: &NodeAuth, claimed: &[u8; 32]) -> Standing {
    // No early end: how long this takes says nothing about which one fits.
    let mut found: Option<&CredentialRow> = None;
    for row in &auth.credentials {
        if same(&row.auth, claimed) {
            found = Some(row);
        }
    }
    match found {
        None => Standing::Unknown,
        Some(row) if last_used(auth).is_some_and(|last| row.generation < last) => Standing::Superseded(row.generation),
        Some(row) if row.used_ms.is_none() => Standing::FirstUse(row.generation),
        Some(_) => Standing::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(used: &[bool]) -> NodeAuth {
        let row = |(n, used): (usize, &bool)| CredentialRow {
            generation: n as i64 + 1,
            auth: [n as u8 + 1; 32],
            proof: [0; 32],
            used_ms: used.then_some(1),
        };
        let credentials = used.iter().enumerate().map(row).rev().collect();
        NodeAuth {
            store_code: "042".to_owned(),
            revoked: false,
            retired: false,
            machine: None,
            last_contact_ms: None,
            credentials,
        }
    }

    #[test]
    fn the_last_used_credential_and_newer_ones_are_good_and_older_ones_are_not() {
        assert_eq!(check(&auth(&[false]), &[1; 32]), Standing::FirstUse(1));
        assert_eq!(check(&auth(&[true]), &[1; 32]), Standing::Good);
        assert_eq!(check(&auth(&[true, false]), &[1; 32]), Standing::Good);
        assert_eq!(check(&auth(&[true, false]), &[2; 32]), Standing::FirstUse(2));
        assert_eq!(check(&auth(&[true, true]), &[1; 32]), Standing::Superseded(1));
        // The answer with the second one was lost, and a third one was issued.
        assert_eq!(check(&auth(&[true, false, false]), &[1; 32]), Standing::Good);
        assert_eq!(check(&auth(&[true, false, true]), &[2; 32]), Standing::Superseded(2));
        assert_eq!(check(&auth(&[true]), &[9; 32]), Standing::Unknown);
        // After a restore: one issued since the backup is good, one the key never made is not.
        assert_eq!(recognise(&auth(&[true, true]), Some(3)), Standing::Ahead(3));
        assert_eq!(recognise(&auth(&[true, true]), Some(2)), Standing::Superseded(2));
        assert_eq!(recognise(&auth(&[true, true]), None), Standing::Unknown);
    }

    #[test]
    fn a_bearer_is_an_id_and_a_secret() {
        let id = Uuid::from_u128(7);
        assert_eq!(parse_bearer(&format!("Bearer {id}.abc")), Some((id, "abc")));
        assert_eq!(parse_bearer(&format!("bearer {id}.abc")), Some((id, "abc")));
        for bad in [
            String::new(),
            "Bearer".into(),
            format!("Basic {id}.abc"),
            format!("Bearer {id}"),
            format!("Bearer {id}."),
            "Bearer x.y".into(),
            format!("Bearer {id}.{}", "a".repeat(200)),
        ] {
            assert_eq!(parse_bearer(&bad), None, "{bad}");
        }
    }
}
