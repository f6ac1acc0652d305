//! What a picture's header says, read without decoding a pixel.

use super::sniff::{Format, SNIFF_BYTES, jpeg_start};
use chassis::clock::parse_rfc3339;
use exif::{In, Tag, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

/// Most pixels of a JPEG: larger than any phone makes, small enough to be decoded at a fraction of its size.
pub const MAX_JPEG_PIXELS: u64 = 120_000_000;
/// Most bytes that a picture may take decoded, where a decoder needs it whole: coefficients of a progressive JPEG, pixels of
/// every other format.
pub const MAX_DECODED_BYTES: u64 = 210 * 1024 * 1024;
/// Longest side.
pub const MAX_SIDE: u32 = 65_500;
/// Most scans of a progressive JPEG. Programs write about ten; each costs a walk over the whole picture.
const MAX_SCANS: u32 = 100;
/// How far into a file metadata and dimensions are looked for.
const MAX_HEADER_BYTES: u64 = 16 * 1024 * 1024;

/// Whether there is something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be tried.
    Decodable,
    /// It cannot be shown here, for this reason; it is evidence all the same.
    Undecodable(String),
    /// It would take the machine down, for this reason: refuse it.
    Bomb(String),
}

/// When a picture was taken, as its camera says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// At this moment, in milliseconds since 1970.
    At(i64),
    /// When the clocks where it was taken said this; most cameras do not say where that was. Milliseconds since 1970, as if it were UTC.
    Local(i64),
}

impl Taken {
    /// The moment, for a picture that was taken where `zone` holds; milliseconds since 1970. An hour that comes twice is taken for the
    /// first one, and one that does not come for the hour after it.
    #[must_use]
    pub fn at_ms(self, zone: &TimeZone) -> i64 {
        match self {
            Self::At(ms) => ms,
            Self::Local(ms) => {
                let clock = Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::UTC).datetime();
                clock.to_zoned(zone.clone()).map_or(ms, |at| at.timestamp().as_millisecond())
            }
        }
    }
}

/// What a file is, from its first bytes and headers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// By content.
    pub format: Format,
    /// Pixels across, upright.
    pub width: Option<u32>,
    /// Pixels down, upright.
    pub height: Option<u32>,
    /// When it was taken, as the camera's clock said.
    pub taken: Option<Taken>,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// Bytes that showing it takes at the worst, all buffers together.
    pub cost_bytes: u64,
    /// Whether it can be shown.
    pub verdict: Verdict,
}

/// Reads the headers of the file `path`.
///
/// # Errors
/// When the disk fails; whatever the file holds is an answer.
pub fn inspect(path: &Path) -> io::Result<Inspection> {
    let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
    let start = file.fill_buf()?;
    let start = start[..start.len().min(SNIFF_BYTES)].to_vec();
    let format = Format::of(&start);
    let head = match format {
        Format::Jpeg => jpeg(&mut file, jpeg_start(&start).unwrap_or(0) as u64),
        Format::Png => png(&mut file),
        Format::WebP => webp(&mut file),
        Format::Gif => gif(&start),
        Format::Heif => Ok(Head::broken("this version cannot show pictures of this kind (HEIC)")),
        Format::Other(_) => Ok(Head::broken("it is not a picture that can be shown")),
    };
    let head = match head {
        Ok(head) => head,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Head::broken("the file breaks off in its header"),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Head::broken("the header is damaged"),
        Err(error) => return Err(error),
    };
    Ok(head.inspected(format))
}

/// What the readers below find.
#[derive(Default)]
struct Head {
    size: Option<(u32, u32)>,
    /// Bytes that decoding takes, at most.
    decoded_bytes: u64,
    scans: u32,
    exif: Vec<u8>,
    broken: Option<&'static str>,
}

impl Head {
    fn broken(why: &'static str) -> Self {
        Self { broken: Some(why), ..Self::default() }
    }

    fn inspected(self, format: Format) -> Inspection {
        let (orientation, taken) = told_by_camera(self.exif);
        let size = self.size.map(|(width, height)| if orientation >= 5 { (height, width) } else { (width, height) });
        Inspection {
            format,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            taken,
            orientation,
            cost_bytes: cost(format, self.size, self.decoded_bytes),
            verdict: verdict(format, self.size, self.decoded_bytes, self.scans, self.broken),
        }
    }
}

/// A plain JPEG is decoded at half its size at most, or smaller; what is made of any picture is small beside it.
fn cost(format: Format, size: Option<(u32, u32)>, decoded_bytes: u64) -> u64 {
    let pixels = size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
    if format == Format::Jpeg { decoded_bytes + pixels } else { decoded_bytes }
}

fn verdict(format: Format, size: Option<(u32, u32)>, bytes: u64, scans: u32, broken: Option<&str>) -> Verdict {
    if let Some(why) = broken {
        return Verdict::Undecodable(why.to_owned());
    }
    let Some((width, height)) = size else {
        return Verdict::Undecodable("the header does not say how large the picture is".to_owned());
    };
    if width == 0 || height == 0 {
        return Verdict::Undecodable("the picture is empty".to_owned());
    }
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE || format == Format::Jpeg && pixels > MAX_JPEG_PIXELS {
        return Verdict::Bomb(format!(
            "a picture of {width} by {height} pixels is larger than any camera's: send a smaller one"
        ));
    }
    if bytes > MAX_DECODED_BYTES {
        return Verdict::Bomb(format!(
            "a picture of {width} by {height} pixels would take {} MB to show: send a smaller one, or a plain JPEG",
            bytes / 1_000_000
        ));
    }
    if scans > MAX_SCANS {
        return Verdict::Bomb(format!(
            "the picture is written in {scans} layers, which no camera does: save it anew and send that"
        ));
    }
    Verdict::Decodable
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn le(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// Walks the markers of a JPEG (ITU T.81, B.1): frame header, EXIF, and how many scans a progressive one has.
fn jpeg(file: &mut BufReader<File>, start: u64) -> io::Result<Head> {
    file.seek(SeekFrom::Start(start + 2))?;
    let mut head = Head::default();
    let mut progressive = false;
    while let Some(marker) = next_marker(file)? {
        match marker {
            0xd9 => break,
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let [high, low] = bytes(file)?;
        let length = u64::from(be(&[high, low])).checked_sub(2).ok_or_else(invalid)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let mut frame = vec![0; usize::try_from(length).map_err(|_| invalid())?];
                file.read_exact(&mut frame)?;
                progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
                frame_header(&frame, progressive, &mut head)?;
                if !progressive && !head.exif.is_empty() {
                    break;
                }
            }
            0xe1 if head.exif.is_empty() => {
                let mut segment = vec![0; usize::try_from(length).map_err(|_| invalid())?];
                file.read_exact(&mut segment)?;
                if let Some(exif) = segment.strip_prefix(b"Exif\0\0") {
                    head.exif = exif.to_vec();
                }
            }
            0xda if !progressive => break,
            marker => {
                head.scans += u32::from(marker == 0xda);
                if head.scans > MAX_SCANS {
                    break;
                }
                file.seek_relative(i64::try_from(length).map_err(|_| invalid())?)?;
            }
        }
        if !progressive && file.stream_position()? > start + MAX_HEADER_BYTES {
            return Err(invalid());
        }
    }
    Ok(head)
}

/// The next marker, whatever lies before it; `None` at the end of the file.
fn next_marker(file: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let Some(at) = buffer.iter().position(|byte| *byte == 0xff) else {
            let all = buffer.len();
            file.consume(all);
            continue;
        };
        file.consume(at + 1);
        // Fill bytes, and in a scan 0xff stuffed with 0, are no markers.
        let mut code = [0xff];
        while code == [0xff] {
            if file.read(&mut code)? == 0 {
                return Ok(None);
            }
        }
        if code[0] != 0 {
            return Ok(Some(code[0]));
        }
    }
}

fn frame_header(frame: &[u8], progressive: bool, head: &mut Head) -> io::Result<()> {
    let [precision, h1, h2, w1, w2, count, components @ ..] = frame else {
        return Err(invalid());
    };
    let (width, height) = (be(&[*w1, *w2]), be(&[*h1, *h2]));
    if !matches!(precision, 8 | 12) || components.len() < usize::from(*count) * 3 {
        return Err(invalid());
    }
    head.size = Some((width, height));
    if progressive {
        let areas: Vec<u64> =
            components.chunks_exact(3).map(|one| u64::from(one[1] >> 4) * u64::from(one[1] & 15)).collect();
        let largest = areas.iter().copied().max().unwrap_or(1).max(1);
        let pixels = u64::from(width) * u64::from(height);
        // Two bytes for each coefficient.
        head.decoded_bytes = areas.iter().map(|area| pixels * area / largest * 2).sum();
    }
    Ok(())
}

/// Walks the chunks of a PNG in front of its pixels.
fn png(file: &mut BufReader<File>) -> io::Result<Head> {
    file.seek(SeekFrom::Start(8))?;
    let mut head = Head::default();
    match png_chunks(file, &mut head) {
        // How large it claims to be counts, however it goes on.
        Err(error) if head.size.is_none() || error.kind() == io::ErrorKind::Other => Err(error),
        _ => Ok(head),
    }
}

/// What a pixel takes while it is decoded and brought to 8 bit a channel, with opacity where it has some: both buffers are there
/// at once. `colour`: the type in the header; `clear`: whether there is a colour that stands for transparency.
const fn png_pixel_bytes(depth: u8, colour: u8, clear: bool) -> u64 {
    match (colour, depth, clear) {
        (0, 16, false) => 2 + 1,
        (0, 16, true) | (4, 16, _) => 4 + 4,
        (0, _, false) => 1,
        (0, _, true) | (4, _, _) => 2 + 4,
        (2, 16, false) => 6 + 3,
        (2, 16, true) | (6, 16, _) => 8 + 4,
        (2 | 3, _, false) => 3,
        _ => 4,
    }
}

fn png_chunks(file: &mut BufReader<File>, head: &mut Head) -> io::Result<()> {
    let (mut depth, mut colour) = (16, 6);
    loop {
        let length = u64::from(be(&bytes::<4>(file)?));
        let kind = bytes::<4>(file)?;
        match &kind {
            b"IHDR" => {
                let header = bytes::<13>(file)?;
                let (width, height) = (be(&header[..4]), be(&header[4..8]));
                head.size = Some((width, height));
                (depth, colour) = (header[8], header[9]);
                head.decoded_bytes = u64::from(width) * u64::from(height) * png_pixel_bytes(depth, colour, false);
                file.seek_relative(4)?;
            }
            b"tRNS" => {
                let (width, height) = head.size.unwrap_or_default();
                head.decoded_bytes = u64::from(width) * u64::from(height) * png_pixel_bytes(depth, colour, true);
                file.seek_relative(i64::try_from(length).map_err(|_| invalid())? + 4)?;
            }
            b"eXIf" if length <= 65_536 => {
                let mut exif = vec![0; usize::try_from(length).map_err(|_| invalid())?];
                file.read_exact(&mut exif)?;
                head.exif = exif;
                file.seek_relative(4)?;
            }
            b"IDAT" | b"IEND" => return Ok(()),
            _ => file.seek_relative(i64::try_from(length).map_err(|_| invalid())? + 4)?,
        }
        if head.size.is_none() || file.stream_position()? > MAX_HEADER_BYTES {
            return Err(invalid());
        }
    }
}

/// Walks the chunks of a WebP (RFC 9649).
fn webp(file: &mut BufReader<File>) -> io::Result<Head> {
    file.seek(SeekFrom::Start(12))?;
    let mut head = Head::default();
    // Plain ones are decoded as they are; those with opacity, and lossless ones, a second time as a frame; moving ones are
    // put together on a canvas besides.
    let mut each = 4;
    // EXIF stands behind the pixels; chunks are few.
    for _ in 0..4096 {
        let Ok(chunk) = bytes::<8>(file) else { break };
        let length = u64::from(le(&chunk[4..]));
        let padded = length + length % 2;
        let mut read = 0;
        match &chunk[..4] {
            b"VP8X" => {
                let header = bytes::<10>(file)?;
                read = 10;
                each = if header[0] & 0x02 != 0 {
                    12
                } else {
                    4 + u64::from(header[0] & 0x10 != 0) * 4
                };
                head.size = Some((le(&header[4..7]) + 1, le(&header[7..10]) + 1));
            }
            b"VP8 " if head.size.is_none() => {
                let header = bytes::<10>(file)?;
                read = 10;
                head.size = Some((le(&header[6..8]) & 0x3fff, le(&header[8..10]) & 0x3fff));
            }
            b"VP8L" if head.size.is_none() => {
                let header = bytes::<5>(file)?;
                read = 5;
                let bits = le(&header[1..]);
                each = 8;
                head.size = Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1));
            }
            b"VP8L" => each = each.max(8),
            b"EXIF" if length <= 65_536 => {
                let mut exif = vec![0; usize::try_from(length).map_err(|_| invalid())?];
                if file.read_exact(&mut exif).is_ok() {
                    head.exif = exif.strip_prefix(b"Exif\0\0").map_or_else(|| exif.clone(), <[u8]>::to_vec);
                }
                break;
            }
            _ => {}
        }
        file.seek_relative(i64::try_from(padded.saturating_sub(read)).map_err(|_| invalid())?)?;
    }
    let (width, height) = head.size.ok_or_else(invalid)?;
    head.decoded_bytes = u64::from(width) * u64::from(height) * each;
    Ok(head)
}

fn gif(start: &[u8]) -> io::Result<Head> {
    let (width, height) = match start {
        [_, _, _, _, _, _, w1, w2, h1, h2, ..] => (le(&[*w1, *w2]), le(&[*h1, *h2])),
        _ => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    let decoded_bytes = u64::from(width) * u64::from(height) * 8;
    Ok(Head { size: Some((width, height)), decoded_bytes, ..Head::default() })
}

/// Orientation and moment of exposure, where the camera told them.
pub(super) fn told_by_camera(raw: Vec<u8>) -> (u8, Option<Taken>) {
    if raw.is_empty() {
        return (1, None);
    }
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let fields = match reader.read_raw(raw) {
        Ok(fields) => fields,
        Err(error) => match error.distill_partial_result(|_| {}) {
            Ok(fields) => fields,
            Err(_) => return (1, None),
        },
    };
    let orientation = fields
        .get_field(Tag::Orientation, In::PRIMARY)
        .and_then(|field| field.value.get_uint(0))
        .and_then(|value| u8::try_from(value).ok())
        .filter(|value| (1..=8).contains(value))
        .unwrap_or(1);
    let ascii = |tag| match &fields.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(texts) => String::from_utf8(texts.first()?.clone()).ok(),
        _ => None,
    };
    let taken =
        ascii(Tag::DateTimeOriginal).and_then(|taken| moment(&taken, ascii(Tag::OffsetTimeOriginal).as_deref()));
    (orientation, taken)
}

/// `2026:01:02 03:04:05` with an offset such as `+02:00`.
fn moment(text: &str, offset: Option<&str>) -> Option<Taken> {
    let text = text.trim_end_matches('\0').trim();
    let (day, time) = text.split_once(' ')?;
    let offset = offset.map(|offset| offset.trim_end_matches('\0').trim()).filter(|offset| offset.len() == 6);
    let at = parse_rfc3339(&format!("{}T{time}{}", day.replace(':', "-"), offset.unwrap_or("Z")))?;
    // Cameras whose clock was never set say 1970, 1980 or nothing.
    (at > 631_152_000_000).then_some(if offset.is_some() { Taken::At(at) } else { Taken::Local(at) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_cameras_write_them() {
        let ms = |text: &str| parse_rfc3339(text).unwrap();
        let there = moment("2018:07:25 16:34:23", Some("+02:00")).unwrap();
        assert_eq!(there, Taken::At(ms("2018-07-25T14:34:23Z")));
        let chicago = TimeZone::get("America/Chicago").unwrap();
        assert_eq!(there.at_ms(&chicago), ms("2018-07-25T14:34:23Z"));
        let clock = |text: &str| moment(text, None).unwrap().at_ms(&chicago);
        assert_eq!(clock("2018:07:25 16:34:23\0"), ms("2018-07-25T21:34:23Z"));
        assert_eq!(clock("2026:11:01 01:30:00"), ms("2026-11-01T06:30:00Z"), "it comes twice");
        assert_eq!(clock("2026:03:08 02:30:00"), ms("2026-03-08T08:30:00Z"), "it does not come");
        assert_eq!(moment("2018:07:25 16:34:23", None).unwrap().at_ms(&TimeZone::UTC), ms("2018-07-25T16:34:23Z"));
        for wrong in ["0000:00:00 00:00:00", "", "1980:01:01 00:00:00", "    :  :     :  :  "] {
            assert_eq!(moment(wrong, None), None, "{wrong}");
        }
    }
}
