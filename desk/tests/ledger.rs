//! The ledger's promises, over real files: what every database behind the trait has to pass.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failing test may panic; nobody calls these from outside"
)]

#[path = "ledger/anew.rs"]
mod anew;
#[path = "ledger/audit.rs"]
mod audit;
#[path = "ledger/convergence.rs"]
mod convergence;
#[path = "ledger/erasures.rs"]
mod erasures;
#[path = "ledger/found.rs"]
mod found;
#[path = "ledger/lists.rs"]
mod lists;
#[path = "ledger/offers.rs"]
mod offers;
#[path = "ledger/proof.rs"]
mod proof;
#[path = "ledger/pushes.rs"]
mod pushes;
#[path = "ledger/released.rs"]
mod released;
#[path = "ledger/reviews.rs"]
mod reviews;
#[path = "ledger/settle.rs"]
mod settle;
#[path = "ledger/site.rs"]
mod site;
#[path = "ledger/stats.rs"]
mod stats;
#[path = "ledger/versions.rs"]
mod versions;
