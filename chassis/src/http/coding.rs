//! Content codings (RFC 9110, section 8.4.1) for answers that are compressed once and sent often.

use http::HeaderValue;
use std::io::{self, Write as _};

/// A coding, the most wanted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// As `Content-Encoding` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// `bytes` in this coding. Tens of milliseconds for a megabyte: not for the async threads.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn encode(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(bytes, 6),
            Self::Brotli => {
                let mut out = Vec::with_capacity(bytes.len() / 4);
                let mut encoder = brotli::CompressorWriter::new(&mut out, 64 * 1024, 5, 20);
                encoder.write_all(bytes)?;
                encoder.flush()?;
                drop(encoder);
                Ok(out)
            }
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

/// The best coding that `Accept-Encoding` takes; none where it takes none of ours, or likes the plain text better.
#[must_use]
pub fn preferred_coding(accepted: Option<&HeaderValue>) -> Option<Coding> {
    let text = accepted?.to_str().ok()?;
    let (mut best, mut any, mut plain): (Option<(u16, Coding)>, Option<u16>, Option<u16>) = (None, None, None);
    let mut named = Vec::new();
    for item in text.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality =
            quality.map_or(1000, |text| (text.trim().parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u16);
        let coding = match name.as_str() {
            "zstd" => Coding::Zstd,
            "br" => Coding::Brotli,
            "gzip" | "x-gzip" => Coding::Gzip,
            "*" => {
                any = Some(quality);
                continue;
            }
            "identity" => {
                plain = Some(quality);
                continue;
            }
            _ => continue,
        };
        named.push(coding);
        let better = best.is_none_or(|(most, other)| quality > most || quality == most && coding < other);
        if quality > 0 && better {
            best = Some((quality, coding));
        }
    }
    if best.is_none()
        && let Some(quality) = any.filter(|quality| *quality > 0)
    {
        let rest = [Coding::Zstd, Coding::Brotli, Coding::Gzip].into_iter().find(|coding| !named.contains(coding));
        best = rest.map(|coding| (quality, coding));
    }
    best.filter(|(quality, _)| plain.is_none_or(|plain| plain <= *quality)).map(|(_, coding)| coding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_client_gets_what_it_takes() {
        let preferred = |text: &'static str| preferred_coding(Some(&HeaderValue::from_static(text)));
        assert_eq!(preferred("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(preferred("gzip, deflate, br"), Some(Coding::Brotli));
        assert_eq!(preferred("gzip"), Some(Coding::Gzip));
        assert_eq!(preferred("zstd;q=0.1, gzip;q=0.9"), Some(Coding::Gzip));
        assert_eq!(preferred("zstd;q=0, *;q=0.5"), Some(Coding::Brotli));
        assert_eq!(preferred("gzip;q=0.2, identity"), None);
        assert_eq!(preferred("deflate"), None);
        assert_eq!(preferred("*;q=0"), None);
        assert_eq!(preferred_coding(None), None);
    }

    #[test]
    fn every_coding_reads_back() {
        let text = "incident ".repeat(10_000).into_bytes();
        assert_eq!(zstd::bulk::decompress(&Coding::Zstd.encode(&text).unwrap(), 1_000_000).unwrap(), text);
        let mut plain = Vec::new();
        brotli::Decompressor::new(&*Coding::Brotli.encode(&text).unwrap(), 4096)
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(plain, text);
        plain.clear();
        flate2::read::GzDecoder::new(&*Coding::Gzip.encode(&text).unwrap()).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, text);
    }
}
