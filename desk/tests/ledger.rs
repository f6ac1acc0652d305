//! The ledger's promises, over real files: what every database behind the trait has to pass.

#[path = "ledger/audit.rs"]
mod audit;
mod common_site;
#[path = "ledger/convergence.rs"]
mod convergence;
#[path = "ledger/lists.rs"]
mod lists;
#[path = "ledger/pushes.rs"]
mod pushes;
