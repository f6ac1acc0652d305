//! The files that a configuration names: whether whoever asks can read them, and whether they are what they are to be.

use std::path::{Path, PathBuf};

use super::credential_file;
use super::mistakes::{Mistake, line_at};
use crate::http::tls::files;

/// Keys that name certificate authorities.
const AUTHORITIES: [&[&str]; 3] = [&["ca"], &["mail", "ca"], &["webhooks", "ca"]];
/// Keys that name a password's file.
const PASSWORDS: [&[&str]; 1] = [&["mail", "password_file"]];
const CERTIFICATE: &[&str] = &["tls", "cert"];
const KEY: &[&str] = &["tls", "key"];

/// What is found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What is wrong.
    pub(super) mistakes: Vec<Mistake>,
    /// What only a start will tell.
    pub(super) notes: Vec<Mistake>,
}

/// Looks at every file that the configuration `text` names; where it is no TOML nothing is found.
pub(super) fn examine(text: &str) -> Found {
    let mut found = Found::default();
    let Ok(table) = text.parse::<toml::Table>() else {
        return found;
    };
    let named = |path: &[&str]| value_at(&table, path);
    let mut wrong = |path: &[&str], outcome: Result<(), String>| {
        if let Err(what) = outcome {
            let what = format!("{}: {what}", path.join("."));
            found.mistakes.push(Mistake { line: line_at(text, path), what });
        }
    };
    for path in AUTHORITIES {
        if let Some(file) = named(path) {
            wrong(path, files::certificates(&file).map(drop).map_err(|error| error.to_string()));
        }
    }
    for path in PASSWORDS {
        if let Some(file) = named(path) {
            wrong(path, password(&file));
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
            None => found.notes.push(Mistake {
                line: line_at(text, CERTIFICATE),
                what: "its key is not named: it is expected from the credential tls-key at start".to_owned(),
            }),
        }
    }
    found
}

fn value_at(table: &toml::Table, path: &[&str]) -> Option<PathBuf> {
    let (key, above) = path.split_last()?;
    let table = above.iter().try_fold(table, |table, name| table.get(*name)?.as_table())?;
    table.get(*key)?.as_str().map(PathBuf::from)
}

fn password(file: &Path) -> Result<(), String> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.trim().is_empty() => Err(format!("{} is empty; it has to hold the password", file.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {error}; check the path and who owns it", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    #[test]
    fn files_are_opened_and_what_is_wrong_with_them_is_told_with_the_line_of_their_key() {
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
        let lines = |text: &str| {
            let found = examine(text);
            let of = |found: Vec<Mistake>| found.iter().map(Mistake::to_string).collect::<Vec<_>>();
            (of(found.mistakes), of(found.notes))
        };
        let right = format!(
            "ca = '{here}/cert'\n[tls]\ncert = '{here}/cert'\nkey = '{here}/key'\n[mail]\npassword_file = '{here}/key'\n"
        );
        assert_eq!(examine(&right), Found::default());
        let (wrong, _) = lines(&format!(
            "ca = '{here}/key'\n[tls]\ncert = '{here}/cert'\nkey = '{here}/other'\n[mail]\nca = '{here}/gone'\npassword_file = '{here}/empty'\n"
        ));
        let told = ["line 1: ca: ", "line 6: mail.ca: ", "line 7: mail.password_file: ", "line 4: tls.key: "];
        assert_eq!(wrong.len(), told.len(), "{wrong:?}");
        for (line, begin) in wrong.iter().zip(told) {
            assert!(line.starts_with(begin), "{line}");
        }
        assert!(wrong[1].contains("gone") && wrong[3].contains("key for that certificate"), "{wrong:?}");
        // systemd hands the key over at start, not to whoever checks.
        let (wrong, notes) = lines(&format!("[tls]\ncert = '{here}/cert'\n"));
        assert_eq!(wrong, [""; 0]);
        assert!(notes.len() == 1 && notes[0].starts_with("line 2: ") && notes[0].contains("tls-key"), "{notes:?}");
        assert_eq!(examine("no toml"), Found::default());
    }
}
