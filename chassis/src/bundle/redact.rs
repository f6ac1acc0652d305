//! Leaving out of a text what only the site itself may know.

use std::collections::BTreeSet;

/// Fields of log lines that may name a person or what a person named.
const HIDDEN_FIELDS: [&str; 11] =
    ["by", "detail", "file", "folder", "machine", "name", "path", "peer", "reason", "user", "username"];
/// Words at least this long that are made like a secret are taken for one.
const SECRET_CHARS: usize = 22;

/// Leaves out names that it was told, what looks like a secret or an address of mail, and fields of log lines that may hold a name.
#[derive(Debug)]
pub struct Redactor {
    names: BTreeSet<String>,
    /// What the machine is called, without its domain.
    host: Option<String>,
}

impl Redactor {
    /// One that knows these names; upper and lower case are the same.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names = names.into_iter().map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()).collect();
        Self { names, host: None }
    }

    /// The same, that knows what the machine is called: it may be what a person is called. `localhost` is everybody's.
    #[must_use]
    pub fn on_host(self, name: &str) -> Self {
        let host = name.trim().split('.').next().unwrap_or_default().to_lowercase();
        Self { host: Some(host).filter(|host| !host.is_empty() && host != "localhost"), ..self }
    }

    /// The text without them.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut cleaned = String::with_capacity(text.len());
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                cleaned.push('\n');
            }
            cleaned.push_str(&self.line(line));
        }
        cleaned
    }

    fn line(&self, line: &str) -> String {
        let mut line = fields(line);
        // Headquarters knows thousands of names: only those that are somewhere in the line are looked for letter by letter.
        let lower: String = line.chars().flat_map(char::to_lowercase).collect();
        let is_there = |name: &&String| name.contains(|c: char| !is_of_word(c)) && lower.contains(name.as_str());
        for name in self.names.iter().filter(is_there) {
            line = without(&line, name);
        }
        let mut cleaned = String::with_capacity(line.len());
        let mut rest = line.as_str();
        while let Some(from) = rest.find(is_of_word) {
            let (before, word) = rest.split_at(from);
            let (word, after) = word.split_at(word.find(|c| !is_of_word(c)).unwrap_or(word.len()));
            cleaned.push_str(before);
            cleaned.push_str(self.word(word));
            rest = after;
        }
        cleaned.push_str(rest);
        cleaned
    }

    fn word<'a>(&self, word: &'a str) -> &'a str {
        let trimmed = word.trim_matches(|c: char| ".-_".contains(c));
        let lower = trimmed.to_lowercase();
        if self.names.contains(&lower) {
            "(name)"
        } else if self.host.as_ref().is_some_and(|host| lower.split('.').any(|part| part == host)) {
            "(host)"
        } else if word.contains('@') {
            "(mail)"
        } else if is_secret(word) {
            "(secret)"
        } else {
            word
        }
    }
}

/// What a name, an address of mail or a secret is made of.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "-_.@+".contains(c)
}

/// Base64 of random bytes has letters of both kinds; ids, digests, routes and names of figures have no capitals.
fn is_secret(word: &str) -> bool {
    word.split(['.', '@', '+']).any(|part| {
        part.len() >= SECRET_CHARS
            && part.bytes().any(|c| c.is_ascii_uppercase())
            && part.bytes().any(|c| c.is_ascii_lowercase())
    })
}

/// The line without `name`, which is in lower case and more than one word.
fn without(line: &str, name: &str) -> String {
    let (mut cleaned, mut rest) = (String::new(), line);
    'next: while !rest.is_empty() {
        let mut lower = rest.char_indices().flat_map(|(at, c)| c.to_lowercase().map(move |l| (at + c.len_utf8(), l)));
        let mut end = 0;
        for expected in name.chars() {
            match lower.next() {
                Some((after, c)) if c == expected => end = after,
                _ => {
                    let first = rest.chars().next().map_or(0, char::len_utf8);
                    cleaned.push_str(&rest[..first]);
                    rest = &rest[first..];
                    continue 'next;
                }
            }
        }
        cleaned.push_str("(name)");
        rest = &rest[end..];
    }
    cleaned
}

/// A log line without the values of [`HIDDEN_FIELDS`], as text (`name=value`) and as JSON.
fn fields(line: &str) -> String {
    if line.starts_with('{')
        && let Ok(mut value) = serde_json::from_str::<serde_json::Value>(line)
    {
        hide(&mut value);
        return value.to_string();
    }
    let (mut cleaned, mut rest) = (String::with_capacity(line.len()), line);
    while let Some((name, from, value)) = field(rest) {
        cleaned.push_str(&rest[..value]);
        let until = field(&rest[value..]).map_or(rest.len(), |(_, next, _)| value + next);
        if HIDDEN_FIELDS.contains(&name) {
            cleaned.push_str("(hidden)");
        } else {
            cleaned.push_str(&rest[value..until]);
        }
        debug_assert!(from < value);
        rest = &rest[until..];
    }
    cleaned.push_str(rest);
    cleaned
}

/// The first ` name=` (or `{name=`) of a text: the name, where the white space before it is, and where its value begins.
fn field(text: &str) -> Option<(&str, usize, usize)> {
    text.match_indices('=').find_map(|(at, _)| {
        let before = &text[..at];
        let name = &before[before.trim_end_matches(|c: char| c.is_ascii_lowercase() || c == '_').len()..];
        let from = at - name.len();
        let is_field = !name.is_empty() && from > 0 && text[..from].ends_with([' ', '{']);
        is_field.then(|| (name, from - 1, at + 1))
    })
}

fn hide(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                if HIDDEN_FIELDS.contains(&name.as_str()) && !value.is_object() {
                    *value = "(hidden)".into();
                } else {
                    hide(value);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// A configuration file as it may be shown: which keys are set, numbers and switches, and the texts of the keys in `shown`.
#[must_use]
pub fn settings(text: &str, shown: &[&str]) -> String {
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            for (name, value) in &mut table {
                conceal(name, value, shown);
            }
            toml::to_string(&table).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
        }
        // Its message may quote a line.
        Err(_) => "# is no TOML file; check-config tells where\n".to_owned(),
    }
}

fn conceal(name: &str, value: &mut toml::Value, shown: &[&str]) {
    match value {
        toml::Value::Table(table) => table.iter_mut().for_each(|(name, value)| conceal(name, value, shown)),
        toml::Value::Array(items) => items.iter_mut().for_each(|item| conceal(name, item, shown)),
        toml::Value::String(text) if !shown.contains(&name) => "(set)".clone_into(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_secrets_and_mail_are_left_out_and_what_helps_stays() {
        let redactor = Redactor::new(["kim".to_owned(), "Søren Kierkegaard".to_owned(), "mia.o".to_owned()]);
        for (text, cleaned) in [
            ("Kim, kim. akimbo KIM", "(name), (name) akimbo (name)"),
            ("søren kierkegaard and SØREN Kierkegaard!", "(name) and (name)!"),
            ("mia.o mia", "(name) mia"),
            ("to a.b+c@shop.example now", "to (mail) now"),
            ("token 9Zk3vQ0aXw_7hJt2LmN4pRs6TuVy8Bc1De-FgHiJkLm", "token (secret)"),
            ("Bearer 019a0000-0000-7000-8000-000000000001.9Zk3vQ0aXw7hJt2LmN4pRs6", "Bearer (secret)"),
            ("node 019a0000-0000-7000-8000-000000000001", "node 019a0000-0000-7000-8000-000000000001"),
            ("configuration_reloads_total{outcome=\"done\"} 3", "configuration_reloads_total{outcome=\"done\"} 3"),
        ] {
            assert_eq!(redactor.clean(text), cleaned);
        }
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(redactor.clean(digest), digest);
        assert_eq!(redactor.clean("a\n\nb\n"), "a\n\nb\n");
    }

    #[test]
    fn what_the_machine_is_called_is_left_out_with_and_without_its_domain() {
        let redactor = Redactor::new([]).on_host("Ottilies-Till.store.example\n");
        let line =
            "2026-11-29T00:00:00+0000 ottilies-till aincident-node[7]: at https://OTTILIES-TILL.local:7710 till-1";
        let cleaned = "2026-11-29T00:00:00+0000 (host) aincident-node[7]: at https://(host):7710 till-1";
        assert_eq!(redactor.clean(line), cleaned);
        assert_eq!(Redactor::new([]).on_host("localhost").clean("localhost:7710"), "localhost:7710");
        assert_eq!(Redactor::new([]).on_host("").clean("a.b ."), "a.b .");
    }

    #[test]
    fn fields_that_may_name_a_person_are_hidden_in_text_and_in_json() {
        let redactor = Redactor::new([]);
        let line = "WARN inbox: not taken file=/in/J. Doe's door.jpg why=\"too large\" by=jd";
        assert_eq!(redactor.clean(line), "WARN inbox: not taken file=(hidden) why=\"too large\" by=(hidden)");
        let line = "request{id=abc name=Doe}: answered status=500";
        assert!(!redactor.clean(line).contains("Doe") && redactor.clean(line).contains("status=500"));
        let json = r#"{"level":"INFO","file":"Doe.jpg","span":{"username":"doe","id":7}}"#;
        let cleaned = redactor.clean(json);
        assert!(!cleaned.to_lowercase().contains("doe") && cleaned.contains("\"id\":7"), "{cleaned}");
    }

    #[test]
    fn a_configuration_shows_numbers_and_the_texts_that_were_chosen() {
        let text = "listen = 'x:1'\ncode = 'SECRET'\ncache_mib = 64\n[mail]\npassword = 'SECRET'\nto = ['a', 'b']\n";
        let shown = settings(text, &["listen"]);
        assert!(shown.contains("listen = \"x:1\"") && shown.contains("cache_mib = 64"), "{shown}");
        assert!(shown.contains("password = \"(set)\"") && !shown.contains("SECRET") && !shown.contains("\"a\""));
        assert!(!settings("code = 'SECRET", &[]).contains("SECRET"));
    }
}
