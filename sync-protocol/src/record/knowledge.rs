//! What this version knows of each kind, in a form that the next version can compare with its own.

use super::{ACCOUNT, COMMENT, ERASURE, INCIDENT, PHOTO, SETTINGS, SETTLEMENT, STEP, STORE, parts};
use std::collections::BTreeMap;

/// Every kind that this version knows, each with a digest of its fields and their rules: 16 hexadecimal characters.
///
/// A site keeps this beside its records. A program that finds another answer there knows what the one before it did not.
#[must_use]
pub fn knowledge() -> BTreeMap<String, String> {
    let known = [INCIDENT, COMMENT, PHOTO, STEP, STORE, ACCOUNT, SETTLEMENT, ERASURE, SETTINGS];
    let known = known.into_iter().map(|kind| {
        // Reworded rules give another digest too: the records are then made anew once more, and are the same.
        let digest = blake3::hash(format!("{:?}", parts(kind)).as_bytes()).to_hex();
        (kind.to_owned(), digest.chars().take(16).collect())
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_has_fields_is_known_and_no_two_are_alike() {
        let known = knowledge();
        assert_eq!(known, knowledge());
        let digests: std::collections::BTreeSet<&String> = known.values().collect();
        assert_eq!(digests.len(), known.len());
        assert!(known.keys().all(|kind| !parts(kind).is_empty()) && parts("weather").is_empty());
    }

    #[test]
    fn no_kind_that_has_a_name_in_the_code_is_left_out() {
        let named = include_str!("../record.rs").lines().filter_map(|line| {
            let (_, kind) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
            kind.strip_suffix("\";")
        });
        let named: std::collections::BTreeSet<String> = named.map(str::to_owned).collect();
        assert_eq!(
            named,
            knowledge().into_keys().collect(),
            "list it above, or what older programs kept of it is never shown"
        );
    }
}
