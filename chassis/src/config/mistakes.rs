//! Everything that is wrong with a configuration file, and where.
//!
//! A program stops at the first mistake; a person wants all of them. So each key is judged by itself, in a file that holds
//! nothing else, by the same code that the program starts with: whatever it says belongs to that key's line. One that needs
//! another one beside it is right when it is with any of those in its table, which may be in another file of the configuration.

use std::fmt;
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::{lay_over, read_all};
use super::{line_of, named};

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// Its line, counted from 1; none where the file as a whole is wrong.
    pub line: Option<usize>,
    /// What is wrong, in one line.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// One layer of settings from `text`; what is wrong with it in one line, without where.
///
/// # Errors
///
/// When the text is no TOML or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| error.message().replace('\n', " "))
}

/// All that is wrong with the TOML file `text`, in the order of its lines. `judge` says what is wrong with a file, in one line; it is
/// asked about each key by itself, and about the whole file when no key is wrong.
pub fn mistakes(text: &str, judge: impl Fn(&str) -> Result<(), String>) -> Vec<Mistake> {
    let values = match values(text) {
        Ok(values) => values,
        Err(found) => return found,
    };
    let mut found = wrong_keys(text, &values, &judge);
    if found.is_empty()
        && let Err(what) = judge(text)
    {
        found.push(Mistake { line: None, what });
    }
    found
}

/// What the file says, or why it is no TOML.
fn values(text: &str) -> Result<toml::Table, Vec<Mistake>> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mistake = |error: &toml::de::Error| Mistake {
            line: error.span().and_then(|span| line_of(text, span.start)),
            what: error.message().replace('\n', " "),
        };
        let mut found: Vec<_> = errors.iter().map(mistake).collect();
        found.sort_by_key(|mistake| mistake.line);
        return Err(found);
    }
    text.parse().map_err(|_| vec![Mistake { line: None, what: "is no TOML file".to_owned() }])
}

/// The keys of `text` that are wrong by themselves, and with any other one of `whole`, which is the configuration that it is part of.
fn wrong_keys(text: &str, whole: &toml::Table, judge: &impl Fn(&str) -> Result<(), String>) -> Vec<Mistake> {
    let (document, _) = DeTable::parse_recoverable(text);
    let Ok(values) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    below(text, document.get_ref(), (&values, whole), &mut Vec::new(), judge, &mut found);
    found.sort_by_key(|mistake| mistake.line);
    found
}

/// Judges each key of `table`, which lies below the keys `path`; its values are those of the file, and of the whole configuration.
fn below(
    text: &str,
    table: &DeTable<'_>,
    (values, whole): (&toml::Table, &toml::Table),
    path: &mut Vec<String>,
    judge: &impl Fn(&str) -> Result<(), String>,
    found: &mut Vec<Mistake>,
) {
    for (key, value) in table {
        let Some(plain) = values.get(key.get_ref().as_ref()) else {
            continue;
        };
        path.push(key.get_ref().to_string());
        let inner_whole =
            whole.get(key.get_ref().as_ref()).filter(|_| plain.is_table()).and_then(toml::Value::as_table);
        let is_right_beside = |(other, beside): (&String, &toml::Value)| {
            Some(other) != path.last() && judge(&pair(path, plain, other, beside)).is_ok()
        };
        let is_right_elsewhere = || match inner_whole {
            Some(whole) => judge(&alone(path, &toml::Value::Table(whole.clone()))).is_ok(),
            None => whole.iter().any(is_right_beside),
        };
        let wrong = judge(&alone(path, plain)).err().filter(|_| !is_right_elsewhere());
        if let Some(what) = wrong {
            let before = found.len();
            if let (DeValue::Table(inner), Some(values)) = (value.get_ref(), plain.as_table()) {
                below(text, inner, (values, inner_whole.unwrap_or(values)), path, judge, found);
            }
            // Not one of its keys by itself: the table. What is in other files, too, is judged as a whole in the end.
            if found.len() == before && inner_whole.is_none_or(|whole| Some(whole) == plain.as_table()) {
                found.push(Mistake { line: line(text, key), what });
            }
        }
        path.pop();
    }
}

/// A file that holds one key.
fn alone(path: &[String], value: &toml::Value) -> String {
    file(path, value.clone())
}

/// A file that holds the key and `other` beside it.
fn pair(path: &[String], value: &toml::Value, other: &str, beside: &toml::Value) -> String {
    let Some((key, above)) = path.split_last() else {
        return String::new();
    };
    let both = [(key.clone(), value.clone()), (other.to_owned(), beside.clone())];
    file(above, toml::Value::Table(toml::Table::from_iter(both)))
}

/// A file that holds `value` below the keys `path`.
fn file(path: &[String], value: toml::Value) -> String {
    let wrap = |value, key: &String| toml::Value::Table(toml::Table::from_iter([(key.clone(), value)]));
    // A table writes itself as a file, a value as what stands behind `=`.
    match path.iter().rev().fold(value, wrap) {
        toml::Value::Table(file) => file.to_string(),
        value => value.to_string(),
    }
}

/// The line of the key at `path`, counted from 1.
pub(super) fn line_at(text: &str, path: &[&str]) -> Option<usize> {
    let (document, _) = DeTable::parse_recoverable(text);
    let (key, above) = path.split_last()?;
    let mut table = document.get_ref();
    for name in above {
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
        let DeValue::Table(inner) = value.get_ref() else {
            return None;
        };
        table = inner;
    }
    let (key, _) = table.iter().find(|(spelled, _)| spelled.get_ref() == key)?;
    line(text, key)
}

fn line<T>(text: &str, key: &Spanned<T>) -> Option<usize> {
    line_of(text, key.span().start)
}

/// Tells on `out` what is wrong with the file at `path` and those of its [folder](super::folder_of), a line for each mistake, or one
/// JSON object.
///
/// # Errors
///
/// When anything is wrong, or a file cannot be read; one line.
pub fn check(
    path: &Path,
    judge: impl Fn(&str) -> Result<(), String>,
    json: bool,
    out: &mut impl Write,
) -> Result<(), String> {
    let files = read_all(path).map_err(|error| error.to_string())?;
    let mut whole = toml::Table::new();
    let mut found: Vec<(&Path, Mistake)> = Vec::new();
    for file in &files {
        match values(&file.text) {
            Ok(values) => lay_over(values, &mut whole),
            Err(mistakes) => found.extend(mistakes.into_iter().map(|mistake| (file.path.as_path(), mistake))),
        }
    }
    if found.is_empty() {
        for file in &files {
            let wrong = wrong_keys(&file.text, &whole, &judge);
            found.extend(wrong.into_iter().map(|mistake| (file.path.as_path(), mistake)));
        }
    }
    if found.is_empty()
        && let Err(what) = judge(&whole.to_string())
    {
        found.push((path, Mistake { line: None, what }));
    }
    // The last file that has the key is the one that counts.
    let placed = |(key, what): (&[&str], String)| {
        let last = files.iter().rev().find_map(|file| Some((file.path.as_path(), line_at(&file.text, key)?)));
        let (file, line) = last.map_or((path, None), |(file, line)| (file, Some(line)));
        (file, Mistake { line, what })
    };
    let named::Found { wrong, notes } = named::examine(&whole);
    found.extend(wrong.into_iter().map(placed));
    found.sort_by_key(|(file, mistake)| (files.iter().position(|one| one.path == *file), mistake.line));
    let notes: Vec<_> = notes.into_iter().map(placed).collect();
    let object = |(file, mistake): &(&Path, Mistake)| serde_json::json!({ "file": file, "line": mistake.line, "what": mistake.what });
    let told = if json {
        let files: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        let [mistakes, notes] = [&found, &notes].map(|all| all.iter().map(object).collect::<Vec<_>>());
        writeln!(out, "{}", serde_json::json!({ "file": path, "files": files, "mistakes": mistakes, "notes": notes }))
    } else {
        let mut lines = found.iter().chain(&notes);
        lines.try_for_each(|(file, mistake)| writeln!(out, "{}, {mistake}", file.display())).and_then(|()| {
            if found.is_empty() {
                let names: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
                writeln!(out, "{}: nothing is wrong", names.join(", "))
            } else {
                Ok(())
            }
        })
    };
    told.map_err(|cause| format!("cannot write to standard output: {cause}"))?;
    let Some((first, _)) = found.first() else {
        return Ok(());
    };
    let where_they_are = if found.iter().all(|(file, _)| file == first) {
        first.display().to_string()
    } else {
        format!("{} and beside it", path.display())
    };
    match found.len() {
        1 => Err(format!("1 mistake in {where_they_are}")),
        many => Err(format!("{many} mistakes in {where_they_are}")),
    }
}

/// A file that explains its keys, with all of them set: lines that begin with `#` and something else than a space are keys and
/// tables that are commented out.
#[must_use]
pub fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with([' ', '#']) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The keys of `T` that a file which explains them does not have, commented out or not: for a test of that file. Those of
/// `but` need not be there.
#[must_use]
pub fn keys_missing_in<T: DeserializeOwned>(text: &str, but: &[&str]) -> Vec<String> {
    let Ok(file) = uncommented(text).parse::<toml::Table>() else {
        return vec!["no TOML with all keys set".to_owned()];
    };
    let mut missing = Vec::new();
    for key in keys::<T>("").into_iter().filter(|key| !but.contains(&key.as_str())) {
        let inner = keys::<T>(&format!("[{key}]\n"));
        match file.get(&key) {
            None => missing.push(key),
            Some(table) => {
                let lacks = |name: &String| table.get(name).is_none();
                missing.extend(inner.into_iter().filter(lacks).map(|name| format!("{key}.{name}")));
            }
        }
    }
    missing
}

/// The keys that `T` takes in the table that `header` begins: those that it offers where it refuses one.
fn keys<T: DeserializeOwned>(header: &str) -> Vec<String> {
    let refused = parse::<T>(&format!("{header}\"?\" = 0\n")).err().unwrap_or_default();
    match refused.split_once("unknown field `?`") {
        Some((_, offered)) => offered.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Layer {
        port: Option<u16>,
        link: Option<Link>,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Link {
        pause_ms: Option<u64>,
        proxy: Option<bool>,
        user: Option<String>,
        secret: Option<String>,
    }

    fn all(text: &str) -> Vec<String> {
        let judge = |text: &str| {
            let layer: Layer = parse(text)?;
            if layer.port == Some(0) {
                return Err("port is 0; give 1 to 65535".to_owned());
            }
            match layer.link {
                Some(Link { pause_ms: Some(7), proxy: Some(true), .. }) => {
                    Err("a proxy wants longer pauses".to_owned())
                }
                Some(Link { user: Some(_), secret: None, .. } | Link { user: None, secret: Some(_), .. }) => {
                    Err("user and secret go together".to_owned())
                }
                _ => Ok(()),
            }
        };
        mistakes(text, judge).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        assert_eq!(all("# fine\nport = 80\n[link]\nproxy = true\n"), [""; 0]);
        let found = all("port = 0\nprot = 1\n\n[link]\npause_ms = 'long'\npoxy = true\n");
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[0], "line 1: port is 0; give 1 to 65535");
        assert!(found[1].starts_with("line 2: ") && found[1].contains("prot"), "{found:?}");
        assert!(found[2].starts_with("line 5: ") && found[3].starts_with("line 6: "), "{found:?}");
        // What needs another one beside it is no mistake because of a third.
        assert_eq!(all("[link]\nuser = 'a'\nsecret = 'b'\n"), [""; 0]);
        let found = all("[link]\nuser = 'a'\nsecret = 'b'\nproxy = 1\n");
        assert!(found.len() == 1 && found[0].starts_with("line 4: "), "{found:?}");
        assert_eq!(all("[link]\nuser = 'a'\nproxy = true\n"), ["line 2: user and secret go together"]);
        // Only together.
        assert_eq!(all("\n[link]\npause_ms = 7\nproxy = true\n"), ["line 2: a proxy wants longer pauses"]);
        let found = all("port = \nlink = [\n");
        assert!(!found.is_empty() && found[0].starts_with("line 1: "), "{found:?}");
    }

    #[test]
    fn a_key_that_a_file_does_not_explain_is_found_in_tables_too() {
        assert_eq!(
            keys_missing_in::<Layer>("# Text.\n#port = 1\n#[link]\n#pause_ms = 1\n#user = ''\n#secret = ''\n", &[]),
            ["link.proxy"]
        );
        assert_eq!(
            keys_missing_in::<Layer>("[link]\nproxy = true\nuser = ''\nsecret = ''\n", &["port"]),
            ["link.pause_ms"]
        );
        assert_eq!(uncommented("# a\n#b = 1\n##\nc = 2"), "# a\nb = 1\n##\nc = 2\n");
    }

    #[test]
    fn the_mistakes_of_a_file_are_told_for_people_and_for_machines() {
        let file = crate::folder::tests::scratch("mistakes").join("a.toml");
        let judge = |text: &str| parse::<Layer>(text).map(|_| ());
        assert!(check(&file, judge, false, &mut Vec::new()).unwrap_err().contains("a.toml"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "port = 1\nport2 = 2\n").unwrap();
        let (mut text, mut json) = (Vec::new(), Vec::new());
        assert!(check(&file, judge, false, &mut text).unwrap_err().starts_with("1 mistake in "));
        assert!(String::from_utf8(text).unwrap().contains("a.toml, line 2: "));
        let _ = check(&file, judge, true, &mut json);
        let told: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(told["mistakes"][0]["line"], 2);
        std::fs::write(&file, "port = 1\n").unwrap();
        assert_eq!(check(&file, judge, false, &mut Vec::new()), Ok(()));
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }

    #[test]
    fn mistakes_beside_a_file_are_told_with_their_own_names_and_what_goes_together_may_be_in_two_files() {
        let file = crate::folder::tests::scratch("mistakes-beside").join("a.toml");
        let beside = crate::config::folder_of(&file);
        std::fs::create_dir_all(&beside).unwrap();
        let judge = |text: &str| match parse::<Layer>(text)?.link {
            Some(Link { user: Some(_), secret: None, .. } | Link { user: None, secret: Some(_), .. }) => {
                Err("user and secret go together".to_owned())
            }
            Some(Link { pause_ms: Some(7), proxy: Some(true), .. }) => Err("a proxy wants longer pauses".to_owned()),
            _ => Ok(()),
        };
        let told = |file: &Path| {
            let mut out = Vec::new();
            let verdict = check(file, judge, false, &mut out);
            (verdict, String::from_utf8(out).unwrap())
        };
        std::fs::write(&file, "[link]\nuser = 'a'\n").unwrap();
        assert!(told(&file).1.contains("a.toml, line 2: user and secret go together"), "{:?}", told(&file));
        std::fs::write(beside.join("10.toml"), "[link]\nsecret = 'b'\n").unwrap();
        let (verdict, out) = told(&file);
        assert!(verdict.is_ok() && out.contains("a.d/10.toml: nothing is wrong"), "{verdict:?} {out}");
        std::fs::write(beside.join("20.toml"), "\n[link]\npoxy = true\n").unwrap();
        let (verdict, out) = told(&file);
        assert!(verdict.unwrap_err().ends_with("a.d/20.toml") && out.contains("a.d/20.toml, line 3: "), "{out}");
        // Each is right by itself, and with what lies beneath it no more.
        std::fs::write(beside.join("20.toml"), "[link]\nproxy = true\n").unwrap();
        std::fs::write(&file, "[link]\nuser = 'a'\npause_ms = 7\n").unwrap();
        let (verdict, out) = told(&file);
        assert!(verdict.is_err() && out.contains("a proxy wants longer pauses"), "{out}");
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    }
}
