//! The outside of a batch: lines in one zstd frame.

use super::BatchError;
use serde::{Serialize, de::DeserializeOwned};
use std::io::Read;

/// Higher levels gain a few per cent on such text and cost several times the work.
const LEVEL: i32 = 3;
/// A frame may ask its reader to keep this much: 2^23 bytes. Level 3 asks for 2^21 at most.
const WINDOW_LOG_MAX: u32 = 23;

/// `value` as one line.
pub(super) fn line<T: Serialize>(value: &T) -> String {
    // Headers and page lines have text keys only and no failing parts; an empty line would be refused by the reader.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// `text` as one zstd frame.
pub(super) fn pack(text: &str) -> Vec<u8> {
    zstd::bulk::compress(text.as_bytes(), LEVEL).unwrap_or_else(|_| stored(text.as_bytes()))
}

/// `bytes` as a zstd frame without any compression (RFC 8878, 3.1.1): what is left when the compressor gets no memory.
pub(super) fn stored(bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 * 1024;
    // Magic number, a descriptor that promises nothing, a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 7 << 3];
    let mut blocks = bytes.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        frame.extend([1, 0, 0]);
    }
    while let Some(block) = blocks.next() {
        let last = usize::from(blocks.peek().is_none());
        let header = (block.len() << 3) | last;
        frame.extend([header as u8, (header >> 8) as u8, (header >> 16) as u8]);
        frame.extend(block);
    }
    frame
}

/// The text of one zstd frame, at most `max` bytes of it.
pub(super) fn unpack(bytes: &[u8], max: u64) -> Result<String, BatchError> {
    let wrong = |e: std::io::Error| BatchError::Malformed(format!("cannot be unpacked: {e}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(wrong)?.single_frame();
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(wrong)?;
    let mut text = Vec::new();
    decoder.by_ref().take(max.saturating_add(1)).read_to_end(&mut text).map_err(wrong)?;
    if text.len() as u64 > max {
        return Err(BatchError::TooLarge);
    }
    if !decoder.finish().is_empty() {
        return Err(BatchError::Malformed("something follows the frame".to_owned()));
    }
    String::from_utf8(text).map_err(|_| BatchError::Malformed("not UTF-8".to_owned()))
}

/// The header of `text` and the lines after it.
pub(super) fn open<H: DeserializeOwned>(text: &str) -> Result<(H, &str), BatchError> {
    let (header, lines) =
        text.split_once('\n').ok_or_else(|| BatchError::Malformed("the header is no line".to_owned()))?;
    Ok((parse(header)?, lines))
}

/// The lines, if there are `count` of them and the last one is ended.
pub(super) fn counted(lines: &str, count: u32) -> Result<impl Iterator<Item = &str>, BatchError> {
    let found = lines.bytes().filter(|byte| *byte == b'\n').count();
    if found as u64 != u64::from(count) || !(lines.is_empty() || lines.ends_with('\n')) {
        return Err(BatchError::Malformed(format!("the header counts {count} lines and {found} follow")));
    }
    Ok(lines.split_terminator('\n'))
}

/// One line as JSON.
pub(super) fn parse<T: DeserializeOwned>(line: &str) -> Result<T, BatchError> {
    serde_json::from_str(line).map_err(|e| BatchError::Malformed(e.to_string()))
}
