//! What a camera writes beside the picture: how it was held, when, with what, and where.

use image::RgbImage;
use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};

/// The picture as a sensor delivers it that is to be turned by EXIF `orientation` (1 to 8) to stand upright.
#[must_use]
pub fn turned(upright: &RgbImage, orientation: u8) -> RgbImage {
    match orientation {
        2 => flip_horizontal(upright),
        3 => rotate180(upright),
        4 => flip_vertical(upright),
        5 => flip_horizontal(&rotate90(upright)),
        6 => rotate270(upright),
        7 => flip_horizontal(&rotate270(upright)),
        8 => rotate90(upright),
        _ => upright.clone(),
    }
}

/// An EXIF segment's content: that orientation, a camera that does not exist, when it was taken (`2026:11:28 10:15:00`), and,
/// where `located`, a place in the middle of the ocean.
#[must_use]
pub fn exif(orientation: u8, taken: &str, located: bool) -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let mut main = Directory::new(8);
    main.text(0x010f, "Demo Optics");
    main.text(0x0110, "Pocket 12");
    main.number(0x0112, SHORT, u32::from(orientation));
    main.text(0x0132, taken);
    let (exif_at, gps_at) = (main.end(if located { 2 } else { 1 }), 0);
    let mut camera = Directory::new(exif_at);
    camera.text(0x9003, taken);
    let camera = camera.written();
    main.number(0x8769, LONG, exif_at);
    let gps_at = if located { exif_at + camera.len() as u32 } else { gps_at };
    let mut gps = Directory::new(gps_at);
    gps.text(0x0001, "S");
    gps.angle(0x0002, [48, 52, 31]);
    gps.text(0x0003, "W");
    gps.angle(0x0004, [123, 23, 33]);
    if located {
        main.number(0x8825, LONG, gps_at);
    }
    let mut out = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    out.extend(main.written());
    out.extend(camera);
    if located {
        out.extend(gps.written());
    }
    out
}

/// A directory of a TIFF, little endian, with its values behind it.
struct Directory {
    at: u32,
    entries: Vec<(u16, u16, u32, Vec<u8>)>,
}

impl Directory {
    const fn new(at: u32) -> Self {
        Self { at, entries: Vec::new() }
    }

    fn text(&mut self, tag: u16, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.entries.push((tag, 2, bytes.len() as u32, bytes));
    }

    fn number(&mut self, tag: u16, kind: u16, number: u32) {
        self.entries.push((tag, kind, 1, number.to_le_bytes().to_vec()));
    }

    fn angle(&mut self, tag: u16, parts: [u32; 3]) {
        let bytes = parts.iter().flat_map(|part| [part.to_le_bytes(), 1_u32.to_le_bytes()].concat()).collect();
        self.entries.push((tag, 5, 3, bytes));
    }

    /// Where it ends once it has `more` entries.
    fn end(&self, more: usize) -> u32 {
        let outside: usize = self.entries.iter().map(|entry| outside(&entry.3)).sum();
        self.at + (2 + (self.entries.len() + more) * 12 + 4 + outside) as u32
    }

    fn written(mut self) -> Vec<u8> {
        self.entries.sort_by_key(|entry| entry.0);
        let mut values_at = self.at + (2 + self.entries.len() * 12 + 4) as u32;
        let mut out = (self.entries.len() as u16).to_le_bytes().to_vec();
        let mut values = Vec::new();
        for (tag, kind, count, mut bytes) in self.entries {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            let length = outside(&bytes);
            if length == 0 {
                bytes.resize(4, 0);
                out.extend(bytes);
            } else {
                out.extend(values_at.to_le_bytes());
                bytes.resize(length, 0);
                values_at += length as u32;
                values.extend(bytes);
            }
        }
        out.extend([0; 4]);
        out.extend(values);
        out
    }
}

/// Bytes that a value takes outside its entry, on even addresses.
fn outside(value: &[u8]) -> usize {
    if value.len() <= 4 { 0 } else { value.len().next_multiple_of(2) }
}
