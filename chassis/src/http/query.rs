//! Query strings and path parameters, with refusals that name the field.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::json::field_error;
use super::problem::{FieldError, Problem};

/// The query string as a struct. A key that is there twice is refused (422); see [`QueryPairs`] where it may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts)?;
        let result =
            serde_path_to_error::deserialize(serde::de::value::MapDeserializer::<_, serde::de::value::Error>::new(
                pairs.iter().map(|(key, value)| (key.as_str(), Text(value))),
            ));
        result.map(Self).map_err(|cause| {
            let error = field_error(&cause.path().to_string(), &cause.inner().to_string());
            Problem::unprocessable(vec![error])
        })
    }
}

/// The query string as it is: every key with every value, decoded, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryPairs(pub Vec<(String, String)>);

impl QueryPairs {
    /// The one value of `key`, or none.
    ///
    /// # Errors
    ///
    /// 422 when it is there more than once.
    pub fn one<'a>(&'a self, key: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(key);
        let first = values.next();
        match values.next() {
            Some(_) => Err(Problem::invalid(key, "may be given only once")),
            None => Ok(first),
        }
    }

    /// Every value of `key`, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Refuses keys that are not in `known`, naming every one.
    ///
    /// # Errors
    ///
    /// 422 with one error per unknown key.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let mut errors: Vec<FieldError> = Vec::new();
        for (key, _) in &self.0 {
            if !known.contains(&key.as_str()) && errors.iter().all(|error| error.field != *key) {
                errors.push(FieldError::new(key, "unknown field"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::unprocessable(errors)) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryPairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        pairs(parts).map(Self)
    }
}

fn pairs(parts: &Parts) -> Result<Vec<(String, String)>, Problem> {
    serde_urlencoded::from_str(parts.uri.query().unwrap_or_default())
        .map_err(|_| Problem::bad_request("the query string cannot be understood"))
}

/// A value that is read as whatever the field wants: all there is in a query string is text.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

macro_rules! read_as {
    ($($method:ident $visit:ident $what:literal),* $(,)?) => {$(
        fn $method<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(serde::de::Error::custom($what)),
            }
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Text<'de> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(serde::de::value::BorrowedStrDeserializer::new(self.0))
    }

    read_as! {
        deserialize_bool visit_bool "must be true or false",
        deserialize_i8 visit_i8 "must be a whole number that fits",
        deserialize_i16 visit_i16 "must be a whole number that fits",
        deserialize_i32 visit_i32 "must be a whole number that fits",
        deserialize_i64 visit_i64 "must be a whole number that fits",
        deserialize_u8 visit_u8 "must be a whole number that fits",
        deserialize_u16 visit_u16 "must be a whole number that fits",
        deserialize_u32 visit_u32 "must be a whole number that fits",
        deserialize_u64 visit_u64 "must be a whole number that fits",
        deserialize_f32 visit_f32 "must be a number",
        deserialize_f64 visit_f64 "must be a number",
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> serde::de::IntoDeserializer<'de> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The parameters in the path. One that does not parse (an id that is none) is simply not found: 404.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        use axum::extract::rejection::PathRejection;
        match <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(Problem::not_found("there is nothing at this address"))
            }
            Err(cause) => Err(Problem::internal(cause)),
        }
    }
}

/// `None` on a route without parameters.
impl<T, S> OptionalFromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        match <axum::extract::Path<T> as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await {
            Ok(value) => Ok(value.map(|axum::extract::Path(value)| Self(value))),
            Err(_) => Err(Problem::not_found("there is nothing at this address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Comment,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        limit: Option<u16>,
        deleted: Option<bool>,
        kind: Option<Kind>,
        q: Option<String>,
    }

    async fn query(text: &str) -> Result<Filter, Problem> {
        let request = http::Request::get(format!("http://x/?{text}")).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        Query::from_request_parts(&mut parts, &()).await.map(|Query(filter)| filter)
    }

    #[tokio::test]
    async fn a_query_is_read_into_its_types() {
        let filter = query("limit=5&deleted=true&kind=comment&q=a%20b+c").await.unwrap();
        let wanted = Filter {
            limit: Some(5),
            deleted: Some(true),
            kind: Some(Kind::Comment),
            q: Some("a b c".into()),
        };
        assert_eq!(filter, wanted);
        assert_eq!(query("").await.unwrap().limit, None);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_named() {
        for (text, field) in [
            ("limit=many", "limit"),
            ("limit=70000", "limit"),
            ("deleted=maybe", "deleted"),
            ("kind=essay", "kind"),
            ("x=1", "x"),
            ("limit=1&limit=2", "limit"),
        ] {
            let problem = query(text).await.unwrap_err();
            assert_eq!(problem.status.as_u16(), 422, "{text}");
            assert_eq!(problem.errors[0].field, field, "{text}: {problem:?}");
        }
    }

    #[test]
    fn pairs_keep_repeated_keys() {
        let pairs = QueryPairs(vec![("a".into(), "1".into()), ("b".into(), "2".into()), ("a".into(), "3".into())]);
        assert_eq!(pairs.all("a").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(pairs.one("b").unwrap(), Some("2"));
        assert!(pairs.one("a").is_err());
        assert_eq!(pairs.only(&["b"]).unwrap_err().errors.len(), 1);
        assert!(pairs.only(&["a", "b"]).is_ok());
    }
}
