//! From an original to what people look at: an upright picture and a thumbnail, in sRGB, without a word of where and by
//! whom it was taken.

use super::header::{Inspection, MAX_DECODED_BYTES, Verdict, inspect};
use super::pixels::{Kind, Pixels, fit};
use super::sniff::{Format, SNIFF_BYTES, jpeg_start};
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use jpeg_decoder::{Decoder, PixelFormat};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

/// Into what the display image fits, pixels.
pub const DISPLAY: (u32, u32) = (1600, 1200);
/// Into what the thumbnail fits, pixels.
pub const THUMBNAIL: (u32, u32) = (320, 240);
/// JPEG quality of both: hardly told from the original on a screen.
const QUALITY: u8 = 82;
/// A picture that breaks off is shown as long as at least this much of it is there.
const MOST_MISSING: f64 = 0.1;

/// What people look at. Both are JPEGs without metadata.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Fits into [`DISPLAY`].
    pub display: Vec<u8>,
    /// Fits into [`THUMBNAIL`].
    pub thumbnail: Vec<u8>,
    /// Pixels across of the original, upright.
    pub width: u32,
    /// Pixels down of the original, upright.
    pub height: u32,
}

/// Why there is nothing to look at, in plain words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);

/// Makes what people look at from the file `path`. Takes a moment of a processor's time.
///
/// # Errors
/// [`Undecodable`] for whatever the file holds that is no picture, [`io::Error`] when the disk fails.
pub fn derive(path: &Path) -> io::Result<Result<Derived, Undecodable>> {
    let found = inspect(path)?;
    match &found.verdict {
        Verdict::Decodable => {}
        Verdict::Undecodable(why) | Verdict::Bomb(why) => return Ok(Err(Undecodable(why.clone()))),
    }
    let (Some(width), Some(height)) = (found.width, found.height) else {
        return Ok(Err(Undecodable("the header does not say how large the picture is".to_owned())));
    };
    let decoded = match found.format {
        Format::Jpeg => jpeg(path, &found)?,
        Format::Png => other(path, ImageFormat::Png)?,
        Format::WebP => other(path, ImageFormat::WebP)?,
        Format::Gif => other(path, ImageFormat::Gif)?,
        Format::Heif | Format::Other(_) => Err("it is not a picture that can be shown".to_owned()),
    };
    Ok(decoded.and_then(|decoded| finish(decoded, found.orientation, (width, height))).map_err(Undecodable))
}

pub(super) struct Decoded {
    pub(super) pixels: Pixels,
    pub(super) profile: Option<Vec<u8>>,
}

pub(super) fn finish(decoded: Decoded, orientation: u8, size: (u32, u32)) -> Result<Derived, String> {
    let stored = |(width, height)| if orientation >= 5 { (height, width) } else { (width, height) };
    let (width, height) = stored(fit(size, DISPLAY));
    let display = decoded.pixels.resized(width, height)?.into_srgb(decoded.profile.as_deref());
    let (width, height) = stored(fit(stored((width, height)), THUMBNAIL));
    let thumbnail = display.clone().resized(width, height)?;
    Ok(Derived {
        display: encode(&display.upright(orientation))?,
        thumbnail: encode(&thumbnail.upright(orientation))?,
        width: size.0,
        height: size.1,
    })
}

fn encode(pixels: &Pixels) -> Result<Vec<u8>, String> {
    let mut jpeg = Vec::with_capacity(pixels.data.len() / 8);
    let mut encoder = Encoder::new(&mut jpeg, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let side = |side: u32| u16::try_from(side).map_err(|e| e.to_string());
    encoder
        .encode(&pixels.data, side(pixels.width)?, side(pixels.height)?, ColorType::Rgb)
        .map_err(|e| e.to_string())?;
    Ok(jpeg)
}

/// Decodes a JPEG at the smallest fraction of its size that is still large enough: half the work, a sixteenth of the memory.
fn jpeg(path: &Path, found: &Inspection) -> io::Result<Result<Decoded, String>> {
    // Whole: the decoder asks for single bytes, and a third of its time would go into reading them from a file.
    let file = std::fs::read(path)?;
    if !is_done_in_time(&file, found) {
        return Ok(Err("its picture is put together from more layers than any camera writes".to_owned()));
    }
    if !ends_properly(&file) {
        return what_is_there(path);
    }
    let begins = jpeg_start(&file[..file.len().min(SNIFF_BYTES)]).unwrap_or(0);
    let mut decoder = Decoder::new(&file[begins..]);
    decoder.set_max_decoding_buffer_size(usize::try_from(MAX_DECODED_BYTES).unwrap_or(usize::MAX));
    let upright = (found.width.unwrap_or(1), found.height.unwrap_or(1));
    let (mut width, mut height) = fit(upright, DISPLAY);
    if found.orientation >= 5 {
        (width, height) = (height, width);
    }
    let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
    let decoded = decoder.scale(side(width), side(height)).and_then(|_| decoder.decode());
    let data = match decoded {
        Ok(data) => data,
        Err(_) => return second_try(path),
    };
    let Some(info) = decoder.info() else {
        return Ok(Err("the picture is empty".to_owned()));
    };
    let (kind, data) = match info.pixel_format {
        PixelFormat::L8 => (Kind::Grey, data),
        PixelFormat::L16 => (Kind::Grey, data.chunks_exact(2).map(|two| two[1]).collect()),
        PixelFormat::RGB24 => (Kind::Rgb, data),
        PixelFormat::CMYK32 => (Kind::Cmyk, data),
    };
    let pixels = Pixels { kind, width: u32::from(info.width), height: u32::from(info.height), data };
    Ok(Ok(Decoded { pixels, profile: decoder.icc_profile() }))
}

/// Decodes a JPEG that breaks off, where little of it is missing. This decoder leaves one colour where it has nothing.
fn what_is_there(path: &Path) -> io::Result<Result<Decoded, String>> {
    Ok(match other(path, ImageFormat::Jpeg)? {
        Ok(decoded) if decoded.pixels.blank_tail() <= MOST_MISSING => Ok(decoded),
        _ => Err("the file breaks off in the middle of the picture".to_owned()),
    })
}

/// The other decoder knows some files that the first one refuses.
fn second_try(path: &Path) -> io::Result<Result<Decoded, String>> {
    Ok(match other(path, ImageFormat::Jpeg)? {
        Ok(decoded) => Ok(decoded),
        Err(_) => Err("the picture is damaged".to_owned()),
    })
}

/// Most blocks of pixels that a decoder goes through, all scans together: about two seconds' work. A camera's largest picture in
/// a dozen scans is a twentieth of that; a small file may well say that it has thousands.
const MOST_BLOCKS: u64 = 400_000_000;

/// Whether a JPEG's scans, each of which may go through the whole picture, are few enough for its size.
fn is_done_in_time(file: &[u8], found: &Inspection) -> bool {
    let scans = file.windows(2).filter(|two| two == &[0xff, 0xda]).count() as u64;
    // At most four components, each in blocks of eight by eight.
    let blocks = u64::from(found.width.unwrap_or(1).div_ceil(8)) * u64::from(found.height.unwrap_or(1).div_ceil(8)) * 3;
    scans.saturating_mul(blocks) <= MOST_BLOCKS
}

/// Whether the end of a JPEG is where it should be: near the end of the file.
fn ends_properly(file: &[u8]) -> bool {
    let tail = &file[file.len().saturating_sub(64 * 1024)..];
    tail.windows(2).any(|two| two == [0xff, 0xd9])
}

/// Decodes any other format; the first frame of several.
fn other(path: &Path, format: ImageFormat) -> io::Result<Result<Decoded, String>> {
    let mut reader = ImageReader::with_format(BufReader::new(File::open(path)?), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits.clone());
    let decoded = (|| {
        let mut decoder = reader.into_decoder()?;
        // The decoders themselves mind their own buffers only.
        limits.reserve(decoder.total_bytes())?;
        let profile = decoder.icc_profile()?;
        let image = DynamicImage::from_decoder(decoder)?;
        Ok::<_, image::ImageError>((image, profile))
    })();
    let (image, profile) = match decoded {
        Ok(decoded) => decoded,
        Err(image::ImageError::IoError(error)) if !is_about_content(&error) => return Err(error),
        Err(_) => return Ok(Err("the picture is damaged".to_owned())),
    };
    let (width, height) = (image.width(), image.height());
    let (kind, data) = match image {
        DynamicImage::ImageLuma8(grey) => (Kind::Grey, grey.into_raw()),
        image if image.color().has_alpha() => (Kind::Rgba, image.into_rgba8().into_raw()),
        image if !image.color().has_color() => (Kind::Grey, image.into_luma8().into_raw()),
        image => (Kind::Rgb, image.into_rgb8().into_raw()),
    };
    Ok(Ok(Decoded { pixels: Pixels { kind, width, height, data }, profile }))
}

fn is_about_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other
    )
}
