//! Programs of version 1, spoken by hand.
//!
//! What is here was written from the frozen samples and the protocol's document, with the hash, the compressor and JSON, and
//! shares nothing with the crates under test: when those change, this must go on being what version 1 was. [`OldNode`] is a
//! node that pushes, pulls and knows no member that version 1 did not have; [`OldHub`] stands in front of a hub and lets
//! through what a hub of version 1 understood.

pub mod hub;
pub mod node;
mod wire;

pub use hub::OldHub;
pub use node::{OldLine, OldNode};
