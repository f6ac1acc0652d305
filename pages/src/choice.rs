//! Words to choose from, as a form offers them.

use crate::words::Words;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub text: String,
    /// Whether it is chosen.
    pub on: bool,
}

/// The words of a vocabulary under their names in `group`; `chosen` are on.
#[must_use]
pub fn choices(words: &Words, group: &str, vocabulary: &[&str], chosen: &[&str]) -> Vec<Choice> {
    vocabulary
        .iter()
        .map(|word| Choice {
            value: (*word).to_owned(),
            text: words.of(group, word).into_owned(),
            on: chosen.contains(word),
        })
        .collect()
}
