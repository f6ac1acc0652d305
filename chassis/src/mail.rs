//! Mail over SMTP to the company's own server, with a circuit breaker and figures as everything that goes out.
//!
//! `[mail]` of the configuration file says where the server is; the password is in a file of its own or a systemd credential, never in
//! an argument and never in a log. TLS is the rule: STARTTLS that the server has to offer, or TLS from the first byte.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::address::AddressError;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use metrics::{counter, gauge, histogram};
use serde::Deserialize;
use tokio::time::Instant;

use crate::config::{credential, password_in};
use crate::outbound::{Breaker, BreakerConfig, OutboundError, install_crypto};
use crate::secret::Redacted;
use crate::slow::{self, Kind};
use crate::webhooks::Undelivered;

/// What figures call the server.
const SERVICE: &str = "smtp";
/// How long a message may take from the connection to the server's word that it has it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to find out whether it would.
const PATIENCE_TO_TRY: Duration = Duration::from_secs(10);
/// The systemd credential that holds the password.
const CREDENTIAL: &str = "smtp-password";
/// Answers that are about the server or the account and not about the message: it closes; it wants another way of logging in; it does not
/// take the password. Whoever set it up mends that, and every message waits for it.
const NOT_OF_THE_MESSAGE: [u16; 5] = [421, 530, 534, 535, 538];
/// Longest answer of a server that is told to people, in characters.
const MOST_TOLD: usize = 200;

/// How the connection is kept from being listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Plain at first; the server has to offer TLS. Port 587.
    #[default]
    Starttls,
    /// TLS from the first byte. Port 465.
    Tls,
    /// None: for a server on the same machine. Port 25.
    None,
}

/// `[mail]` of a configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailLayer {
    /// The SMTP server.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`.
    pub tls: Option<MailTls>,
    /// Who mail is from.
    pub from: Option<String>,
    /// The account at the server.
    pub username: Option<String>,
    /// The file that holds its password; else the systemd credential `smtp-password`.
    pub password_file: Option<PathBuf>,
    /// PEM file of an authority that vouches for the server, besides the system's.
    pub ca: Option<PathBuf>,
}

/// Where mail goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailConfig {
    host: String,
    port: u16,
    tls: MailTls,
    from: Mailbox,
    username: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
}

impl MailLayer {
    /// What the layer says; none where there is no server.
    ///
    /// # Errors
    /// In one line, where settings lack each other or make no sense.
    pub fn settle(self) -> Result<Option<MailConfig>, String> {
        let (host, from) = match (self.host, self.from) {
            (None, None) => return Ok(None),
            (Some(host), Some(from)) => (host, from),
            (Some(_), None) => return Err("mail.host is given without a sender; give mail.from too".to_owned()),
            (None, Some(_)) => return Err("mail.from is given without a server; give mail.host too".to_owned()),
        };
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control() || "/@".contains(c)) {
            return Err(format!("mail.host is {host:?}; give a name such as smtp.example.com"));
        }
        let from = from.parse().map_err(|_: AddressError| {
            format!("mail.from is {from:?}; give an address such as incidents@example.com")
        })?;
        let tls = self.tls.unwrap_or_default();
        let is_here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if tls == MailTls::None && self.username.is_some() && !is_here {
            return Err(
                "mail.tls is none: the password would be readable on the network; give starttls or tls".to_owned()
            );
        }
        if self.username.is_none() && self.password_file.is_some() {
            return Err("mail.password_file is given without an account; give mail.username too".to_owned());
        }
        let usual = match tls {
            MailTls::Starttls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        };
        let port = self.port.unwrap_or(usual);
        let (username, password_file, ca) = (self.username, self.password_file, self.ca);
        Ok(Some(MailConfig { host, port, tls, from, username, password_file, ca }))
    }
}

/// A message to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The same in every try: part of the `Message-ID`.
    pub id: String,
    /// Addresses.
    pub to: Vec<String>,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// When it was written; milliseconds since 1970.
    pub at_ms: i64,
}

impl MailConfig {
    /// The server, as a person names it.
    #[must_use]
    pub fn server(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether this process has the password that belongs to the account, where there is one: systemd hands it to the service alone.
    #[must_use]
    pub fn has_password_here(&self) -> bool {
        self.username.is_none() || self.password_file.is_some() || matches!(credential(CREDENTIAL), Ok(Some(_)))
    }

    /// The file that holds the password, where one is named.
    #[must_use]
    pub fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }
}

/// Sends mail. Share it, its breaker is the point.
pub struct Mailer {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    breaker: Mutex<Breaker>,
    epoch: Instant,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Whether mail can be sent to `address`.
#[must_use]
pub fn is_address(address: &str) -> bool {
    address.parse::<Address>().is_ok()
}

impl Mailer {
    /// A mailer as `config` says. Connects to nobody yet.
    ///
    /// # Errors
    /// In one line, when the password or the authority's file cannot be read.
    pub fn new(config: MailConfig) -> Result<Self, String> {
        install_crypto();
        let MailConfig { host, port, tls, from, username, password_file, ca } = config;
        let parameters = || {
            let mut parameters = TlsParameters::builder(host.clone());
            if let Some(path) = &ca {
                let wrong = |cause: &dyn fmt::Display| format!("cannot use mail.ca, {}: {cause}", path.display());
                let pem = std::fs::read(path).map_err(|cause| wrong(&cause))?;
                let certificate = Certificate::from_pem(&pem).map_err(|cause| wrong(&cause))?;
                parameters = parameters.add_root_certificate(certificate);
            }
            parameters.build_rustls().map_err(|cause| format!("TLS for mail cannot be set up: {cause}"))
        };
        let tls = match tls {
            MailTls::Starttls => Tls::Required(parameters()?),
            MailTls::Tls => Tls::Wrapper(parameters()?),
            MailTls::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(PATIENCE));
        if let Some(username) = username {
            let password = password(password_file.as_deref())?;
            transport = transport.credentials(Credentials::new(username, password.into_exposed()));
        }
        Ok(Self {
            from,
            transport: transport.build(),
            breaker: Mutex::new(Breaker::new(BreakerConfig::default())),
            epoch: Instant::now(),
        })
    }

    /// The same, that leaves the server alone as `breaker` says.
    #[must_use]
    pub fn with_breaker_config(self, breaker: BreakerConfig) -> Self {
        Self { breaker: Mutex::new(Breaker::new(breaker)), ..self }
    }

    /// Goes as far as it can without sending anything: connects, greets, has the connection secured and logs in. Takes 10 s at most.
    ///
    /// # Errors
    /// In one line, what of it failed.
    pub async fn try_out(&self) -> Result<(), String> {
        match tokio::time::timeout(PATIENCE_TO_TRY, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it answers, and then hangs up".to_owned()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(format!("no answer within {} s", PATIENCE_TO_TRY.as_secs())),
        }
    }

    /// Hands `letter` to the server.
    ///
    /// # Errors
    /// When the server has not said that it has it.
    pub async fn send(&self, letter: Letter) -> Result<(), Undelivered> {
        let refused = match self.hand_over(letter.clone()).await {
            Err(Undelivered::ForGood(why)) if letter.to.len() > 1 => why,
            answer => return answer,
        };
        // One address that is gone must not keep the message from all others: each has it alone, and who has not is told.
        let mut without = Vec::new();
        for address in &letter.to {
            match self.hand_over(Letter { to: vec![address.clone()], ..letter.clone() }).await {
                Ok(()) => {}
                Err(Undelivered::ForGood(_)) => without.push(address.as_str()),
                Err(later) => return Err(later),
            }
        }
        match without.len() {
            0 => Ok(()),
            n if n == letter.to.len() => Err(Undelivered::ForGood(refused)),
            _ => Err(Undelivered::ForGood(format!("all have it but {}: {refused}", without.join(", ")))),
        }
    }

    async fn hand_over(&self, letter: Letter) -> Result<(), Undelivered> {
        let message = self.message(letter)?;
        if let Err(retry_in) = self.with_breaker(|breaker, now| breaker.admit(now)) {
            counter!("outbound_requests_total", "service" => SERVICE, "outcome" => "open").increment(1);
            return Err(Undelivered::Unasked { why: OutboundError::Open { retry_in }.to_string(), wait: retry_in });
        }
        let begun = Instant::now();
        let sent = tokio::time::timeout(PATIENCE, self.transport.send(message)).await;
        let took = begun.elapsed();
        histogram!("outbound_request_seconds", "service" => SERVICE).record(took.as_secs_f64());
        slow::note(Kind::Outbound, took, || format!("{SERVICE} a message"));
        // A server that refuses a message is a server that is there.
        let (outcome, told) = match sent {
            Ok(Ok(_)) => ("ok", Ok(())),
            Ok(Err(error)) if is_of_the_server(&error) => ("failed", Err(away(told(&error)))),
            Ok(Err(error)) if error.is_permanent() => {
                ("refused", Err(Undelivered::ForGood(format!("the mail server refuses it: {}", told(&error)))))
            }
            Ok(Err(error)) if error.is_transient() => (
                "refused",
                Err(Undelivered::ForNow(format!("the mail server does not take it now: {}", told(&error)))),
            ),
            Ok(Err(error)) => ("failed", Err(away(told(&error)))),
            Err(_) => ("failed", Err(away("no answer of the mail server in time".to_owned()))),
        };
        self.with_breaker(|breaker, now| if outcome == "failed" { breaker.failed(now) } else { breaker.succeeded() });
        counter!("outbound_requests_total", "service" => SERVICE, "outcome" => outcome).increment(1);
        told
    }

    fn message(&self, letter: Letter) -> Result<Message, Undelivered> {
        let wrong = |what: &str| Undelivered::ForGood(format!("the message cannot be made: {what}"));
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(letter.at_ms).unwrap_or(0));
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(one_line(&letter.subject))
            .date(at as SystemTime)
            .message_id(Some(format!("<{}@{}>", letter.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN);
        for address in &letter.to {
            let address = address.parse::<Address>().map_err(|_| wrong("an address is none"))?;
            message = message.to(Mailbox::new(None, address));
        }
        message.body(letter.text).map_err(|error| wrong(&error.to_string()))
    }

    fn with_breaker<T>(&self, f: impl FnOnce(&mut Breaker, Duration) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = f(&mut breaker, self.epoch.elapsed());
        gauge!("outbound_breaker_open", "service" => SERVICE).set(if breaker.is_closed() { 0.0 } else { 1.0 });
        answer
    }
}

fn is_of_the_server(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| NOT_OF_THE_MESSAGE.contains(&u16::from(code)))
}

fn away(why: String) -> Undelivered {
    Undelivered::Away { why, wait: Duration::ZERO }
}

/// The password that belongs to the account.
fn password(file: Option<&Path>) -> Result<Redacted<String>, String> {
    if let Some(path) = file {
        return password_in(path).map_err(|error| format!("mail.password_file: {error}"));
    }
    credential(CREDENTIAL).map_err(|error| error.to_string())?.ok_or_else(|| {
        format!("mail.username is given without its password; give mail.password_file, or the systemd credential {CREDENTIAL}")
    })
}

/// An error of the mail library with its causes, in one line of bounded length.
fn told(error: &lettre::transport::smtp::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = cause.source();
    }
    one_line(&text).chars().take(MOST_TOLD).collect()
}

/// A header never ends before its text does.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn settle(text: &str) -> Result<Option<MailConfig>, String> {
        parse::<MailLayer>(text)?.settle()
    }

    #[test]
    fn settings_that_need_each_other_are_judged_together() {
        assert_eq!(settle(""), Ok(None));
        let base = "host = 'smtp.example.com'\nfrom = 'Incidents <incidents@example.com>'\n";
        let plain = settle(base).unwrap().unwrap();
        assert_eq!((plain.port, plain.tls), (587, MailTls::Starttls));
        assert_eq!(settle(&format!("{base}tls = 'tls'")).unwrap().unwrap().port, 465);
        assert!(settle("host = 'smtp.example.com'").unwrap_err().contains("mail.from"));
        assert!(settle("from = 'a@example.com'").unwrap_err().contains("mail.host"));
        assert!(settle("host = 'a'\nfrom = 'nobody'").unwrap_err().contains("mail.from is"));
        assert!(settle("host = 'a b'\nfrom = 'a@example.com'").unwrap_err().contains("mail.host is"));
        assert!(settle(&format!("{base}tls = 'none'\nusername = 'kim'")).unwrap_err().contains("readable"));
        assert!(settle(&format!("{base}password_file = '/p'")).unwrap_err().contains("mail.username"));
        assert!(settle(&format!("{base}tls = 'maybe'")).is_err());
    }

    #[tokio::test]
    async fn a_letter_is_one_text_whose_header_ends_where_it_should() {
        let config = settle("host = '127.0.0.1'\ntls = 'none'\nfrom = 'Incidents <incidents@example.com>'").unwrap();
        let mailer = Mailer::new(config.unwrap()).unwrap();
        let letter = Letter {
            id: "msg_1".to_owned(),
            to: vec!["kim@example.com".to_owned(), "lee@example.com".to_owned()],
            subject: "042: robo\r\nBcc: all@example.com".to_owned(),
            text: "Überfall\n".to_owned(),
            at_ms: 1_795_132_800_000,
        };
        let text = String::from_utf8(mailer.message(letter.clone()).unwrap().formatted()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Message-ID: <msg_1@example.com>\r\n"), "{head}");
        assert!(head.contains("Date: Fri, 20 Nov 2026 00:00:00 +0000\r\n"), "{head}");
        assert!(head.contains("To: kim@example.com, lee@example.com\r\n"), "{head}");
        assert!(!head.contains("\r\nBcc") && head.contains("042: robo Bcc"), "{head}");
        assert!(head.contains("Content-Type: text/plain; charset=utf-8"), "{head}");
        let nobody = Letter { to: vec!["nobody".to_owned()], ..letter };
        assert!(matches!(mailer.message(nobody), Err(Undelivered::ForGood(_))));
        assert!(is_address("kim@example.com") && !is_address("kim") && !is_address("a@b\r\nRCPT TO:<c@d>"));
    }
}
