//! What a site depends on besides its folder: who else may look into what it keeps secret, the server of its mail, certificates that
//! somebody else renews.

use super::{Finding, Health};
use chassis::backup::series::ScheduleLayer;
use chassis::clock::format_rfc3339;
use chassis::disk::{Bounds, DiskLayer};
use chassis::folder::DataFolder;
use chassis::http::{TlsLayer, file_until_ms};
use chassis::mail::{MailConfig, MailLayer, Mailer};
use chassis::webhooks::{WebhookConfig, WebhookLayer, Webhooks};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A company's certificate that ends sooner is worth a word: three weeks, in milliseconds.
const ENDS_SOON_MS: i64 = 21 * 24 * 60 * 60 * 1000;
/// Files of the folder that are looked at, and of those that are wrong the ones that are named.
const MOST_LOOKED_AT: usize = 1000;
const MOST_NAMED: usize = 5;

/// What a site depends on, as its configuration file names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The configuration file, where there is one.
    pub config: Option<PathBuf>,
    /// The folder that backups are to be made in by themselves.
    pub(super) backups: Option<PathBuf>,
    /// From when on the disk has too little room.
    pub disk: Bounds,
    /// Whether a secret stands in it.
    holds_secret: bool,
    mail: Option<MailConfig>,
    webhooks: WebhookConfig,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    /// What of it cannot be used.
    faults: Vec<String>,
}

impl Surroundings {
    /// What the sections of the file say; `holds_secret`: one stands in the file itself. What cannot be used is told as a finding.
    #[must_use]
    pub fn of(
        config: Option<PathBuf>,
        holds_secret: bool,
        mail: Option<MailLayer>,
        webhooks: Option<WebhookLayer>,
        tls: Option<TlsLayer>,
        backup: Option<ScheduleLayer>,
        disk: Option<DiskLayer>,
    ) -> Self {
        let mut faults = Vec::new();
        let mail = mail.unwrap_or_default().settle().unwrap_or_else(|why| {
            faults.push(why);
            None
        });
        let webhooks = webhooks.unwrap_or_default().settle().unwrap_or_else(|why| {
            faults.push(why);
            WebhookConfig::default()
        });
        let backups = backup.unwrap_or_default().over(None).unwrap_or_else(|why| {
            faults.push(why);
            None
        });
        let disk = disk.unwrap_or_default().over(None).unwrap_or_else(|why| {
            faults.push(why);
            Bounds::default()
        });
        let TlsLayer { cert: certificate, key, .. } = tls.unwrap_or_default();
        Self {
            config,
            backups: backups.map(|schedule| schedule.folder),
            disk,
            holds_secret,
            mail,
            webhooks,
            certificate,
            key,
            faults,
        }
    }

    /// Looks all of it over. Asks the mail server, for 10 s at most.
    pub(super) async fn examine(&self, folder: &DataFolder, now_ms: i64) -> Vec<Finding> {
        let mut found = Vec::new();
        if !self.faults.is_empty() {
            let detail = format!("{}; see check-config", self.faults.join("; "));
            found.push(Finding::new("settings", Health::Fail, detail));
        }
        let (here, path) = (self.clone(), folder.path().to_owned());
        let looked = tokio::task::spawn_blocking(move || here.look(&path, now_ms)).await;
        found.extend(looked.unwrap_or_else(|gone| vec![Finding::new("access", Health::Fail, gone.to_string())]));
        if let Some(mail) = &self.mail {
            found.push(try_mail(mail).await);
        }
        found
    }

    /// What files say. Blocks.
    fn look(&self, folder: &Path, now_ms: i64) -> Vec<Finding> {
        let mut found = vec![self.access(folder)];
        if let Some(file) = &self.certificate {
            found.push(certificate(file, now_ms));
        }
        if self.webhooks.ca().is_some() {
            found.push(match Webhooks::new(self.webhooks.clone()) {
                Ok(_) => Finding::new("webhooks", Health::Ok, "the authority of webhooks.ca can be used"),
                Err(why) => Finding::new("webhooks", Health::Fail, format!("{why}; give a PEM file")),
            });
        }
        found
    }

    /// Who else may look into what is secret, and whose files are not the site's own.
    fn access(&self, folder: &Path) -> Finding {
        let own = match std::fs::metadata(folder) {
            Ok(own) => own,
            Err(error) => return Finding::new("access", Health::Fail, format!("{}: {error}", folder.display())),
        };
        let (mut broken, mut open) = (Vec::new(), Vec::new());
        if own.mode() & 0o077 != 0 {
            let (path, mode) = (folder.display(), own.mode() & 0o777);
            open.push(format!("others may look into {path} (mode {mode:o}): chmod 700 {path}"));
        }
        if let Some(files) = others(folder, &own) {
            let path = folder.display();
            broken.push(format!("{files} is not the folder's owner's: chown -R --reference={path} {path}"));
        }
        let password = self.mail.as_ref().and_then(MailConfig::password_file);
        for path in [password, self.key.as_deref()].into_iter().flatten() {
            match std::fs::File::open(path).and_then(|file| file.metadata()) {
                Ok(file) => open.extend(readable(path, &file)),
                Err(error) => broken.push(format!(
                    "{} cannot be read ({error}): it has to be there, and to belong to the account that serves (uid {})",
                    path.display(),
                    own.uid()
                )),
            }
        }
        if let Some(path) = self.config.as_deref().filter(|_| self.holds_secret)
            && let Ok(file) = std::fs::metadata(path)
        {
            open.extend(readable(path, &file));
        }
        let state = match (broken.is_empty(), open.is_empty()) {
            (false, _) => Health::Fail,
            (true, false) => Health::Warn,
            (true, true) => return Finding::new("access", Health::Ok, "what is secret is the site's alone"),
        };
        broken.append(&mut open);
        Finding::new("access", state, broken.join("; "))
    }
}

/// What to do where everybody may read a file that holds a secret.
fn readable(path: &Path, file: &Metadata) -> Option<String> {
    let path = path.display();
    (file.mode() & 0o007 != 0).then(|| {
        format!("everybody may read {path}, which holds a secret (mode {:o}): chmod o= {path}", file.mode() & 0o777)
    })
}

/// Files in the folder, and in the ones right beneath it, that another account made: the site could not write them.
fn others(folder: &Path, own: &Metadata) -> Option<String> {
    let inside = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let near: Vec<PathBuf> = inside(folder).take(MOST_LOOKED_AT).collect();
    let below = near.iter().filter(|path| path.is_dir() && !path.is_symlink()).flat_map(|path| inside(path));
    let is_others = |path: &PathBuf| path.symlink_metadata().is_ok_and(|file| file.uid() != own.uid());
    let found: Vec<String> = near
        .iter()
        .cloned()
        .chain(below.take(MOST_LOOKED_AT))
        .filter(is_others)
        .take(MOST_NAMED)
        .map(|path| path.display().to_string())
        .collect();
    (!found.is_empty()).then(|| found.join(", "))
}

/// Until when a certificate is good that somebody else renews.
fn certificate(file: &Path, now_ms: i64) -> Finding {
    let until_ms = match file_until_ms(file) {
        Ok(until_ms) => until_ms,
        Err(error) => return Finding::new("certificate", Health::Fail, error.to_string()),
    };
    let (path, until) = (file.display(), format_rfc3339(until_ms));
    let renew = "whoever gave it has to renew it; a newer file is taken within a minute";
    if until_ms <= now_ms {
        Finding::new("certificate", Health::Fail, format!("{path} is no longer good, since {until}: {renew}"))
    } else if until_ms - now_ms < ENDS_SOON_MS {
        Finding::new("certificate", Health::Warn, format!("{path} is good only until {until}: {renew}"))
    } else {
        Finding::new("certificate", Health::Ok, format!("{path} is good until {until}"))
    }
}

/// Whether the mail server would take something.
async fn try_mail(config: &MailConfig) -> Finding {
    let server = config.server();
    if !config.has_password_here() {
        let detail =
            format!("{server} was not tried: its password is handed over to the service alone (LoadCredential)");
        return Finding::new("mail", Health::Ok, detail);
    }
    let tried = match Mailer::new(config.clone()) {
        Ok(mailer) => mailer.try_out().await,
        Err(why) => Err(why),
    };
    match tried {
        Ok(()) => Finding::new("mail", Health::Ok, format!("{server} lets this site in; nothing was sent")),
        Err(why) => {
            let detail = format!(
                "{server} does not let this site in: {why}; see [mail], and try a test on the page Notifications"
            );
            Finding::new("mail", Health::Fail, detail)
        }
    }
}

#[cfg(test)]
mod tests;
