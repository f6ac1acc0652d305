//! A look at each change before it is taken: for tests of what happens when that ends in a panic.

use std::fmt;
use std::sync::Arc;

/// Sees the body of every change of a push, inside the transaction that takes it.
#[derive(Clone)]
pub struct Check(Arc<dyn Fn(&str) + Send + Sync>);

impl Check {
    /// A check that does `look`.
    pub fn new(look: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    pub(super) fn look(&self, bodies: &[String]) {
        bodies.iter().for_each(|body| (self.0)(body));
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}
