//! What an answer says of limits: `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers has them.
//!
//! `q` is what a full bucket has, `w` in how many seconds an empty one is full again, `r` what is left, `t` in how many seconds this
//! one is full again; where nothing is left, when the next request is taken.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue};

use super::{Rate, SECOND_NS};
use crate::http::Problem;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// How a bucket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whose: `address`, `account` or `node`.
    pub(super) by: &'static str,
    pub(super) rate: Rate,
    /// Requests that are left.
    pub(super) left: u64,
    /// Nanoseconds until it is full again, or until the next request is taken.
    pub(super) wait_ns: u64,
}

impl Standing {
    /// 429, with `what` is too often.
    pub(super) fn problem(&self, what: &str) -> Problem {
        let wait_s = self.wait_ns.div_ceil(SECOND_NS);
        let mut problem = Problem::too_many(wait_s);
        problem.detail = format!("{what}: try again in {wait_s} s");
        problem
    }
}

/// What was counted for a request.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Metered {
    address: Option<Standing>,
    other: Option<Arc<OnceLock<Standing>>>,
}

impl Metered {
    /// `address`: how that stands; `other`: where it comes to stand how an account or a node does.
    pub(super) fn counted(address: Option<Standing>, other: Arc<OnceLock<Standing>>) -> Self {
        Self { address, other: Some(other) }
    }

    /// An address that asks too often.
    pub(super) fn refused(address: Standing) -> Self {
        Self { address: Some(address), other: None }
    }

    /// 429.
    pub(in crate::http) fn refusal(&self) -> Response {
        let problem = match &self.address {
            Some(standing) => standing.problem("this address asks too often"),
            None => Problem::too_many(1),
        };
        self.told(problem.into_response())
    }

    /// The answer with how whoever asked stands.
    pub(in crate::http) fn told(&self, mut response: Response) -> Response {
        let other = self.other.as_ref().and_then(|other| other.get());
        let (mut policy, mut standing) = (String::new(), String::new());
        for Standing { by, rate, left, wait_ns } in self.address.iter().chain(other) {
            let comma = if policy.is_empty() { "" } else { ", " };
            let window_s = rate.burst.div_ceil(rate.per_s.max(1));
            // Writing into a text cannot fail.
            let _ = write!(policy, "{comma}\"{by}\";q={};w={window_s}", rate.burst);
            let _ = write!(standing, "{comma}\"{by}\";r={left};t={}", wait_ns.div_ceil(SECOND_NS));
        }
        for (name, text) in [(POLICY, policy), (STANDING, standing)] {
            if !text.is_empty()
                && let Ok(text) = HeaderValue::from_str(&text)
            {
                response.headers_mut().insert(name, text);
            }
        }
        response
    }
}
