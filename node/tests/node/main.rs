//! A node against a hub that misbehaves on request, over real connections and, in [`program`], as a real process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod clock;
mod enrolment;
mod hub;
mod machine;
mod operations;
mod program;
mod replicator;
mod settings;
