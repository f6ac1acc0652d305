//! Enrolment codes: made for one store, shown once, good once and for a day. The hub keeps their hash only.

use chassis::ids::Ids;
use sync_protocol::message::normal_code;

/// How long a code is good, in milliseconds: 24 hours.
pub const GOOD_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// What a code is made of: nothing that reads like something else over the telephone or on a label.
const ALPHABET: &[u8; 31] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789";
/// Characters in a code: 31^12 is more than 2^59.
const LENGTH: usize = 12;
/// Bytes from here on would make the first letters of the alphabet likelier than the others.
const FAIR: u8 = 248;

/// A new code as a person reads it: `XXXX-XXXX-XXXX`.
#[must_use]
pub fn make(ids: &Ids) -> String {
    let mut code = String::with_capacity(LENGTH + 2);
    let mut letters = 0;
    while letters < LENGTH {
        let [byte] = ids.random_bytes::<1>();
        let Some(letter) = ALPHABET.get(usize::from(byte % 31)).filter(|_| byte < FAIR) else {
            continue;
        };
        if letters > 0 && letters % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(*letter));
        letters += 1;
    }
    code
}

/// What the hub keeps of a code, however it was typed.
#[must_use]
pub fn hash(typed: &str) -> [u8; 32] {
    *blake3::hash(normal_code(typed).as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_twelve_clear_characters_in_three_groups() {
        let ids = Ids::seeded(1);
        for _ in 0..200 {
            let code = make(&ids);
            let groups: Vec<&str> = code.split('-').collect();
            assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4, 4, 4]);
            assert!(code.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{code}");
            assert!(!code.contains(['0', 'O', '1', 'I', 'L']), "{code}");
        }
        assert_ne!(make(&ids), make(&ids));
    }

    #[test]
    fn case_spaces_and_dashes_make_no_difference() {
        assert_eq!(hash("ABCD-EFGH-JKMN"), hash(" abcd efgh-jkmn\n"));
        assert_ne!(hash("ABCD-EFGH-JKMN"), hash("ABCD-EFGH-JKMP"));
    }
}
