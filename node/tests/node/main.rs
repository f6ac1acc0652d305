//! A node against a hub that misbehaves on request, over real connections and, in [`program`], as a real process.

mod enrolment;
mod hub;
mod machine;
mod program;
mod replicator;
