//! A node of version 1.

use super::wire::{BATCH, extend, hex, only, pack, proof, start, unpack};
use crate::load::new_id;
use chassis::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};

/// A line of a page as version 1 read it.
#[derive(Clone, Debug)]
pub struct OldLine {
    /// The stream.
    pub origin: String,
    /// The number in it.
    pub seq: u64,
    /// Where the hub placed it, where not as the body says.
    pub hlc: Option<String>,
    /// The body, byte for byte.
    pub body: String,
}

/// A node of version 1: what it knows, and a client.
#[derive(Debug)]
pub struct OldNode {
    http: reqwest::Client,
    base: String,
    /// Who it is.
    pub node_id: String,
    secret: String,
    hub_id: String,
    epoch: String,
    store: String,
    /// The stream it records under.
    pub origin: String,
    bodies: Vec<String>,
    links: Vec<[u8; 32]>,
    cursors: Map<String, Value>,
    /// What its requests say they are in; version 1 said nothing else.
    pub header: u32,
    /// What it says it speaks.
    pub protocols: Vec<u32>,
}

fn now_ms() -> i64 {
    SystemClock.now_ms()
}

impl OldNode {
    /// Enrols at the hub at `base`.
    ///
    /// # Panics
    /// When it is refused, or the answer is not version 1's.
    pub async fn enrol(base: &str, code: &str) -> Self {
        let http = crate::http::plain_client();
        let request =
            json!({"code": code, "node_name": "old", "version": "0.0.9", "protocols": [1], "now_ms": now_ms()});
        let answer = http.post(format!("{base}/sync/v1/enrol")).json(&request).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200, "enrol");
        let answer: Value = answer.json().await.expect("JSON");
        let members = [
            "hub_id",
            "epoch",
            "node_id",
            "store_code",
            "store_name",
            "timezone",
            "credential",
            "protocol",
            "scopes",
            "limits",
            "now_ms",
        ];
        only("the answer to enrol", &answer, &members);
        assert_eq!(answer["protocol"], 1);
        let text = |member: &str| answer[member].as_str().unwrap_or_else(|| panic!("no {member}")).to_owned();
        let origin = new_id();
        Self {
            http,
            base: base.to_owned(),
            node_id: text("node_id"),
            secret: text("credential"),
            hub_id: text("hub_id"),
            epoch: text("epoch"),
            store: text("store_code"),
            links: vec![start(&origin)],
            origin,
            bodies: Vec::new(),
            cursors: Map::new(),
            header: 1,
            protocols: vec![1],
        }
    }

    /// Sends a request and answers status and body; a proof that is wrong or missing is a failure.
    ///
    /// # Panics
    /// When there is no answer, or none that is the hub's.
    pub async fn call(&self, path: &str, media: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
        let nonce = new_id().replace('-', "");
        let request = self.http.post(format!("{}{path}", self.base)).header("content-type", media).body(body);
        let answer = self.send(request, &nonce).await;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (claimed, version) = (header("aincident-proof"), header("aincident-protocol"));
        let body = answer.bytes().await.expect("a body").to_vec();
        assert_eq!(claimed, proof(&self.secret, &nonce, status, &body), "{path}: the answer is not proven");
        if (1..=2).contains(&self.header) {
            assert_eq!(version, self.header.to_string(), "{path}: answered in another version");
        }
        (status, body)
    }

    /// Asks for a content, which carries no proof: its digest is known.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let answer = self.send(self.http.get(format!("{}{path}", self.base)), &new_id().replace('-', "")).await;
        (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
    }

    async fn send(&self, request: reqwest::RequestBuilder, nonce: &str) -> reqwest::Response {
        let request = request
            .header("authorization", format!("Bearer {}.{}", self.node_id, self.secret))
            .header("aincident-protocol", self.header.to_string())
            .header("aincident-nonce", nonce)
            .header("user-agent", "old-node/0.0.9");
        request.send().await.expect("an answer")
    }

    async fn json(&self, path: &str, body: &Value) -> Value {
        let (status, body) = self.call(path, "application/json", body.to_string().into_bytes()).await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    fn status() -> Value {
        json!({"pending_changes": 0, "pending_blobs": 0, "pending_blob_bytes": 0, "quarantined": 0, "clock_offset_ms": 0, "version": "0.0.9"})
    }

    /// The request of hello.
    #[must_use]
    pub fn hello_request(&self) -> Value {
        json!({
            "version": "0.0.9", "protocols": self.protocols, "hub_id": self.hub_id, "epoch": self.epoch,
            "origin": self.origin, "seq": self.bodies.len(), "head": hex(self.links.last().expect("a link")),
            "now_ms": now_ms(), "renew": true, "status": Self::status(),
        })
    }

    /// Says hello and takes the new secret.
    ///
    /// # Panics
    /// When it is refused, or the answer is not version 1's.
    pub async fn hello(&mut self) -> Value {
        let answer = self.json("/sync/v1/hello", &self.hello_request()).await;
        if self.protocols == [1] {
            let members =
                ["hub_id", "epoch", "protocol", "scopes", "limits", "now_ms", "applied_seq", "head", "credential"];
            only("the answer to hello", &answer, &members);
            assert_eq!(answer["protocol"], 1);
        }
        if let Some(secret) = answer["credential"].as_str() {
            secret.clone_into(&mut self.secret);
        }
        answer
    }

    /// Pushes `bodies` behind what it pushed before.
    ///
    /// # Panics
    /// When the answer is not version 1's, or not `accepted`.
    pub async fn push(&mut self, bodies: &[String]) -> Value {
        let answer = self.push_from(self.bodies.len(), bodies).await;
        assert_eq!(answer["result"], "accepted", "{answer}");
        let mut link = *self.links.last().expect("a link");
        for body in bodies {
            link = extend(&link, body);
            self.links.push(link);
            self.bodies.push(body.clone());
        }
        assert_eq!(answer["head"], json!(hex(&link)), "another chain");
        answer
    }

    /// Pushes `bodies` behind the first `held` of what it pushed before, whatever comes of it.
    ///
    /// # Panics
    /// When the answer is not version 1's.
    pub async fn push_from(&self, held: usize, bodies: &[String]) -> Value {
        let prev = self.links[held];
        let head = bodies.iter().fold(prev, |link, body| extend(&link, body));
        let header = json!({"origin": self.origin, "first_seq": held + 1, "prev": hex(&prev), "count": bodies.len(), "head": hex(&head)});
        let mut lines = vec![header.to_string()];
        lines.extend_from_slice(bodies);
        let (status, body) = self.call("/sync/v1/push", BATCH, pack(&lines)).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        let members = [
            "hub_id",
            "epoch",
            "now_ms",
            "result",
            "applied_seq",
            "durable_seq",
            "head",
            "answers",
            "expected",
            "agreed_seq",
        ];
        only("the answer to push", &answer, &members);
        for line in answer["answers"].as_array().into_iter().flatten() {
            only("an answer", line, &["seq", "outcome", "code", "reason", "received_ms", "hlc"]);
        }
        answer
    }

    /// Everything of its scopes that it has not pulled yet.
    ///
    /// # Panics
    /// When a page is not version 1's.
    pub async fn pull(&mut self) -> Vec<OldLine> {
        let mut pulled = Vec::new();
        loop {
            let cursor = |scope: &str| self.cursors.get(scope).cloned().unwrap_or(Value::Null);
            let own = format!("store/{}", self.store);
            let request = json!({
                "cursors": {"company": cursor("company"), own.as_str(): cursor(&own)}, "skip": [self.origin],
                "limit": 7, "wait_ms": 0, "status": Self::status(),
            });
            let (status, body) = self.call("/sync/v1/pull", "application/json", request.to_string().into_bytes()).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            let lines = unpack(&body);
            let header: Value = serde_json::from_str(&lines[0]).expect("a header");
            only("a page", &header, &["hub_id", "epoch", "now_ms", "count", "cursors", "more", "sites"]);
            assert_eq!(header["count"], lines.len() - 1);
            pulled.extend(lines[1..].iter().map(|line| read(line)));
            self.cursors = header["cursors"].as_object().expect("cursors").clone();
            if header["more"] == false {
                return pulled;
            }
        }
    }
}

/// A line of a page; the body's bytes are what lies between its name and the last brace.
fn read(line: &str) -> OldLine {
    let value: Value = serde_json::from_str(line).expect("a line");
    only("a line", &value, &["origin", "seq", "scope", "received_ms", "hlc", "body"]);
    let (_, body) = line.split_once("\"body\":").expect("a body");
    OldLine {
        origin: value["origin"].as_str().expect("an origin").to_owned(),
        seq: value["seq"].as_u64().expect("a number"),
        hlc: value["hlc"].as_str().map(str::to_owned),
        body: body.strip_suffix('}').expect("the body comes last").to_owned(),
    }
}
