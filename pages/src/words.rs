//! What pages say, in each language: one file of messages for each, compiled in.

mod rule;

use desk::notifications::letter::Wording;
use desk::notifications::rule::Language;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A language that pages speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Spanish.
    Es,
}

impl Lang {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::En, Self::Es];

    /// Its BCP 47 tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// What its speakers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Es => "Español",
        }
    }

    /// The language of a tag such as `es-MX`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|lang| lang.tag() == primary)
    }

    /// The first language of an `Accept-Language` header that pages speak, by its weights.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let at = chassis::http::accepted(header, &Self::ALL.map(Self::tag))?;
        Self::ALL.get(at).copied()
    }

    /// Its messages.
    #[must_use]
    pub fn words(self) -> &'static Words {
        static WORDS: OnceLock<[Words; 2]> = OnceLock::new();
        let all = WORDS.get_or_init(|| {
            [
                Words::read(Self::En, include_str!("../messages/en.toml")),
                Words::read(Self::Es, include_str!("../messages/es.toml")),
            ]
        });
        match self {
            Self::En => &all[0],
            Self::Es => &all[1],
        }
    }
}

/// The messages of one language.
#[derive(Debug)]
pub struct Words {
    lang: Lang,
    texts: BTreeMap<String, String>,
}

impl Words {
    fn read(lang: Lang, file: &str) -> Self {
        let mut texts = BTreeMap::new();
        match file.parse::<toml::Table>() {
            Ok(table) => flatten("", &table, &mut texts),
            // A test reads every file; there is no way to come here with a program that passed it.
            Err(error) => tracing::error!(%error, lang = lang.tag(), "the messages cannot be read"),
        }
        Self { lang, texts }
    }

    /// The language.
    #[must_use]
    pub const fn lang(&self) -> Lang {
        self.lang
    }

    /// The message under `key`; the key itself where there is none.
    #[must_use]
    pub fn t<'a>(&'a self, key: &'a str) -> &'a str {
        self.texts.get(key).map_or(key, String::as_str)
    }

    /// The message under `group` and `name`: what a word of a vocabulary is called. A word of a later version is shown as it is.
    #[must_use]
    pub fn of<'a>(&'a self, group: &str, name: &'a str) -> Cow<'a, str> {
        match self.texts.get(&format!("{group}.{name}")) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(name.replace('_', " ")),
        }
    }

    /// The message under `key` with `{0}`, `{1}` … put in.
    #[must_use]
    pub fn with(&self, key: &str, values: &[&str]) -> String {
        let mut text = self.t(key);
        let mut out = String::with_capacity(text.len() + 32);
        // One pass: what is put in is never looked at again, whatever it says.
        while let Some(at) = text.find('{') {
            out.push_str(&text[..at]);
            let rest = &text[at + 1..];
            let hole = rest.split_once('}').and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
            match hole {
                Some((number, after)) => {
                    out.push_str(values.get(number).copied().unwrap_or_default());
                    text = after;
                }
                None => {
                    out.push('{');
                    text = rest;
                }
            }
        }
        out.push_str(text);
        out
    }

    /// Like [`Words::with`] for a number: `key.one` or `key.other`, with the number as `{0}`.
    #[must_use]
    pub fn n(&self, key: &str, number: u64) -> String {
        let form = if number == 1 { "one" } else { "other" };
        self.with(&format!("{key}.{form}"), &[&grouped(number, self.lang)])
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64, lang: Lang) -> String {
    let digits = number.to_string();
    // Spanish leaves four digits together.
    if digits.len() <= 3 || (lang == Lang::Es && digits.len() == 4) {
        return digits;
    }
    let separator = match lang {
        Lang::En => ',',
        Lang::Es => '.',
    };
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(separator);
        }
        out.push(digit);
    }
    out
}

/// Mail of notifications, worded by the same messages as pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Letters;

impl Letters {
    const fn lang(language: Language) -> Lang {
        match language {
            Language::En => Lang::En,
            Language::Es => Lang::Es,
        }
    }
}

impl Wording for Letters {
    fn with(&self, language: Language, key: &str, values: &[&str]) -> String {
        Self::lang(language).words().with(key, values)
    }

    fn of(&self, language: Language, group: &str, name: &str) -> String {
        Self::lang(language).words().of(group, name).into_owned()
    }
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(table) => flatten(&key, table, into),
            toml::Value::String(text) => {
                into.insert(key, text.clone());
            }
            _ => tracing::error!(key, "a message is no text"),
        }
    }
}

#[cfg(test)]
mod tests;
