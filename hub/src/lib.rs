//! The program at headquarters: takes what the stores' nodes push, gives them what they lack, and serves
//! headquarters' people the same incident desk over all stores.
//!
//! Reading order: [`app`] (what is built of what), [`http`] (the table of contents of what it answers), [`intake`]
//! (the nodes' side), [`fleet`] (the people's view of the nodes), [`admin`] (the commands).

pub mod admin;
pub mod app;
mod authority;
pub mod config;
mod figures;
pub mod fleet;
pub mod http;
pub mod intake;
pub mod reload;
pub mod setup;
pub mod site;
