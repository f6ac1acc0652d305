//! Planted bugs: a hub that is wrong in one way, made by a decorator in front of the right one. The simulator has to find
//! each of them, or what it finds nothing wrong with means nothing.

use crate::wire::Wire;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::hlc::Hlc;
use sync_protocol::message::{
    Answer, Limits, NONCE_HEADER, Outcome, PROOF_HEADER, PushAnswer, PushResult, credential_keys, path, proof,
};
use uuid::Uuid;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A change that comes again is applied again.
    AppliedTwice,
    /// A page's cursor is past a change that is not in it.
    CursorPastAChange,
    /// A push is acknowledged before it is committed.
    AcknowledgedTooSoon,
    /// All of a push is acknowledged, half of it is taken.
    HalfTaken,
    /// Of two edits the one that arrived later wins.
    LatestArrivalWins,
    /// What nobody knows is left out.
    UnknownFieldsDropped,
    /// A delete does not travel.
    DeleteUndone,
    /// A clock that is years ahead is put right, and nobody is told.
    ClampUntold,
    /// An order of erasure does not say what.
    OrderOfNothing,
}

impl Bug {
    pub const ALL: [Self; 9] = [
        Self::AppliedTwice,
        Self::CursorPastAChange,
        Self::AcknowledgedTooSoon,
        Self::HalfTaken,
        Self::LatestArrivalWins,
        Self::UnknownFieldsDropped,
        Self::DeleteUndone,
        Self::ClampUntold,
        Self::OrderOfNothing,
    ];

    /// A seed that found it, tried first. It finds it no more once anything is drawn differently; then those from 1 on do, which
    /// only takes longer.
    pub const fn known(self) -> u64 {
        match self {
            Self::AppliedTwice => 9,
            Self::CursorPastAChange => 2,
            Self::AcknowledgedTooSoon => 2,
            Self::HalfTaken => 2,
            Self::LatestArrivalWins => 3,
            Self::UnknownFieldsDropped => 13,
            Self::DeleteUndone => 4,
            Self::ClampUntold => 47,
            Self::OrderOfNothing => 8,
        }
    }
}

/// A hub with a bug.
pub struct Planted {
    bug: Bug,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last number acknowledged, by stream.
    held: BTreeMap<Uuid, u64>,
    copies: u128,
    /// An answer that was right: who the hub is.
    model: Option<PushAnswer>,
}

impl Planted {
    pub fn new(bug: Bug) -> Arc<Self> {
        Arc::new(Self { bug, state: Mutex::default() })
    }

    /// One request to the hub with the bug.
    pub async fn deliver(&self, wire: &Arc<Wire>, host: &str, request: Request<Body>) -> Option<Response<Bytes>> {
        match (self.bug, request.uri().path()) {
            (Bug::AppliedTwice | Bug::AcknowledgedTooSoon | Bug::HalfTaken | Bug::ClampUntold, path::PUSH) => {
                self.push(wire, host, request).await
            }
            (
                Bug::CursorPastAChange
                | Bug::LatestArrivalWins
                | Bug::UnknownFieldsDropped
                | Bug::DeleteUndone
                | Bug::OrderOfNothing
                | Bug::ClampUntold,
                path::PULL,
            ) => self.pull(wire, host, request).await,
            _ => wire.deliver(host, request).await,
        }
    }

    async fn push(&self, wire: &Arc<Wire>, host: &str, request: Request<Body>) -> Option<Response<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.ok()?;
        let sent = |body: Bytes| {
            let mut parts = parts.clone();
            parts.headers.insert(CONTENT_LENGTH, body.len().into());
            Request::from_parts(parts, Body::from(body))
        };
        let Some(push) = Push::decode(&body, &Limits::default()).ok().filter(|push| !push.bodies.is_empty()) else {
            return wire.deliver(host, sent(body)).await;
        };
        let (origin, first) = (push.header.origin, push.header.first_seq);
        let last = first + push.bodies.len() as u64 - 1;
        match self.bug {
            Bug::AppliedTwice => {
                let answer = wire.deliver(host, sent(body)).await?;
                let (held, copy) = {
                    let mut state = self.state.lock().unwrap();
                    state.copies += 1;
                    let held = state.held.entry(origin).or_default();
                    let before = *held;
                    *held = before.max(last);
                    (before, Uuid::from_u128(origin.as_u128() ^ (state.copies << 1)))
                };
                if first <= held {
                    let again = Push::encode(copy, 1, Link::start(copy), &push.bodies);
                    wire.deliver(host, sent(again.into())).await?;
                }
                Some(answer)
            }
            Bug::AcknowledgedTooSoon => {
                let Some(model) = self.state.lock().unwrap().model.clone() else {
                    let answer = wire.deliver(host, sent(body)).await?;
                    self.state.lock().unwrap().model = accepted(&answer);
                    return Some(answer);
                };
                let answers = (first..=last).map(|seq| applied(seq, model.now_ms)).collect();
                let (later, at, request) = (Arc::clone(wire), host.to_owned(), sent(body));
                wire.spawn(Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    later.deliver(&at, request).await;
                }));
                let head = push.header.head;
                let result = PushResult::Accepted { applied_seq: last, durable_seq: 0, head, answers, receipt: None };
                let body = serde_json::to_vec(&PushAnswer { result, ..model }).unwrap();
                sealed(&parts.headers, Response::new(Bytes::new()), body)
            }
            Bug::HalfTaken if push.bodies.len() > 1 => {
                let half = &push.bodies[..push.bodies.len() / 2];
                let part = Push::encode(origin, first, push.header.prev, half);
                let answer = wire.deliver(host, sent(part.into())).await?;
                let Some(mut told) = accepted(&answer) else {
                    return Some(answer);
                };
                if let PushResult::Accepted { applied_seq, head, answers, receipt, .. } = &mut told.result {
                    let from = first + answers.len() as u64;
                    answers.extend((from..=last).map(|seq| applied(seq, told.now_ms)));
                    (*applied_seq, *head, *receipt) = (last, push.header.head, None);
                }
                sealed(&parts.headers, answer, serde_json::to_vec(&told).unwrap())
            }
            Bug::ClampUntold => {
                let answer = wire.deliver(host, sent(body)).await?;
                let Some(mut told) = accepted(&answer) else {
                    return Some(answer);
                };
                if let PushResult::Accepted { answers, .. } = &mut told.result {
                    answers.iter_mut().for_each(|answer| answer.hlc = None);
                }
                sealed(&parts.headers, answer, serde_json::to_vec(&told).unwrap())
            }
            _ => wire.deliver(host, sent(body)).await,
        }
    }

    async fn pull(&self, wire: &Arc<Wire>, host: &str, request: Request<Body>) -> Option<Response<Bytes>> {
        let headers = request.headers().clone();
        let answer = wire.deliver(host, request).await?;
        let Ok(mut page) = Page::decode(answer.body(), &Limits::default()) else {
            return Some(answer);
        };
        match self.bug {
            Bug::CursorPastAChange if page.lines.len() > 1 => drop(page.lines.pop()),
            Bug::LatestArrivalWins => {
                for (line, n) in page.lines.iter_mut().zip(0..) {
                    line.hlc = Some(Hlc::new(line.received_ms, n));
                }
            }
            Bug::ClampUntold => page.lines.iter_mut().for_each(|line| line.hlc = None),
            _ => {}
        }
        for line in &mut page.lines {
            let mut body: Value = serde_json::from_str(line.body.get()).unwrap();
            let was = body.clone();
            let Some(set) = body["set"].as_object_mut() else {
                continue;
            };
            match self.bug {
                Bug::UnknownFieldsDropped => set.retain(|field, _| !field.starts_with("future")),
                Bug::OrderOfNothing => set.retain(|field, _| !field.starts_with("what/")),
                Bug::DeleteUndone if set.contains_key("deleted") => drop(set.insert("deleted".into(), Value::Null)),
                _ => {}
            }
            if body != was {
                line.body = serde_json::value::RawValue::from_string(body.to_string()).unwrap();
            }
        }
        sealed(&headers, answer, page.encode())
    }
}

fn applied(seq: u64, received_ms: i64) -> Answer {
    Answer { seq, outcome: Outcome::Applied, received_ms, hlc: None }
}

fn accepted(answer: &Response<Bytes>) -> Option<PushAnswer> {
    let told: PushAnswer = serde_json::from_slice(answer.body()).ok()?;
    matches!(told.result, PushResult::Accepted { .. }).then_some(told)
}

/// The answer with another body, proven as the hub would.
pub fn sealed(request: &HeaderMap, answer: Response<Bytes>, body: Vec<u8>) -> Option<Response<Bytes>> {
    let text = |name: &str| request.get(name).and_then(|value| value.to_str().ok());
    let secret = text(AUTHORIZATION.as_str())?.split_once('.')?.1;
    let proof = proof(&credential_keys(secret).proof, text(NONCE_HEADER)?, answer.status().as_u16(), &body);
    let (mut parts, _) = answer.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(PROOF_HEADER, HeaderValue::from_str(&proof).ok()?);
    Some(Response::from_parts(parts, body.into()))
}
