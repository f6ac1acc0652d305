//! What happened in a run, line by line: its digest says whether two runs were the same one, its end goes with a failure.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Lines kept for a failure.
const KEPT: usize = 60;

/// A run's lines.
pub struct Trace {
    began: Instant,
    loud: bool,
    state: Mutex<(blake3::Hasher, VecDeque<String>)>,
}

impl Trace {
    /// `loud`: every line is printed as well.
    pub fn new(began: Instant, loud: bool) -> Arc<Self> {
        Arc::new(Self { began, loud, state: Mutex::default() })
    }

    pub fn say(&self, line: impl FnOnce() -> String) {
        let line = format!("{:>9} ms  {}", self.began.elapsed().as_millis(), line());
        if self.loud {
            println!("{line}");
        }
        let mut state = self.state.lock().unwrap();
        state.0.update(line.as_bytes());
        state.0.update(b"\n");
        if state.1.len() == KEPT {
            state.1.pop_front();
        }
        state.1.push_back(line);
    }

    /// Of all lines so far.
    pub fn digest(&self) -> String {
        self.state.lock().unwrap().0.finalize().to_hex()[..16].to_owned()
    }

    /// The last lines.
    pub fn end(&self) -> String {
        self.state.lock().unwrap().1.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}
