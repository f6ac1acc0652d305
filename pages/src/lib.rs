//! The pages of the incident desk, the same at every site, and what node and hub make theirs of: one layout, one stylesheet,
//! one set of messages.
//!
//! A page asks the same features as `/api/v1` does and shows what they answer: it holds no rule and reaches no ledger by
//! itself. Everything works as plain forms; the scripts in `assets/` only make it nicer.

pub mod assets;
pub mod chart;
pub mod choice;
pub mod dashboard;
pub mod http;
pub mod incident;
pub mod moment;
pub mod money;
pub mod own;
pub mod page;
pub mod sheet;
pub mod timeline;
pub mod words;

pub use page::{Link, Page, Pages, Pill, Shell};
pub use words::{Lang, Letters, Words};
