//! The messages: complete in each language, and each one used.

use super::*;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use sync_protocol::record::vocabulary as v;

fn keys(lang: Lang) -> BTreeSet<&'static str> {
    lang.words().keys().collect()
}

/// The texts in which messages are named: templates and sources of every crate that makes pages.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = ["pages", "node", "hub"]
        .iter()
        .flat_map(|part| ["src", "templates", "assets"].map(|folder| root.join(part).join(folder)))
        .collect();
    // What mail says is named there.
    folders.push(root.join("desk/src/notifications"));
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("tests.rs") {
                // This file speaks of messages that are none.
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                found.push(text);
            }
        }
    }
    assert!(found.len() > 10, "the walk found almost nothing");
    found
}

/// Whatever stands between `open` and the next quote.
fn named(open: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in texts() {
        for (at, _) in text.match_indices(open) {
            let rest = &text[at + open.len()..];
            found.insert(rest[..rest.find('"').unwrap()].to_owned());
        }
    }
    found
}

#[test]
fn every_language_says_the_same_things() {
    let (en, es) = (keys(Lang::En), keys(Lang::Es));
    let only =
        |a: &BTreeSet<&str>, b: &BTreeSet<&str>| a.difference(b).map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!((only(&en, &es), only(&es, &en)), (Vec::new(), Vec::new()), "(English alone, Spanish alone)");
    assert!(en.len() > 100, "the messages were not read");
}

#[test]
fn every_message_that_a_page_names_is_there() {
    let there = keys(Lang::En);
    let plain = named(concat!(".t(", "\"")).into_iter().chain(named(concat!(".with(", "\"")));
    let counted = named(concat!(".n(", "\""))
        .into_iter()
        .flat_map(|key| [format!("{key}.one"), format!("{key}.other")]);
    let missing: Vec<String> = plain.chain(counted).filter(|key| !there.contains(key.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_message_is_used_somewhere() {
    let all = texts().join("\n");
    let unused: Vec<&str> = keys(Lang::En)
        .into_iter()
        .filter(|key| {
            let stem = key.strip_suffix(".one").or(key.strip_suffix(".other")).unwrap_or(key);
            let group = stem.rsplit_once('.').map_or(stem, |(group, _)| group);
            !all.contains(&format!("\"{stem}\""))
                && !all.contains(&format!(".of(\"{group}\""))
                && !all.contains(&format!("\"{group}\", "))
        })
        .collect();
    assert_eq!(unused, Vec::<&str>::new());
}

#[test]
fn every_word_of_a_vocabulary_has_a_name_in_every_language() {
    let groups = [
        ("category", v::CATEGORIES),
        ("status", v::STATUSES),
        ("zone", v::ZONES),
        ("precision", v::PRECISIONS),
        ("person_role", v::PERSON_ROLES),
        ("treatment", v::TREATMENTS),
        ("outcome", v::ITEM_OUTCOMES),
        ("role", v::ACCOUNT_ROLES),
        ("severity", &["1", "2", "3", "4", "5"]),
    ];
    for lang in Lang::ALL {
        let keys = keys(lang);
        for (group, words) in groups {
            for word in words {
                assert!(keys.contains(format!("{group}.{word}").as_str()), "{group}.{word} in {}", lang.tag());
            }
        }
    }
}

#[test]
fn holes_of_a_message_are_the_same_in_every_language() {
    let holes = |text: &str| {
        let mut found: Vec<char> =
            text.match_indices('{').filter_map(|(at, _)| text[at + 1..].chars().next()).collect();
        found.sort_unstable();
        found
    };
    let (en, es) = (Lang::En.words(), Lang::Es.words());
    for key in keys(Lang::En) {
        assert_eq!(holes(en.t(key)), holes(es.t(key)), "{key}");
    }
}

#[test]
fn what_is_put_into_a_message_is_not_looked_at_again() {
    let words = Words {
        lang: Lang::En,
        texts: BTreeMap::from([("a".to_owned(), "{0} and {1} {x} {".to_owned())]),
    };
    assert_eq!(words.with("a", &["{1}", "b"]), "{1} and b {x} {");
    assert_eq!(words.with("a", &[]), " and  {x} {");
}

#[test]
fn a_language_is_found_by_weight() {
    assert_eq!(Lang::accepted("de, es-MX;q=0.8, en;q=0.9"), Some(Lang::En));
    assert_eq!(Lang::accepted("es, en;q=0.9"), Some(Lang::Es));
    assert_eq!(Lang::accepted("en;q=0, es;q=0.1"), Some(Lang::Es));
    assert_eq!(Lang::accepted("fr"), None);
    assert_eq!(Lang::accepted(""), None);
}

#[test]
fn thousands_stand_apart_as_the_language_has_it() {
    assert_eq!(grouped(1_234_567, Lang::En), "1,234,567");
    assert_eq!(grouped(1234, Lang::En), "1,234");
    assert_eq!(grouped(1234, Lang::Es), "1234");
    assert_eq!(grouped(12_345, Lang::Es), "12.345");
    assert_eq!(grouped(0, Lang::En), "0");
}
