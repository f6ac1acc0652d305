//! The files that a configuration names: whether whoever asks can read them, and whether they are what they are to be.

use std::path::PathBuf;

use toml::Table;

use super::{credential_file, password_in};
use crate::http::tls::files;

/// A key and the tables that it is in, from the outside.
type Key = &'static [&'static str];

/// Keys that name certificate authorities.
const AUTHORITIES: [Key; 3] = [&["ca"], &["mail", "ca"], &["webhooks", "ca"]];
/// Keys that name a password's file.
const PASSWORDS: [Key; 1] = [&["mail", "password_file"]];
const CERTIFICATE: Key = &["tls", "cert"];
const KEY: Key = &["tls", "key"];

/// What is found, each with its key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What is wrong.
    pub(super) wrong: Vec<(Key, String)>,
    /// What only a start will tell.
    pub(super) notes: Vec<(Key, String)>,
}

/// Looks at every file that the configuration `table` names.
pub(super) fn examine(table: &Table) -> Found {
    let mut found = Found::default();
    let named = |path: Key| value_at(table, path);
    let mut wrong = |path: Key, outcome: Result<(), String>| {
        if let Err(what) = outcome {
            found.wrong.push((path, format!("{}: {what}", path.join("."))));
        }
    };
    for path in AUTHORITIES {
        if let Some(file) = named(path) {
            wrong(path, files::certificates(&file).map(drop).map_err(|error| error.to_string()));
        }
    }
    for path in PASSWORDS {
        if let Some(file) = named(path) {
            wrong(path, password_in(&file).map(drop));
        }
    }
    if let Some(cert) = named(CERTIFICATE) {
        let certificate = files::certificates(&cert).map(drop).map_err(|error| error.to_string());
        let is_whole = certificate.is_ok();
        wrong(CERTIFICATE, certificate);
        match named(KEY).or_else(|| credential_file("tls-key")) {
            Some(key) if is_whole => {
                wrong(KEY, files::pair(&cert, &key).map(drop).map_err(|error| error.to_string()));
            }
            Some(key) => wrong(KEY, files::key(&key).map(drop).map_err(|error| error.to_string())),
            None => {
                let what = "its key is not named: it is expected from the credential tls-key at start";
                found.notes.push((CERTIFICATE, what.to_owned()));
            }
        }
    }
    found
}

fn value_at(table: &Table, path: &[&str]) -> Option<PathBuf> {
    let (key, above) = path.split_last()?;
    let table = above.iter().try_fold(table, |table, name| table.get(*name)?.as_table())?;
    table.get(*key)?.as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn files_are_opened_and_what_is_wrong_with_them_is_told_with_their_key() {
        let at = scratch("files");
        let pair = || {
            let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            (pair.cert.pem(), pair.signing_key.serialize_pem())
        };
        let ((cert, key), (_, other)) = (pair(), pair());
        for (name, text) in [("cert", &cert), ("key", &key), ("other", &other), ("empty", &"\n".to_owned())] {
            std::fs::write(at.join(name), text).unwrap();
        }
        let here = at.display();
        let keys = |text: &str| {
            let found = examine(&text.parse().unwrap());
            let of = |found: Vec<(Key, String)>| {
                found.into_iter().map(|(key, what)| (key.join("."), what)).collect::<Vec<_>>()
            };
            (of(found.wrong), of(found.notes))
        };
        let right = format!(
            "ca = '{here}/cert'\n[tls]\ncert = '{here}/cert'\nkey = '{here}/key'\n[mail]\npassword_file = '{here}/key'\n"
        );
        assert_eq!(examine(&right.parse().unwrap()), Found::default());
        let (wrong, _) = keys(&format!(
            "ca = '{here}/key'\n[tls]\ncert = '{here}/cert'\nkey = '{here}/other'\n[mail]\nca = '{here}/gone'\npassword_file = '{here}/empty'\n"
        ));
        let told = ["ca", "mail.ca", "mail.password_file", "tls.key"];
        assert_eq!(wrong.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), told, "{wrong:?}");
        assert!(wrong[1].1.contains("gone") && wrong[3].1.contains("key for that certificate"), "{wrong:?}");
        // systemd hands the key over at start, not to whoever checks.
        let (wrong, notes) = keys(&format!("[tls]\ncert = '{here}/cert'\n"));
        assert_eq!(wrong, []);
        assert!(notes.len() == 1 && notes[0].0 == "tls.cert" && notes[0].1.contains("tls-key"), "{notes:?}");
    }
}
