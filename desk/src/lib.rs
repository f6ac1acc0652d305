//! The incident desk: what a person does with incidents, the same at every site.
//!
//! Data flows one way: [`http`] extracts and answers, a feature ([`incidents`], [`comments`], [`steps`], …) asks
//! [`rules`] and plans, the [`ledger`] does what the plan says in one transaction.

pub mod accounts;
pub mod actor;
pub mod acts;
pub mod backup;
pub mod bulk;
pub mod cache;
pub mod comments;
mod desk;
pub mod doctor;
pub mod document;
pub mod drafts;
pub mod erasures;
pub mod error;
pub mod events;
pub mod exports;
pub mod figures;
pub mod history;
pub mod http;
pub mod incidents;
pub mod jobs;
pub mod ledger;
pub mod money;
pub mod notifications;
pub mod photos;
pub mod quarantine;
pub mod recall;
pub mod reckoning;
pub mod reports;
pub mod reviews;
pub mod rules;
pub mod scrub;
pub mod search;
pub mod settings;
pub mod stats;
pub mod steps;
pub mod stores;
pub mod support;
pub mod versions;
pub mod views;

pub use desk::{Desk, House, Storage};
pub use error::{Error, Refusal};
