//! JSON bodies in and out.
//!
//! Refusals: no or another content type 415, larger than the limit 413, not JSON 400, JSON that does not fit 422 with
//! the field. Unknown fields are collected, so one answer names them all. A key that is there twice is refused (422)
//! for structs. The limit is [`JSON_LIMIT_BYTES`](super::JSON_LIMIT_BYTES) inside [`stack`](super::stack); a route may set another one
//! with `axum::extract::DefaultBodyLimit`.

use axum::RequestExt as _;
use axum::body::HttpBody as _;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::problem::{FieldError, Problem};

/// How many unknown fields one answer names.
const NAMED_FIELDS: usize = 20;

/// A request body that is JSON, or an answer that is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json<T>(pub T);

impl<T, S> FromRequest<S> for Json<T>
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
        parse(&body).map(Self)
    }
}

/// `None` when there is no body at all: neither a length nor a content type.
impl<T, S> OptionalFromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        let empty = request.body().size_hint().exact() == Some(0);
        if empty && !request.headers().contains_key(CONTENT_TYPE) {
            return Ok(None);
        }
        <Self as FromRequest<S>>::from_request(request, state).await.map(Some)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
            Err(cause) => {
                Problem::internal(format_args!("an answer cannot be written as JSON: {cause}")).into_response()
            }
        }
    }
}

/// Whether the headers announce JSON: `application/json` or any `application/…+json`.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

/// Reads the whole body, up to the route's limit.
///
/// # Errors
///
/// 413 when it is larger, 400 when the connection breaks.
pub async fn read_body(request: Request) -> Result<Bytes, Problem> {
    match request.into_limited_body().collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(cause) if is_too_large(&cause) => Err(Problem::too_large("the body is larger than what is accepted here")),
        Err(_) => Err(Problem::bad_request("the body did not arrive whole")),
    }
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<LengthLimitError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Reads `T` from JSON text.
///
/// # Errors
///
/// 400 when it is not JSON, 422 naming the fields when it does not fit `T`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let cause = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(value) => match deserializer.end() {
            Ok(()) => return Ok(value),
            Err(cause) => return Err(not_json(&cause)),
        },
        Err(cause) => cause,
    };
    if !cause.inner().is_data() {
        return Err(not_json(cause.inner()));
    }
    let first = field_error(&cause.path().to_string(), &cause.inner().to_string());
    // What fits could still be followed by what is no JSON; that comes first.
    let mut value: Value = serde_json::from_slice(body).map_err(|cause| not_json(&cause))?;
    Err(Problem::unprocessable(all_errors::<T>(&mut value, first)))
}

/// Goes on behind each unknown field, so that the client learns about all of them at once.
fn all_errors<T: DeserializeOwned>(value: &mut Value, first: FieldError) -> Vec<FieldError> {
    let mut errors = Vec::new();
    while errors.len() < NAMED_FIELDS {
        let Err(cause) = serde_path_to_error::deserialize::<_, T>(&*value) else {
            break;
        };
        let message = cause.inner().to_string();
        let path = cause.path().clone();
        errors.push(field_error(&path.to_string(), &message));
        let removed = quoted(&message, "unknown field `").is_some_and(|name| remove(value, &path, name));
        if !removed {
            break;
        }
    }
    if errors.is_empty() {
        errors.push(first);
    }
    errors
}

/// Takes the unknown field `name` out of the object at (or, when the path names the field itself, around) `path`.
fn remove(value: &mut Value, path: &serde_path_to_error::Path, name: &str) -> bool {
    use serde_path_to_error::Segment;
    let mut at = value;
    for segment in path {
        let next = match segment {
            Segment::Seq { index } => at.get_mut(*index),
            Segment::Map { key } if key == name && at.get(key).is_some() => {
                return at.as_object_mut().is_some_and(|object| object.remove(name).is_some());
            }
            Segment::Map { key } => at.get_mut(key),
            Segment::Enum { .. } | Segment::Unknown => return false,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    at.as_object_mut().is_some_and(|object| object.remove(name).is_some())
}

fn not_json(cause: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("the body is not valid JSON (line {}, column {})", cause.line(), cause.column()))
}

/// Says a serde error with the field it is about. For a missing, unknown or repeated field serde's path ends at
/// the object around it, and the field's name is in the message.
pub(super) fn field_error(path: &str, message: &str) -> FieldError {
    // " at line 1 column 5" helps nobody who did not write the JSON by hand.
    let message = message.rsplit_once(" at line ").map_or(message, |(before, _)| before);
    let base = if path == "." { "" } else { path };
    for start in ["unknown field `", "missing field `", "duplicate field `"] {
        if let Some(name) = quoted(message, start) {
            let kind = match start.split(' ').next() {
                Some("unknown") => "unknown field",
                Some("missing") => "is required",
                _ => "is there twice",
            };
            let field = match base {
                "" | "?" => name.to_owned(),
                base if base == name || base.ends_with(&format!(".{name}")) => base.to_owned(),
                base => format!("{base}.{name}"),
            };
            return FieldError::new(field, kind);
        }
    }
    FieldError::new(base, plain(message))
}

/// What a deserializer says, without the names that only programmers know.
fn plain(message: &str) -> String {
    let kinds = [
        ("a sequence", "a list"),
        ("sequence", "a list"),
        ("a map", "an object"),
        ("map", "an object"),
        ("a string", "text"),
        ("string", "text"),
        ("a boolean", "true or false"),
        ("boolean", "true or false"),
        ("null", "nothing"),
        ("unit", "nothing"),
        ("integer", "a whole number"),
        ("floating point", "a number"),
        ("f64", "a number"),
    ];
    let named = |text: &str| {
        let text = text.trim();
        if text.starts_with("struct ") || text.starts_with("internally tagged enum ") {
            return "an object".to_owned();
        }
        let bare = text.split(" `").next().unwrap_or(text).split(" \"").next().unwrap_or(text);
        if bare.strip_prefix(['u', 'i']).is_some_and(|bits| bits == "size" || bits.parse::<u8>().is_ok()) {
            return "a whole number".to_owned();
        }
        kinds
            .iter()
            .find(|(kind, _)| *kind == bare)
            .map_or_else(|| text.to_owned(), |(_, plain)| (*plain).to_owned())
    };
    if let Some((_, expected)) =
        message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected "))
    {
        let choices = expected.trim_start_matches("one of ").replace('`', "").replace(" or ", ", ");
        return format!("must be one of {choices}");
    }
    match message.split_once(": ").and_then(|(kind, rest)| Some((kind, rest.split_once(", expected ")?))) {
        Some(("invalid type", (found, expected))) => format!("must be {}, not {}", named(expected), named(found)),
        _ => message.to_owned(),
    }
}

fn quoted<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Person {
        #[allow(dead_code)]
        name: String,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Report {
        #[allow(dead_code)]
        description: String,
        #[allow(dead_code)]
        #[serde(default)]
        people: Vec<Person>,
    }

    fn refused(text: &str) -> (u16, Vec<(String, String)>) {
        let problem = parse::<Report>(text.as_bytes()).unwrap_err();
        let errors = problem.errors.into_iter().map(|one| (one.field, one.message)).collect();
        (problem.status.as_u16(), errors)
    }

    fn named(text: &str) -> Vec<String> {
        let (status, errors) = refused(text);
        assert_eq!(status, 422, "{text}");
        errors.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn what_is_no_json_is_a_bad_request() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        for text in
            ["", "{", "nope", "{} x", "{\"description\":\"x\"} trailing", "{\"description\":\"\\ud800\"}", &deep]
        {
            assert_eq!(refused(text).0, 400, "{text:.40}");
        }
        assert_eq!(parse::<Value>(deep.as_bytes()).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn every_unknown_field_is_named() {
        let text = r#"{"description":"x","a":1,"people":[{"name":"n","b":2},{"name":"n","c":null}],"d":{}}"#;
        let mut fields = named(text);
        fields.sort();
        assert_eq!(fields, ["a", "d", "people[0].b", "people[1].c"]);
        assert_eq!(refused(r#"{"description":"x","a":1}"#).1, [("a".to_owned(), "unknown field".to_owned())]);
    }

    #[test]
    fn a_wrong_type_a_missing_and_a_repeated_field_are_named() {
        assert_eq!(named(r#"{"description":5}"#), ["description"]);
        assert_eq!(named(r#"{"people":[]}"#), ["description"]);
        assert_eq!(named(r#"{"description":"x","people":[{}]}"#), ["people[0].name"]);
        assert_eq!(named(r#"{"description":"x","people":[{"name":[]}]}"#), ["people[0].name"]);
        assert_eq!(named(r#"{"description":"x","description":"y"}"#), ["description"]);
        assert_eq!(named("[]"), [""]);
        assert_eq!(named("null"), [""]);
        let (_, errors) = refused(r#"{"description":5}"#);
        assert!(!errors[0].1.contains("line"), "{errors:?}");
    }

    #[test]
    fn a_wrong_type_is_said_without_the_names_of_programmers() {
        for (said, plainly) in [
            ("invalid type: sequence, expected struct Credentials", "must be an object, not a list"),
            ("invalid type: map, expected a string", "must be text, not an object"),
            ("invalid type: string \"a, b\", expected u8", "must be a whole number, not text"),
            ("invalid type: integer `5`, expected a string", "must be text, not a whole number"),
            ("invalid type: null, expected a boolean", "must be true or false, not nothing"),
            ("unknown variant `god`, expected one of `hq`, `admin`", "must be one of hq, admin"),
            ("unknown variant `god`, expected `hq` or `admin`", "must be one of hq, admin"),
            ("must be a day", "must be a day"),
        ] {
            assert_eq!(plain(said), plainly, "{said}");
        }
    }

    #[test]
    fn a_nul_character_is_just_text() {
        assert!(parse::<Report>(br#"{"description":"a\u0000b"}"#).is_ok());
    }

    #[test]
    fn json_is_known_by_its_content_type() {
        let is = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_json(&headers)
        };
        assert!(is("application/json") && is("application/JSON; charset=utf-8") && is("application/merge-patch+json"));
        assert!(!is("text/json") && !is("application/jsonl") && !is("text/plain") && !is_json(&HeaderMap::new()));
    }
}
