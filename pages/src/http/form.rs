//! A plain form, as a browser sends it.

use super::answer::Oops;
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use chassis::http::{JSON_LIMIT_BYTES, Problem};
use http::header::CONTENT_TYPE;

/// Fields in the order in which they stand in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(pub Vec<(String, String)>);

/// Most fields of a form: two hundred items of six fields, fifty people of twenty, and their hidden ones.
pub const MAX_FIELDS: usize = 6000;

impl Form {
    /// A form as a browser sent it: with line ends as CR LF, whatever was typed.
    #[must_use]
    pub fn sent(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, value.replace("\r\n", "\n"))).collect())
    }

    /// The value of a field; empty where there is none.
    #[must_use]
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Every value of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is such a field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Oops;

    async fn from_request(request: Request, _: &S) -> Result<Self, Oops> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Err(Problem::unsupported_media("send a form").into());
        }
        // Its own limit: a route that takes files beside forms has lifted the one around it.
        let bytes = to_bytes(request.into_body(), JSON_LIMIT_BYTES)
            .await
            .map_err(|_| Problem::too_large("the form is too large or broke off; send it again"))?;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes)
            .map_err(|_| Problem::bad_request("the form is damaged; go back and send it again"))?;
        if pairs.len() > MAX_FIELDS {
            return Err(Problem::too_large(format!("a form has at most {MAX_FIELDS} fields")).into());
        }
        Ok(Self::sent(pairs))
    }
}
