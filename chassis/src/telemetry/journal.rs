//! Entries for systemd's journal, by its own protocol: besides the text each has fields that can be asked for (`journalctl -p warning`,
//! `journalctl REQUEST_ID=…`). Where its socket cannot be reached, lines on standard error: the journal has a clock of its own, and learns
//! how grave a line is from a number in front of it.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Where the journal takes entries.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// The most of a text, and of a field, that is sent, in bytes: an entry has to fit into one datagram.
const MOST_TEXT_BYTES: usize = 32 * 1024;
const MOST_FIELD_BYTES: usize = 1024;
/// What the name of an event's own field begins with, so that it is none of the journal's.
const OWN: &str = "AINCIDENT_";
/// The span of a request, whose `id` is told as `REQUEST_ID`.
const REQUEST: &str = "request";

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

/// The journal's socket, as what log lines are written to: each write is one entry.
pub(super) struct Journal(UnixDatagram);

impl Journal {
    /// The one at `path`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self(socket))
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry(&self.0)
    }
}

/// One entry.
pub(super) struct Entry<'a>(&'a UnixDatagram);

impl io::Write for Entry<'_> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        if self.0.send(entry).is_err() {
            // A journal that was begun anew listens at another socket: the text at least is kept.
            let text = entry.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"MESSAGE="));
            let line = [text.unwrap_or(entry), b"\n"].concat();
            io::Write::write_all(&mut io::stderr().lock(), &line)?;
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An entry: `FIELD=value`, one a line, the text in `MESSAGE`. No value has lines of its own, so that none is taken for a field.
pub(super) struct Entries {
    /// What `journalctl -t` calls the program.
    pub(super) program: &'static str,
}

impl<S, N> FormatEvent<S, N> for Entries
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        Format::default().without_time().format_event(context, Writer::new(&mut text), event)?;
        let about = event.metadata();
        writeln!(writer, "PRIORITY={}", priority(*about.level()))?;
        writeln!(writer, "SYSLOG_IDENTIFIER={}", self.program)?;
        writeln!(writer, "TARGET={}", about.target())?;
        if let (Some(file), Some(line)) = (about.file(), about.line()) {
            writeln!(writer, "CODE_FILE={}\nCODE_LINE={line}", one_line(file, MOST_FIELD_BYTES))?;
        }
        for span in context.event_scope().into_iter().flatten().filter(|span| span.name() == REQUEST) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && let Some(id) = fields.fields.split(' ').find_map(|field| field.strip_prefix("id="))
            {
                writeln!(writer, "REQUEST_ID={}", one_line(id.trim_matches('"'), MOST_FIELD_BYTES))?;
            }
        }
        let mut own = Own(String::new());
        event.record(&mut own);
        writer.write_str(&own.0)?;
        writeln!(writer, "MESSAGE={}", one_line(text.trim_end(), MOST_TEXT_BYTES))
    }
}

/// An event's own fields, as lines of an entry.
struct Own(String);

impl Own {
    fn tell(&mut self, name: &str, value: &str) {
        // The text tells it; and what a crate that logs otherwise says of itself is told by now.
        if name == "message" || name.starts_with("log.") {
            return;
        }
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        let _ = writeln!(self.0, "{OWN}{name}={}", one_line(value, MOST_FIELD_BYTES));
    }
}

impl Visit for Own {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.tell(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.tell(field.name(), &format!("{value:?}"));
    }
}

/// The first `most` bytes of `text`, in one line.
fn one_line(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].replace(['\n', '\0'], " ")
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

    #[test]
    fn an_entry_has_fields_that_can_be_asked_for_and_no_value_makes_another_one() {
        use tracing_subscriber::layer::SubscriberExt as _;
        let folder = crate::folder::tests::scratch("journal");
        let path = folder.join("socket");
        assert!(Journal::connect(&path).is_err(), "nobody listens yet");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(Journal::connect(&path).unwrap())
            .event_format(Entries { program: "aincident-test" });
        let long = "x".repeat(2 * MOST_TEXT_BYTES);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("request", id = "abcd-1234", route = "/x");
            let _within = span.enter();
            tracing::warn!(status = 500, why = "torn\nPRIORITY=0", long, "answered");
        });
        let mut entry = vec![0; 256 * 1024];
        let read = journal.recv(&mut entry).unwrap();
        let entry = String::from_utf8(entry[..read].to_vec()).unwrap();
        let lines: Vec<&str> = entry.lines().collect();
        for line in [
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=aincident-test",
            "REQUEST_ID=abcd-1234",
            "AINCIDENT_STATUS=500",
            "AINCIDENT_WHY=torn PRIORITY=0",
        ] {
            assert!(lines.contains(&line), "no {line} in {entry:.2000}");
        }
        assert!(!lines.contains(&"PRIORITY=0"));
        let text = lines.iter().find_map(|line| line.strip_prefix("MESSAGE=")).unwrap();
        assert!(text.contains("answered") && text.contains("WARN") && text.len() <= MOST_TEXT_BYTES, "{text:.200}");
        assert!(
            lines.iter().any(|line| line.starts_with("CODE_FILE=") && line.ends_with("journal.rs")),
            "{entry:.2000}"
        );
    }
}
