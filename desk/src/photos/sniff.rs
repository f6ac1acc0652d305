//! What a file is, by its first bytes. Names and what a client says are not asked.

/// Bytes that are enough to tell.
pub const SNIFF_BYTES: usize = 4096;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
    /// HEIC or HEIF.
    Heif,
    /// Any other, by its media type; `application/octet-stream` where it is none that is known here.
    Other(&'static str),
}

impl Format {
    /// The format of a file that begins with `start`.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        let brand = start.get(8..12).unwrap_or_default();
        match start {
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', ..] if brand == b"WEBP" => Self::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => match brand {
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => Self::Heif,
                b"avif" | b"avis" => Self::Other("image/avif"),
                b"qt  " => Self::Other("video/quicktime"),
                _ => Self::Other("video/mp4"),
            },
            [b'%', b'P', b'D', b'F', b'-', ..] => Self::Other("application/pdf"),
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Self::Other("image/bmp"),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Self::Other("image/tiff"),
            [b'P', b'K', 3, 4, ..] => Self::Other("application/zip"),
            _ if jpeg_start(start).is_some() => Self::Jpeg,
            _ => Self::Other("application/octet-stream"),
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Heif => "image/heic",
            Self::Other(media_type) => media_type,
        }
    }
}

/// Where a JPEG begins: some cameras and mail programs leave a few bytes in front of it.
#[must_use]
pub fn jpeg_start(start: &[u8]) -> Option<usize> {
    let looks = |four: &[u8]| matches!(four, [0xff, 0xd8, 0xff, 0xc0..=0xef]);
    start.windows(4).take(1024).position(looks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_what_a_file_is() {
        assert_eq!(Format::of(b"\xff\xd8\xff\xe0\0\x10JFIF"), Format::Jpeg);
        assert_eq!(Format::of(b"junk\xff\xd8\xff\xe1"), Format::Jpeg);
        assert_eq!(Format::of(b"RIFF\0\0\0\0WEBPVP8 "), Format::WebP);
        assert_eq!(Format::of(b"\0\0\0\x18ftypheic\0\0\0\0"), Format::Heif);
        assert_eq!(Format::of(b"%PDF-1.7").media_type(), "application/pdf");
        assert_eq!(Format::of(b"<svg xmlns=").media_type(), "application/octet-stream");
        assert_eq!(Format::of(b"").media_type(), "application/octet-stream");
    }
}
