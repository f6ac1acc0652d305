//! Rules of the tree that neither Cargo nor clippy can hold: who may know whom, which crate is used where, how long a
//! file may be, words that have no place here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The longest source file outside the tests crate, in lines.
const MAX_LINES: usize = 600;
/// The longest `main.rs`: a start-up checklist.
const MAX_MAIN_LINES: usize = 130;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the tree that a person wrote, as path from the root and text.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" && name != "demo-data" {
                    folders.push(path);
                }
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((path, text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the walk found almost nothing");
    found
}

fn sources() -> Vec<(String, String)> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// Whether a file is there for tests only.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// The text without comments and without what follows `#[cfg(test)]`.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn check(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn manifest(path: &str) -> toml::Table {
    std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = manifest(&format!("{package}/Cargo.toml"));
    let tables = ["dependencies", "build-dependencies"];
    tables
        .iter()
        .filter_map(|name| manifest.get(*name)?.as_table())
        .flat_map(toml::Table::keys)
        .cloned()
        .collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("sync-protocol", &[][..]),
        ("chassis", &[]),
        ("desk", &["sync-protocol", "chassis"]),
        ("pages", &["sync-protocol", "chassis", "desk"]),
        ("node", &["sync-protocol", "chassis", "desk", "pages"]),
        ("hub", &["sync-protocol", "chassis", "desk", "pages"]),
        ("tests", &["sync-protocol", "chassis"]),
    ]);
    let ours = ["sync-protocol", "chassis", "desk", "pages", "aincident-node", "aincident-hub", "aincident-tests"];
    let members = manifest("Cargo.toml")["workspace"]["members"].clone();
    let members: BTreeSet<&str> = members.as_array().unwrap().iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(members, may.keys().copied().collect(), "a crate without a line in this test");
    let mut faults = Vec::new();
    for (package, allowed) in may {
        for dependency in dependencies(package) {
            if ours.contains(&dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("{package} may not know {dependency}"));
            }
        }
    }
    check(faults);
}

#[test]
fn the_protocol_does_no_input_and_output() {
    let forbidden = ["tokio", "async-trait", "futures", "reqwest", "axum", "rusqlite", "getrandom", "jiff"];
    let known = dependencies("sync-protocol");
    check(
        forbidden
            .iter()
            .filter(|name| known.contains(**name))
            .map(|name| format!("sync-protocol uses {name}"))
            .collect(),
    );
}

#[test]
fn versions_stand_in_the_workspace_table_only() {
    let mut faults = Vec::new();
    for package in ["sync-protocol", "chassis", "desk", "pages", "node", "hub", "tests"] {
        let manifest = manifest(&format!("{package}/Cargo.toml"));
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in manifest.get(table).and_then(toml::Value::as_table).into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    faults.push(format!("{package}: {name} does not say `workspace = true`"));
                }
            }
        }
    }
    check(faults);
}

#[test]
fn each_foreign_crate_is_used_in_its_place_only() {
    // What is looked for, and the places (beginnings of paths) where it may be.
    let places: [(&str, &[&str]); 6] = [
        ("rusqlite", &["chassis/src/sqlite", "desk/src/ledger/sqlite"]),
        ("refinery", &["chassis/src/sqlite", "desk/src/ledger/sqlite"]),
        ("reqwest", &["chassis/src/outbound"]),
        ("lettre", &["chassis/src/mail.rs"]),
        ("SystemTime::now", &["chassis/src/clock.rs"]),
        ("Timestamp::now", &["chassis/src/clock.rs"]),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) {
            continue;
        }
        let text = code(&text);
        for (word, allowed) in places {
            if text.contains(word) && !allowed.iter().any(|place| path.starts_with(place)) {
                faults.push(format!("{path} uses {word}, which belongs into {}", allowed.join(" or ")));
            }
        }
        let in_http = path.contains("/http/") || path.ends_with("/http.rs") || path.starts_with("chassis/src/http");
        // A binary joins routers; what a request is, its http modules know.
        let joins = path.ends_with("/main.rs") || path.ends_with("/app.rs") || path.ends_with("/lib.rs");
        if text.contains("axum::") && !in_http && !joins {
            faults.push(format!("{path} uses axum outside of http"));
        }
    }
    check(faults);
}

#[test]
fn sql_stays_in_the_ledger() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        if is_test(&path) || path.contains("/sqlite") {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            let sql = ["\"SELECT ", "\"INSERT INTO", "\"UPDATE ", "\"DELETE FROM", "\"CREATE TABLE", "\"PRAGMA"];
            if sql.iter().any(|word| line.contains(word)) {
                faults.push(format!(
                    "{path}: SQL outside of the ledger, near code line {}: {}",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    check(faults);
}

#[test]
fn no_file_is_too_long_to_read() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > MAX_LINES && !path.starts_with("tests/") {
            faults.push(format!("{path} has {lines} lines; {MAX_LINES} is the limit: look for a second noun in it"));
        }
        if lines > MAX_MAIN_LINES && (path == "node/src/main.rs" || path == "hub/src/main.rs") {
            faults.push(format!("{path} has {lines} lines; {MAX_MAIN_LINES} is the limit for a start-up checklist"));
        }
    }
    check(faults);
}

#[test]
fn words_that_mean_nothing_or_promise_something_are_not_used() {
    // Put together here, so that this file does not contain them itself.
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
    let empty_names = ["utils", "util", "common", "helpers", "helper", "manager", "types", "misc"];
    let mut faults = Vec::new();
    for (path, text) in files() {
        if !(path.ends_with(".lock") || path == "LICENSE") {
            for word in unfinished {
                if text.contains(word) {
                    faults.push(format!("{path} contains {word}"));
                }
            }
        }
        let name = Path::new(&path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let folders = Path::new(&path).parent().map(Path::iter).into_iter().flatten();
        let named = folders.map(|part| part.to_string_lossy().into_owned()).chain([name]);
        for part in named {
            if empty_names.contains(&part.as_str()) {
                faults.push(format!("{path}: {part} says nothing about what is in it"));
            }
        }
    }
    check(faults);
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    // Beginnings of absolute paths that no other machine need have.
    let paths = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut faults = Vec::new();
    for (path, text) in files() {
        for (number, line) in text.lines().enumerate() {
            // A path after a letter is a URL or a route.
            let named = paths.iter().any(|word| {
                line.match_indices(word)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '-'))
            });
            if named {
                faults.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    check(faults);
}

#[test]
fn a_module_lies_beside_its_folder() {
    let faults = sources().into_iter().filter(|(path, _)| path.ends_with("/mod.rs") && !is_test(path));
    check(faults.map(|(path, _)| format!("{path}: write foo.rs beside foo/")).collect());
}

#[test]
fn migrations_are_numbered_without_a_gap_and_every_one_is_applied() {
    let mut versions: Vec<(u32, String)> = Vec::new();
    // What a folder gets when it becomes a hub, on top of the numbered ones.
    let mut besides = Vec::new();
    for entry in std::fs::read_dir(root().join("migrations/sqlite")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        if name == "hub.sql" {
            besides.push((0, name));
            continue;
        }
        let parsed = name.strip_prefix('V').and_then(|rest| rest.split_once("__")).and_then(|(n, _)| n.parse().ok());
        versions.push((parsed.unwrap_or_else(|| panic!("{name} is not named V<number>__<what>.sql")), name));
    }
    versions.sort();
    let numbers: Vec<u32> = versions.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=versions.len() as u32).collect::<Vec<_>>());
    let ledger: String = sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with("desk/src/ledger/sqlite"))
        .map(|(_, text)| text)
        .collect();
    // Either the folder is embedded as a whole, or every file is named.
    let whole = ledger.contains("embed_migrations!");
    check(
        versions
            .into_iter()
            .chain(besides)
            .filter(|(_, name)| !whole && !ledger.contains(name))
            .map(|(_, name)| format!("{name} is not applied"))
            .collect(),
    );
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let faults = sources.filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"");
    check(faults.map(|source| format!("Cargo.lock names {source}")).collect());
}

#[test]
fn every_test_has_a_sentence_for_a_name_and_none_is_ignored_in_silence() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        if text.contains(concat!("#[ig", "nore]")) {
            faults.push(format!("{path}: a test is ignored and nothing says why"));
        }
        let mut lines = text.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            if line == "#[test]" || line.starts_with("#[tokio::test") {
                while lines.peek().is_some_and(|next| next.starts_with("#[")) {
                    lines.next();
                }
                let name =
                    lines.peek().and_then(|next| next.split("fn ").nth(1)).and_then(|rest| rest.split('(').next());
                if let Some(name) = name.filter(|name| name.matches('_').count() < 2) {
                    faults.push(format!("{path}: {name} is no sentence"));
                }
            }
        }
    }
    check(faults);
}

#[test]
fn the_tests_pause_in_one_place_only() {
    let pause = concat!("time::", "sleep(");
    // The simulator's pauses are of a time of its own.
    let places = ["tests/src/wait.rs", "tests/src/link.rs"];
    let faults = sources().into_iter().filter(|(path, text)| {
        path.starts_with("tests/")
            && text.contains(pause)
            && !path.starts_with("tests/sim/")
            && !places.contains(&path.as_str())
    });
    check(
        faults
            .map(|(path, _)| format!("{path} pauses: wait for what you wait for, with a deadline"))
            .collect(),
    );
}

#[test]
fn every_figure_that_alerts_and_dashboards_name_is_measured() {
    let sources: String = sources().into_iter().filter(|(path, _)| !is_test(path)).map(|(_, text)| text).collect();
    let mut faults = Vec::new();
    let mut named = 0;
    for (path, text) in files() {
        if !path.starts_with("packaging/prometheus/") && !path.starts_with("packaging/grafana/") {
            continue;
        }
        // A figure is a word before a brace: `up` and the alerts themselves are Prometheus's own.
        for (at, _) in text.match_indices('{') {
            let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
            let before = &text[..at];
            let word = &before[before.trim_end_matches(is_part).len()..];
            let figure = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
            if figure.is_empty() || figure == "up" || before.ends_with("ALERTS") {
                continue;
            }
            named += 1;
            if !sources.contains(&format!("\"{figure}\"")) {
                faults.push(format!("{path} names {figure}, which nothing measures"));
            }
        }
    }
    assert!(named > 50, "the walk found almost no figures");
    check(faults);
}

#[test]
fn the_package_tells_what_is_compiled_in_and_under_which_licences() {
    let told = std::process::Command::new(root().join("packaging/third-party.sh")).arg("aincident-node").output();
    let told = told.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8_lossy(&told.stdout);
    let (list, texts) = text.split_once("\n--------").unwrap();
    let named: BTreeSet<&str> = list.lines().filter_map(|line| line.split_once(' ')).map(|(name, _)| name).collect();
    let direct = dependencies("node")
        .into_iter()
        .filter(|name| !["chassis", "desk", "pages", "sync-protocol"].contains(&name.as_str()));
    check(
        direct
            .filter(|name| !named.contains(name.as_str()))
            .map(|name| format!("{name} is not named"))
            .collect(),
    );
    // Compiled in by libraries, from others: ring's and zstd's authors.
    for holder in ["BoringSSL", "Meta Platforms", "Permission is hereby granted, free of charge"] {
        assert!(texts.contains(holder), "the licence of {holder} is not there");
    }
}
