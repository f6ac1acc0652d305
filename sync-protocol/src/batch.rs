//! How many changes cross the wire at once: a [`Push`] from a node, a [`Page`] from the hub.
//!
//! Both are lines of JSON, each ended by one line feed, the first of them a header; the whole is one zstd frame.
//! A push's lines are bodies and nothing else, so that even a body that is no change arrives with its bytes and can
//! be kept and shown. A page's lines are [`PageLine`]s, each with its body inside, byte for byte.
//!
//! **Memory.** Decoding never holds more text than [`push_text_bytes`] or [`MAX_PAGE_TEXT_BYTES`] (and the same
//! again for the lines cut from it), whatever a few bytes claim to unpack to; the frame's window is held to 8 MiB.

mod frame;

use crate::chain::Link;
use crate::change::Malformed;
use crate::message::Limits;
pub use crate::message::{PageHeader, PageLine};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// The media type of a push and of a page.
pub const MEDIA_TYPE: &str = "application/vnd.aincident.batch+zstd";

/// Most text that a push may unpack to, as a multiple of [`Limits::push_bytes`].
pub const PUSH_TEXT_FACTOR: u64 = 8;

/// Most bytes of bodies a hub puts into one page; it ends the page before the change that would exceed it, but a page
/// always has room for one change.
pub const MAX_PAGE_BODY_BYTES: u64 = 8 * 1024 * 1024;

/// Most text that a page may unpack to: the bodies, the lines around them and the header.
pub const MAX_PAGE_TEXT_BYTES: u64 = 2 * MAX_PAGE_BODY_BYTES;

/// Largest page, in bytes as sent. A node reads no further.
pub const MAX_PAGE_BYTES: u64 = MAX_PAGE_TEXT_BYTES + 64 * 1024;

/// The most text, header included, that a push under `limits` may unpack to. Never less than one largest change.
#[must_use]
pub const fn push_text_bytes(limits: &Limits) -> u64 {
    let text = limits.push_bytes.saturating_mul(PUSH_TEXT_FACTOR);
    let one = limits.change_bytes.saturating_add(64 * 1024);
    if text > one { text } else { one }
}

/// Why bytes are no push and no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More bytes, more text or more changes than the limits allow.
    #[error("the batch is larger than the limits allow")]
    TooLarge,
    /// Not a batch; the text says why, for a log.
    #[error("not a batch: {0}")]
    Malformed(String),
    /// The bodies do not lead from `prev` to `head`: the batch was damaged or forged.
    #[error("the changes do not fit the chain that the header claims")]
    ChainBroken,
}

/// The first line of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushHeader {
    /// The stream that the changes belong to.
    pub origin: Uuid,
    /// Number of the first change that follows, from 1.
    pub first_seq: u64,
    /// Chain link before that change.
    pub prev: Link,
    /// How many changes follow.
    pub count: u32,
    /// Chain link after the last of them.
    pub head: Link,
}

/// Some consecutive changes of one origin, as a node sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// What follows, and where it belongs.
    pub header: PushHeader,
    /// The bodies in order, byte for byte. Whether each one is a change is for the reader to find out, one by one.
    pub bodies: Vec<String>,
}

impl Push {
    /// The push of `bodies`, the first of which has number `first_seq` in `origin` and follows the link `prev`.
    ///
    /// A body is one line: [`crate::change::Change::to_body`] makes nothing else.
    #[must_use]
    pub fn encode(origin: Uuid, first_seq: u64, prev: Link, bodies: &[impl AsRef<str>]) -> Vec<u8> {
        frame::pack(&Self::text(origin, first_seq, prev, bodies))
    }

    /// The same before compression.
    fn text(origin: Uuid, first_seq: u64, prev: Link, bodies: &[impl AsRef<str>]) -> String {
        let head = bodies.iter().fold(prev, |link, body| link.extend(body.as_ref().as_bytes()));
        let count = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
        let mut text = frame::line(&PushHeader { origin, first_seq, prev, count, head });
        for body in bodies {
            text.push_str(body.as_ref());
            text.push('\n');
        }
        text
    }

    /// Reads a push and verifies that its bodies lead from `prev` to `head`.
    ///
    /// Whether `prev` is where the hub's own chain stands, and whether each body is a change, is not looked at here.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] beyond `limits`; [`BatchError::Malformed`] when it is not one complete zstd frame of
    /// UTF-8 lines under a header that counts them; [`BatchError::ChainBroken`] when the chain does not hold.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, BatchError> {
        if bytes.len() as u64 > limits.push_bytes {
            return Err(BatchError::TooLarge);
        }
        let text = frame::unpack(bytes, push_text_bytes(limits))?;
        let (header, lines) = frame::open::<PushHeader>(&text)?;
        if header.count > limits.push_changes {
            return Err(BatchError::TooLarge);
        }
        if header.first_seq == 0 || header.first_seq.checked_add(u64::from(header.count)).is_none() {
            return Err(BatchError::Malformed("changes are numbered from 1".to_owned()));
        }
        let bodies: Vec<String> = frame::counted(lines, header.count)?.map(str::to_owned).collect();
        let start_is_wrong = header.first_seq == 1 && header.prev != Link::start(header.origin);
        let head = bodies.iter().fold(header.prev, |link, body| link.extend(body.as_bytes()));
        if start_is_wrong || head != header.head {
            return Err(BatchError::ChainBroken);
        }
        Ok(Self { header, bodies })
    }

    /// Each body with its number and the chain link after it, in order.
    pub fn links(&self) -> impl Iterator<Item = (u64, &str, Link)> {
        let mut link = self.header.prev;
        (self.header.first_seq..).zip(&self.bodies).map(move |(seq, body)| {
            link = link.extend(body.as_bytes());
            (seq, body.as_str(), link)
        })
    }
}

/// Some changes of any origins in a scope's order, as the hub sends them.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What follows, and where to go on.
    pub header: PageHeader,
    /// The changes, in the order in which to apply them.
    pub lines: Vec<PageLine>,
}

impl Page {
    /// The page as it is sent. The header's `count` is the number of lines, whatever it said.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::pack(&self.text())
    }

    /// The same before compression.
    fn text(&self) -> String {
        let count = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
        let mut text = frame::line(&PageHeader { count, ..self.header.clone() });
        for line in &self.lines {
            text.push_str(&frame::line(line));
        }
        text
    }

    /// Reads a page. Its bodies are the hub's bytes; whether each one is a change is not looked at here.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] beyond [`MAX_PAGE_BYTES`], [`MAX_PAGE_TEXT_BYTES`] or [`Limits::pull_changes`];
    /// [`BatchError::Malformed`] when it is not one complete zstd frame of lines under a header that counts them.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, BatchError> {
        if bytes.len() as u64 > MAX_PAGE_BYTES {
            return Err(BatchError::TooLarge);
        }
        let text = frame::unpack(bytes, MAX_PAGE_TEXT_BYTES)?;
        let (header, lines) = frame::open::<PageHeader>(&text)?;
        if header.count > limits.pull_changes {
            return Err(BatchError::TooLarge);
        }
        let lines = frame::counted(lines, header.count)?.map(frame::parse).collect::<Result<_, _>>()?;
        Ok(Self { header, lines })
    }
}

/// `body` as a page carries it.
///
/// # Errors
/// [`Malformed`] when the body could not arrive with the same bytes: it is not JSON, is surrounded by white space or
/// holds a line feed. [`crate::change::Change::from_body`] refuses all these, so a change that was applied always rides.
pub fn raw_body(body: &str) -> Result<Box<RawValue>, Malformed> {
    let raw = RawValue::from_string(body.to_owned()).map_err(|e| Malformed(format!("not JSON: {e}")))?;
    if raw.get().len() != body.len() || body.contains('\n') {
        return Err(Malformed("a body is one line without white space around it".to_owned()));
    }
    Ok(raw)
}

#[cfg(test)]
mod tests;
