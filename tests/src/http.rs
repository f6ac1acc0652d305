//! A client of the JSON API, as a person's browser or a script would be one.

use serde_json::{Value, json};
use std::sync::Once;
use std::time::{Duration, Instant};

/// How long an answer may take.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// One client: where it asks, and as whom.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    what: String,
}

/// No answer: the connection failed. Whether the request was carried out is unknown.
#[derive(Debug)]
pub struct NoAnswer(pub String);

impl Answer {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The header field `name`, where it is there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When the status is another one; the message shows the answer.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let shown: String = text.chars().take(600).collect();
        assert_eq!(self.status, status, "{} answered {} and not {status}: {shown}", self.what, self.status);
        self.json()
    }

    /// The problem that it tells.
    ///
    /// # Panics
    /// When the status is another one, or it is not `application/problem+json` with what belongs into it, or it tells
    /// what is nobody's business.
    #[track_caller]
    #[must_use]
    pub fn problem(&self, status: u16) -> Value {
        let problem = self.expect(status);
        let media = self.header("content-type").unwrap_or_default();
        assert!(media.starts_with("application/problem+json"), "{}: {media}", self.what);
        assert_eq!(problem["status"], json!(status), "{}: {problem}", self.what);
        for member in ["type", "title"] {
            assert!(problem[member].is_string(), "{}: no {member} in {problem}", self.what);
        }
        let text = problem.to_string();
        for secret in ["SELECT ", "INSERT ", "sqlite", "panicked", "/src/", ".rs:", "rusqlite"] {
            assert!(!text.contains(secret), "{}: {secret:?} in {text}", self.what);
        }
        problem
    }
}

/// A client that knows nothing of anybody's API.
///
/// # Panics
/// When no client can be built.
#[must_use]
pub fn plain_client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy().timeout(ANSWER_DEADLINE).build().expect("an HTTP client")
}

/// The same, which shows where it is led to instead of going there.
///
/// # Panics
/// As [`plain_client`].
#[must_use]
pub fn client_that_stays() -> reqwest::Client {
    // For what a client needs once in a program.
    drop(plain_client());
    let stays = reqwest::redirect::Policy::none();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(stays)
        .timeout(ANSWER_DEADLINE)
        .build()
        .expect("an HTTP client")
}

impl Client {
    /// A client of the site at `base` (`http://127.0.0.1:PORT`) that has not logged in.
    ///
    /// # Panics
    /// When no client can be built.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { http: plain_client(), base: base.trim_end_matches('/').to_owned(), token: None }
    }

    /// The client after a login.
    ///
    /// # Panics
    /// When the login is refused.
    pub async fn login(mut self, username: &str, password: &str) -> Self {
        let answer = self.post("/api/v1/login", &json!({ "username": username, "password": password })).await;
        let token = answer.expect(200)["token"].as_str().map(str::to_owned);
        self.token = Some(token.expect("a login answers with a token"));
        self
    }

    /// The same account at `base`: for a site that came back on another port.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// The same account over connections of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { token: self.token.clone(), ..Self::new(&self.base) }
    }

    /// Where it asks.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The bearer token, once logged in.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request to be completed and given to [`Client::send`].
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`NoAnswer`] when the connection fails before the answer is complete.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Answer, NoAnswer> {
        let request = request.build().map_err(|e| NoAnswer(e.to_string()))?;
        let what = format!("{} {}", request.method(), request.url());
        let lost = |e: reqwest::Error| NoAnswer(format!("{what}: {e:?}"));
        let answer = self.http.execute(request).await.map_err(lost)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(lost)?.to_vec();
        Ok(Answer { status, headers, body, what })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// When the connection fails.
    #[track_caller]
    pub fn send(&self, request: reqwest::RequestBuilder) -> impl Future<Output = Answer> {
        let client = self.clone();
        async move { client.try_send(request).await.unwrap_or_else(|e| panic!("no answer: {}", e.0)) }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// GET; how long it takes until the answer begins. The rest is read and dropped.
    ///
    /// # Panics
    /// Unless the answer is 200 and comes whole.
    pub async fn begins_after(&self, path: &str) -> Duration {
        let request = self.request("GET", path).build().expect("a request");
        let begun = Instant::now();
        let answer = self.http.execute(request).await.expect("an answer");
        let taken = begun.elapsed();
        assert_eq!(answer.status(), 200);
        let _ = answer.bytes().await.expect("the rest");
        taken
    }

    /// POST of a JSON value.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    /// POST of a JSON value to a site that may be killed meanwhile.
    ///
    /// # Errors
    /// [`NoAnswer`] when the connection fails.
    pub async fn try_post(&self, path: &str, body: &Value) -> Result<Answer, NoAnswer> {
        self.try_send(self.request("POST", path).json(body)).await
    }

    /// PATCH with a JSON merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        let request = self.request("PATCH", path).header("content-type", "application/merge-patch+json");
        self.send(request.body(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path)).await
    }

    /// Every row of the incident list, newest first, page by page.
    ///
    /// # Panics
    /// When a page is refused.
    pub async fn list(&self, filter: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/incidents?limit=200&{filter}{cursor}");
            let page = self.get(&path).await.expect(200);
            items.extend(page["items"].as_array().expect("items").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// How many incidents the account sees.
    ///
    /// # Panics
    /// When the question is refused.
    pub async fn total(&self) -> u64 {
        let stats = self.get("/api/v1/stats").await.expect(200);
        stats["total"].as_u64().expect("a total")
    }
}

/// `text` as it stands in a query string.
#[must_use]
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
