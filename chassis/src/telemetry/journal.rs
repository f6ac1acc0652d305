//! Lines for systemd's journal: it has a clock of its own, and learns how grave a line is from a number in front of it
//! (`journalctl -p warning`).

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Whether what this process writes to standard error goes to the journal as it is. The variable alone says nothing: whoever is
/// started by a service inherits it, wherever its own standard error goes.
pub(super) fn is_standard_error() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some_and(|named| is_named(&named, "/proc/self/fd/2"))
}

/// Whether `named`, a device and an inode, is what lies at `path`.
fn is_named(named: &OsStr, path: &str) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| *named == *format!("{}:{}", found.dev(), found.ino()))
}

/// The text of a line, behind how grave it is and without a time.
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        Format::default().without_time().format_event(context, writer, event)
    }
}

/// As syslog numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_what_standard_error_is() {
        let found = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(is_named(OsStr::new(&format!("{}:{}", found.dev(), found.ino())), "/proc/self/fd/2"));
        assert!(!is_named(OsStr::new("8:12345"), "/proc/self/fd/2"));
        assert!(!is_named(OsStr::new("nonsense"), "/proc/self/fd/2"));
    }
}
