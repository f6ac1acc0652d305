//! How each side proves who it is: keys that follow from a credential, and the proof of an answer.

/// What a hub keeps of a credential: neither half gives the secret away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialKeys {
    /// Compared, in constant time, with what a request brings.
    pub auth: [u8; 32],
    /// Signs the answers.
    pub proof: [u8; 32],
}

/// The keys that follow from a credential's secret.
#[must_use]
pub fn credential_keys(secret: &str) -> CredentialKeys {
    CredentialKeys {
        auth: blake3::derive_key("aincident 2026-11 node credential: auth", secret.as_bytes()),
        proof: blake3::derive_key("aincident 2026-11 node credential: proof", secret.as_bytes()),
    }
}

/// The proof that an answer comes from the hub that knows `key` and belongs to the request with `nonce`.
///
/// `BLAKE3 keyed hash (proof key)` over `nonce ‖ "\n" ‖ status as three digits ‖ "\n" ‖ body before any content coding`,
/// as hexadecimal.
#[must_use]
pub fn proof(key: &[u8; 32], nonce: &str, status: u16, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(nonce.as_bytes());
    hasher.update(format!("\n{status:03}\n").as_bytes());
    hasher.update(body);
    hasher.finalize().to_hex().to_string()
}

/// Whether `claimed` is [`proof`] of the rest; takes the same time whatever differs.
#[must_use]
pub fn proves(claimed: &str, key: &[u8; 32], nonce: &str, status: u16, body: &[u8]) -> bool {
    let Ok(claimed) = blake3::Hash::from_hex(claimed.as_bytes()) else {
        return false;
    };
    let Ok(right) = blake3::Hash::from_hex(proof(key, nonce, status, body).as_bytes()) else {
        return false;
    };
    // `blake3::Hash` compares in constant time.
    claimed == right
}
