//! `/api/v1` in one process: the real router, the real ledger in a scratch folder, no network.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unused_qualifications,
    reason = "a test that cannot go on says where"
)]

#[path = "api/accounts.rs"]
mod accounts;
#[path = "api/comments.rs"]
mod comments;
#[path = "api/docs.rs"]
mod docs;
#[path = "api/erasures.rs"]
mod erasures;
#[path = "api/events.rs"]
mod events;
#[path = "api/exports.rs"]
mod exports;
#[path = "api/incidents.rs"]
mod incidents;
#[path = "api/jobs.rs"]
mod jobs;
#[path = "api/known.rs"]
mod known;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/login.rs"]
mod login;
#[path = "api/notifications.rs"]
mod notifications;
#[path = "api/patches.rs"]
mod patches;
#[path = "api/photos.rs"]
mod photos;
#[path = "api/quarantine.rs"]
mod quarantine;
#[path = "api/receivers.rs"]
mod receivers;
#[path = "api/reports.rs"]
mod reports;
#[path = "api/reviews.rs"]
mod reviews;
#[path = "api/settings.rs"]
mod settings;
#[path = "api/site.rs"]
mod site;
