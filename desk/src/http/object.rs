//! A request body that is a JSON object.

use axum::extract::{FromRequest, Request};
use chassis::http::Problem;
use chassis::http::json::{is_json, parse, read_body};
use serde::de::DeserializeOwned;

/// Like [`chassis::http::Json`], for structs: those read lists too (`["kim", "password"]`), which nobody was promised.
pub struct Object<T>(pub T);

impl<T, S> FromRequest<S> for Object<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media("send the body as application/json"));
        }
        let body = read_body(request).await?;
        if body.trim_ascii_start().first() == Some(&b'[') {
            return Err(Problem::invalid("", "must be an object"));
        }
        parse(&body).map(Self)
    }
}
