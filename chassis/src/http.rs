//! The HTTP edge: what every service needs around its handlers, on axum.
//!
//! [`stack`] wraps a router in the middleware, [`serve`] listens, [`Problem`] is the one shape of an error, and
//! [`Json`], [`Query`], [`QueryPairs`] and [`Path`] are extractors whose refusals are problems too.

pub mod coding;
pub mod etag;
pub mod health;
pub mod json;
pub mod language;
pub mod limits;
pub mod listen;
pub mod middleware;
pub mod plain;
pub mod problem;
pub mod query;
pub mod rates;
pub mod server;
mod still;
pub mod tls;
pub mod trust;
pub mod tus;

#[cfg(test)]
mod tests;

pub use axum;
pub use coding::{Coding, preferred_coding};
pub use etag::{ETag, Precondition};
pub use health::{Health, health_routes};
pub use json::Json;
pub use language::accepted;
pub use limits::{JSON_LIMIT_BYTES, long_lived, streamed};
pub use listen::listen;
pub use middleware::{Apart, RequestId, StackConfig, stack};
pub use problem::{FieldError, Problem};
pub use query::{Path, Query, QueryPairs};
pub use rates::{Asker, Limits, LimitsLayer, Rate, Rates};
pub use server::{Door, Server, announce, needs_tls, serve};
pub use tls::authority::{
    Followers, export as export_authority, import as import_authority, kept as own_authority, next as next_authority,
    prepare as prepare_authority, switch as switch_authority,
};
pub use tls::{Origin, Tls, TlsConfig, TlsError, TlsLayer, file_until_ms};
