//! The program on the store's PC: serves the store's incident desk, with or without a line to headquarters, and keeps
//! it in step with headquarters whenever there is one.
//!
//! Reading order: [`app`] (what is built of what), [`http`] (the table of contents of what it answers),
//! [`replicator`] (how it keeps in step), [`enrolment`] (how a folder becomes a store's node), [`status`].

pub mod app;
pub mod aside;
pub mod cache;
pub mod config;
pub mod enrolment;
mod figures;
pub mod http;
pub mod inbox;
pub mod keep;
pub mod reload;
pub mod replicator;
pub mod report;
pub mod settings;
pub mod site;
pub mod status;
pub mod trust;
pub mod verify;
pub mod witness;
