//! Pages in one process: the real router over the real features, as a browser without scripts sees them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unused_qualifications,
    dead_code,
    reason = "a test that cannot go on says where; the sites are those of the API's tests"
)]

#[path = "pages/browser.rs"]
mod browser;
#[path = "pages/bulk.rs"]
mod bulk;
#[path = "pages/drafts.rs"]
mod drafts;
#[path = "pages/edit.rs"]
mod edit;
#[path = "pages/forms.rs"]
mod forms;
#[path = "pages/incident.rs"]
mod incident;
#[path = "pages/list.rs"]
mod list;
#[path = "pages/login.rs"]
mod login;
#[path = "pages/notifications.rs"]
mod notifications;
#[path = "pages/own.rs"]
mod own;
#[path = "pages/reviews.rs"]
mod reviews;
#[path = "../../desk/tests/api/site.rs"]
mod site;
#[path = "pages/switch.rs"]
mod switch;
#[path = "pages/views.rs"]
mod views;
