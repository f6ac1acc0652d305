//! What travels between nodes and hub, and how it merges.
//!
//! Pure: no I/O, no async, no clock and no randomness of its own. Every site runs the same functions
//! over the same bytes, which is why two sites that hold the same changes hold the same state.
//! `PROTOCOL.md` beside this crate is the same thing in prose, for a second implementation.
//!
//! Reading order: [`change`] (what one edit looks like), [`chain`] (how a stream of them is sealed),
//! [`merge`] (how they become a record), [`record`] (what each kind may hold), [`erasure`] (how a
//! person's data is taken out again), [`batch`] and [`message`] (how they cross the wire), [`seal`]
//! (how a hub knows again what it gave away), [`checksum`] (how two sites find out that they hold the same).

pub mod batch;
pub mod chain;
pub mod change;
pub mod checksum;
pub mod erasure;
mod hex;
pub mod hlc;
pub mod merge;
pub mod message;
pub mod record;
pub mod scope;
pub mod seal;

/// The protocol version this build speaks best; it also serves the one before.
pub const VERSION: u32 = 2;
/// The oldest protocol version this build still serves.
pub const OLDEST_VERSION: u32 = 1;
/// Since this version a hub finds out that it was restored and gets back what it forgot: receipts, seals, offer and give.
pub const HISTORIES_SINCE: u32 = 2;
