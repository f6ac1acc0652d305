//! Webhooks by the Standard Webhooks specification: a POST that says who sent it, when, and that nobody altered it.
//!
//! Three headers: `webhook-id` (the same in every try of one message, so that a receiver can leave out repeats),
//! `webhook-timestamp` (seconds since 1970, of the try) and `webhook-signature` (`v1,` and the base64 of the HMAC-SHA256 of
//! `ID.TIMESTAMP.BODY` under the receiver's secret).
//!
//! Where a webhook may go: to a name over HTTPS, whose certificate has to be good and that leads to another machine; to anything else
//! only where the configuration names it ([`WebhookLayer`]). Redirects are not followed. So whoever may write an address in a form
//! cannot have this program ask what listens beside it. Nor is it told more of a receiver that cannot be reached than that: whether a
//! port is closed, silent or speaks something else is for the log.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::ids::Ids;
use crate::outbound::{BreakerConfig, Method, Outbound, OutboundConfig, OutboundError, Url, retry_after};
use crate::secret::Redacted;

/// What a secret begins with in text.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here; the specification allows 24 to 64.
const SECRET_BYTES: usize = 32;
/// Longest address, in characters.
pub const MOST_URL: usize = 2000;
/// How long a receiver may take, connection included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Receivers with a breaker of their own; beyond that all are forgotten and begin anew.
const MOST_RECEIVERS: usize = 64;

/// `[webhooks]` of a configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookLayer {
    /// Receivers that may be reached though they are plain HTTP or an address rather than a name: `http://127.0.0.1:9000`.
    pub allow: Option<Vec<String>>,
    /// PEM file of an authority that vouches for receivers, besides the system's.
    pub ca: Option<PathBuf>,
}

/// Where webhooks may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookConfig {
    allow: Vec<String>,
    ca: Option<PathBuf>,
}

impl WebhookConfig {
    /// The file of an authority that vouches for receivers, where one is named.
    #[must_use]
    pub fn ca(&self) -> Option<&std::path::Path> {
        self.ca.as_deref()
    }
}

impl WebhookLayer {
    /// What the layer says.
    ///
    /// # Errors
    /// In one line, where something that is to be allowed is no address.
    pub fn settle(self) -> Result<WebhookConfig, String> {
        let mut allow = Vec::new();
        for text in self.allow.unwrap_or_default() {
            let wrong = || format!("webhooks.allow has {text:?}; give addresses such as http://127.0.0.1:9000");
            let url = Url::parse(&text).map_err(|_| wrong())?;
            let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
            if !matches!(url.scheme(), "http" | "https") || !is_bare {
                return Err(wrong());
            }
            allow.push(origin(&url).ok_or_else(wrong)?);
        }
        Ok(WebhookConfig { allow, ca: self.ca })
    }
}

/// Who receives what is sent to `url`: scheme, host and port; empty where it is no address.
#[must_use]
pub fn receiver(url: &str) -> String {
    Url::parse(url).ok().as_ref().and_then(origin).unwrap_or_default()
}

/// Scheme, host and port.
fn origin(url: &Url) -> Option<String> {
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}

/// What a receiver checks signatures with.
#[derive(Clone)]
pub struct Secret(Redacted<Vec<u8>>);

impl Secret {
    /// A fresh one.
    #[must_use]
    pub fn make(ids: &Ids) -> Self {
        Self(Redacted::new(ids.random_bytes::<SECRET_BYTES>().to_vec()))
    }

    /// The secret that `text` (`whsec_…`) spells; none where it does not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then(|| Self(Redacted::new(bytes)))
    }

    /// As it is told to the receiver, once.
    #[must_use]
    pub fn spell(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose()))
    }

    /// The value of `webhook-signature`.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let head = format!("{id}.{timestamp_s}.");
        format!("v1,{}", STANDARD.encode(hmac_sha256(self.0.expose(), &[head.as_bytes(), body])))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// RFC 2104 over SHA-256.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0_u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let mut inner = Sha256::new();
    inner.update(pad(0x36));
    for part in parts {
        inner.update(part);
    }
    let mut outer = Sha256::new();
    outer.update(pad(0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// Why something did not arrive; in words, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// It was not tried: the receiver failed repeatedly and is left alone for so long.
    Unasked {
        /// Why.
        why: String,
        /// Until it is asked again.
        wait: Duration,
    },
    /// The receiver is not there, or takes nothing for now.
    Away {
        /// Why.
        why: String,
        /// How long it wants to be left alone; zero where it has not said.
        wait: Duration,
    },
    /// The receiver may take it later.
    ForNow(String),
    /// It never will.
    ForGood(String),
}

/// Sends webhooks; each receiver has its own breaker and figures. Share it.
#[derive(Debug)]
pub struct Webhooks {
    config: WebhookConfig,
    ca_pem: Option<Vec<u8>>,
    breaker: BreakerConfig,
    receivers: Mutex<HashMap<String, Arc<Outbound>>>,
}

impl Webhooks {
    /// Webhooks to where `config` lets them go.
    ///
    /// # Errors
    /// In one line, when the authority's file cannot be used.
    pub fn new(config: WebhookConfig) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|cause| format!("cannot read webhooks.ca, {}: {cause}", path.display()))
        };
        let ca_pem = config.ca.as_ref().map(read).transpose()?;
        let webhooks = Self { config, ca_pem, breaker: BreakerConfig::default(), receivers: Mutex::default() };
        // So that a file that holds no certificate is told at the start and not with the first message. A client without one is made
        // when there is something to send: it costs milliseconds and memory.
        if webhooks.ca_pem.is_some() {
            webhooks.client("start", true).map_err(|error| format!("webhooks.ca: {error}"))?;
        }
        Ok(webhooks)
    }

    /// The same, that leave receivers alone as `breaker` says.
    #[must_use]
    pub fn with_breaker_config(mut self, breaker: BreakerConfig) -> Self {
        self.breaker = breaker;
        self
    }

    /// The address that `text` is, where a webhook may go to it.
    ///
    /// # Errors
    /// In words, for whoever typed it.
    pub fn target(&self, text: &str) -> Result<Url, String> {
        if text.chars().count() > MOST_URL {
            return Err(format!("must be at most {MOST_URL} characters"));
        }
        let url = Url::parse(text).map_err(|_| "must be an address such as https://example.com/hook".to_owned())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no username and no password: the signature says who sends".to_owned());
        }
        let origin = origin(&url).ok_or("must be an address such as https://example.com/hook")?;
        if self.config.allow.contains(&origin) {
            return Ok(url);
        }
        if url.scheme() != "https" {
            return Err("must be https; the configuration can allow others, under webhooks.allow".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost") {
            return Err(
                "must be a name and no address; the configuration can allow others, under webhooks.allow".to_owned()
            );
        }
        Ok(url)
    }

    /// Sends `body` (JSON) to `url` as the message `id`.
    ///
    /// # Errors
    /// When nobody has acknowledged it with a 2xx.
    pub async fn send(
        &self,
        url: &str,
        secret: &Secret,
        id: &str,
        timestamp_s: i64,
        body: Vec<u8>,
    ) -> Result<(), Undelivered> {
        // Again, though it was looked at when it was typed: the configuration may have changed since.
        let url = self.target(url).map_err(|why| Undelivered::ForGood(format!("the address {why}")))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let client = self.receiver(&url).map_err(|error| Undelivered::ForNow(error.to_string()))?;
        let signature = secret.sign(id, timestamp_s, &body);
        let request = client
            .build(Method::POST, url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", signature)
            .body(body)
            .build()
            .map_err(|_| Undelivered::ForGood("the request cannot be made".to_owned()))?;
        let answer = client.request(request).await.map_err(|error| unreached(&host, error))?;
        let status = answer.status();
        let says = |more: &str| format!("the receiver answers {}{more}", status.as_u16());
        let wait = retry_after(answer.headers(), timestamp_s.saturating_mul(1000)).unwrap_or_default();
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::GONE => Err(Undelivered::ForGood(says(": it wants no more"))),
            _ if status.is_redirection() => Err(Undelivered::ForNow(says(": redirects are not followed"))),
            StatusCode::TOO_MANY_REQUESTS => Err(Undelivered::Away { why: says(": it was asked too often"), wait }),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Err(Undelivered::ForNow(says(""))),
            _ if status.is_client_error() => Err(Undelivered::ForGood(says(": it refuses the message"))),
            _ => Err(Undelivered::Away { why: says(""), wait }),
        }
    }

    /// Forgets every receiver but those of `urls`, and with it what its figure says: nobody sends there any more.
    pub fn keep_only<'a>(&self, urls: impl Iterator<Item = &'a str>) {
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        if !receivers.is_empty() {
            let kept: HashSet<String> = urls.filter_map(|url| origin(&Url::parse(url).ok()?)).collect();
            receivers.retain(|authority, _| kept.contains(authority));
        }
    }

    fn receiver(&self, url: &Url) -> Result<Arc<Outbound>, OutboundError> {
        let authority = origin(url).unwrap_or_default();
        let mut receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = receivers.get(&authority) {
            return Ok(Arc::clone(known));
        }
        if receivers.len() == MOST_RECEIVERS {
            // With its client goes what its figure says: it would say so until the program's end.
            receivers.clear();
        }
        let away_only = !self.config.allow.contains(&authority);
        let made = Arc::new(self.client(url.host_str().unwrap_or_default(), away_only)?);
        receivers.insert(authority, Arc::clone(&made));
        Ok(made)
    }

    fn client(&self, host: &str, away_only: bool) -> Result<Outbound, OutboundError> {
        let config = OutboundConfig {
            total_timeout: Some(PATIENCE),
            extra_ca_pem: self.ca_pem.clone(),
            away_only,
            breaker: self.breaker,
            ..OutboundConfig::default()
        };
        // Whoever knows the path may post there: many receivers ask for nothing else.
        Outbound::new(format!("webhook:{host}"), config).map(Outbound::with_secret_paths)
    }
}

/// Why a receiver has not answered, as whoever typed its address is told.
fn unreached(host: &str, error: OutboundError) -> Undelivered {
    let away = |why: &str| Undelivered::Away { why: why.to_owned(), wait: Duration::ZERO };
    tracing::info!(host, %error, "a webhook's receiver cannot be reached");
    match error {
        OutboundError::Open { retry_in } => Undelivered::Unasked { why: error.to_string(), wait: retry_in },
        OutboundError::Connect(why) if why.contains("certificate") => {
            away("the receiver's certificate is not accepted")
        }
        OutboundError::Connect(_) | OutboundError::Timeout | OutboundError::Broken(_) => {
            away("the receiver cannot be reached")
        }
        OutboundError::Setup(why) => Undelivered::ForNow(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_code_of_a_message_is_that_of_rfc_4231() {
        let told = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&told), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = [0xaa; 131];
        let told = hmac_sha256(&long, &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&told), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_signature_is_the_one_of_the_specifications_example() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let made = Secret::make(&Ids::seeded(1));
        assert_eq!(Secret::parse(&made.spell()).unwrap().spell(), made.spell());
        assert!(
            Secret::parse("whsec_c2hvcnQ=").is_none() && Secret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none()
        );
        assert_eq!(format!("{made:?}"), "[redacted]");
    }

    fn webhooks(allow: &[&str]) -> Webhooks {
        let allow = Some(allow.iter().map(ToString::to_string).collect());
        Webhooks::new(WebhookLayer { allow, ca: None }.settle().unwrap()).unwrap()
    }

    #[test]
    fn webhooks_go_to_names_over_https_and_to_what_the_configuration_names() {
        let strict = webhooks(&[]);
        for fine in ["https://example.com/hook", "https://hooks.example.com:8443/a?b=c"] {
            assert!(strict.target(fine).is_ok(), "{fine}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MOST_URL));
        for wrong in [
            "http://example.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://localhost/",
            "https://localhost./",
            "https://a.localhost/",
            "https://kim:secret@example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "example.com",
            "",
            &long,
        ] {
            assert!(strict.target(wrong).is_err(), "{wrong}");
        }
        let open = webhooks(&["http://127.0.0.1:9000", "https://10.0.0.7"]);
        assert!(open.target("http://127.0.0.1:9000/hook").is_ok() && open.target("https://10.0.0.7/hook").is_ok());
        for wrong in
            ["http://127.0.0.1:9001/hook", "https://127.0.0.1:9000/hook", "http://127.0.0.1:9000@evil.example/"]
        {
            assert!(open.target(wrong).is_err(), "{wrong}");
        }
        for wrong in ["127.0.0.1:9000", "http://a/b", "ftp://a", "*"] {
            let layer = WebhookLayer { allow: Some(vec![wrong.to_owned()]), ca: None };
            assert!(layer.settle().unwrap_err().contains("webhooks.allow"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_no_rule_names_any_more_is_forgotten_with_what_its_figure_says() {
        let metrics = crate::telemetry::install_metrics().unwrap();
        // Bound and dropped: a port where nobody listens.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let layer = WebhookLayer { allow: Some(vec![format!("http://localhost:{}", free.port())]), ca: None };
        let webhooks = Webhooks::new(layer.settle().unwrap()).unwrap();
        let url = format!("http://localhost:{}/hook", free.port());
        let secret = Secret::make(&Ids::seeded(1));
        for _ in 0..BreakerConfig::default().failures {
            webhooks.send(&url, &secret, "msg_1", 1, b"{}".to_vec()).await.unwrap_err();
        }
        let says = |open: u8| format!("outbound_breaker_open{{service=\"webhook:localhost\"}} {open}\n");
        assert!(metrics.render().contains(&says(1)), "{}", metrics.render());
        webhooks.keep_only([url.as_str()].into_iter());
        assert!(metrics.render().contains(&says(1)), "{}", metrics.render());
        webhooks.keep_only(["https://example.com/hook"].into_iter());
        assert!(metrics.render().contains(&says(0)), "{}", metrics.render());
    }

    /// A receiver on a port of this machine, that gives `answers` one after the other, and how many connections it took.
    async fn receiver_that(answers: &'static [&'static str]) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, taken) = (listener.local_addr().unwrap().port(), Arc::<std::sync::atomic::AtomicUsize>::default());
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut head = [0_u8; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, taken)
    }

    async fn sent(webhooks: &Webhooks, url: &str) -> Result<(), Undelivered> {
        webhooks.send(url, &Secret::make(&Ids::seeded(1)), "msg_1", 1_614_265_330, b"{}".to_vec()).await
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_followed_however_it_is_called() {
        let (port, taken) = receiver_that(&["HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"]).await;
        // Every machine has this name; it stands for any that somebody has lead here. Who gets that far, the form does not know.
        let url = Url::parse(&format!("http://localhost:{port}/")).unwrap();
        let client = webhooks(&[]).receiver(&url).unwrap();
        let request = client.build(Method::POST, url.clone()).build().unwrap();
        let error = client.request(request).await.unwrap_err();
        assert!(matches!(&error, OutboundError::Connect(why) if why.contains("no other machine")), "{error}");
        assert_eq!(taken.load(std::sync::atomic::Ordering::SeqCst), 0, "it was connected to");
        // Where the configuration says so, it is.
        let open = webhooks(&[&format!("http://localhost:{port}")]);
        assert_eq!(sent(&open, url.as_str()).await, Ok(()));
        assert_eq!(taken.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_a_receiver_says_decides_whether_and_when_a_message_is_sent_again() {
        let closing = |head: &'static str| -> &'static [&'static str] {
            Box::leak(Box::new([&*Box::leak(
                format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_boxed_str(),
            )]))
        };
        let said = async |head| {
            let (port, _) = receiver_that(closing(head)).await;
            let origin = format!("http://127.0.0.1:{port}");
            sent(&webhooks(&[&origin]), &origin).await
        };
        assert_eq!(said("200 OK").await, Ok(()));
        for refused in ["400 Bad Request", "401 Unauthorized", "404 Not Found", "410 Gone", "422 Unprocessable"] {
            let answer = said(refused).await;
            assert!(matches!(&answer, Err(Undelivered::ForGood(why)) if why.contains(&refused[..3])), "{answer:?}");
        }
        for later in ["302 Found", "408 Request Timeout", "425 Too Early"] {
            let answer = said(later).await;
            assert!(matches!(&answer, Err(Undelivered::ForNow(why)) if why.contains(&later[..3])), "{answer:?}");
        }
        let waits = |answer: &Result<(), Undelivered>| match answer {
            Err(Undelivered::Away { wait, .. }) => Some(wait.as_secs()),
            _ => None,
        };
        assert_eq!(waits(&said("503 Unavailable\r\nretry-after: 600").await), Some(600));
        assert_eq!(waits(&said("429 Too Many\r\nretry-after: 7").await), Some(7));
        assert_eq!(waits(&said("500 Oops").await), Some(0));
    }

    #[tokio::test]
    async fn whoever_typed_an_address_does_not_learn_what_listens_there() {
        let why = async |port: u16| {
            let origin = format!("http://127.0.0.1:{port}");
            match sent(&webhooks(&[&origin]), &origin).await {
                Err(Undelivered::Away { why, .. }) => why,
                other => panic!("{other:?}"),
            }
        };
        // Nobody; somebody who hangs up; somebody who speaks something else.
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let (silent, _) = receiver_that(&[""]).await;
        let (other, _) = receiver_that(&["SSH-2.0-OpenSSH_9.2\r\n"]).await;
        let (closed, silent, other) = (why(closed).await, why(silent).await, why(other).await);
        assert_eq!((closed.as_str(), &closed), (silent.as_str(), &other));
        assert_eq!(closed, "the receiver cannot be reached");
    }

    #[test]
    fn messages_to_one_origin_have_one_receiver() {
        assert_eq!(receiver("https://example.com/a?b"), receiver("https://example.com:443/c"));
        assert_ne!(receiver("https://example.com/"), receiver("https://example.com:8443/"));
        assert_eq!(receiver("nonsense"), "");
    }
}
