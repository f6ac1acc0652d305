//! The harness: starts the real binaries on free ports, talks to them over HTTP, spoils the link between them, and
//! cleans up behind itself. The tests in `e2e/`, the demo and the benchmarks are built from it.
//!
//! It panics where a test would fail, with what it waited for and the end of the logs: whoever reads the failure
//! should not have to run it again to know what happened.

pub mod agree;
pub mod browser;
pub mod compare;
pub mod demo_data;
pub mod figures;
pub mod hooks;
pub mod http;
pub mod hub;
pub mod link;
pub mod load;
pub mod narrow;
pub mod node;
pub mod old;
pub mod pictures;
pub mod plant;
pub mod process;
pub mod random;
pub mod scenes;
pub mod scratch;
pub mod site;
pub mod smtp;
pub mod tell;
pub mod wait;

pub use browser::Browser;
pub use hub::Hub;
pub use link::{Link, Weather};
pub use node::Node;
pub use random::Rng;
pub use scratch::Scratch;
pub use tell::tell;
pub use wait::{wait_for, wait_until};
