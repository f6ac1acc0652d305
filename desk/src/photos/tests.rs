//! Pictures made here, with the quirks that cameras and attackers give them; and real ones, where they lie beside the project.

use super::derive::{Derived, derive};
use super::header::{Verdict, inspect};
use super::sniff::Format;
use chassis::ids::Ids;
use image::{ImageEncoder as _, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder};
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("photos-{:016x}", Ids::system().random_u64()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Red, green / blue, white.
fn corners(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([220, 20, 20]),
        (false, true) => Rgb([20, 200, 20]),
        (true, false) => Rgb([20, 20, 220]),
        (false, false) => Rgb([240, 240, 240]),
    })
}

fn jpeg(image: &RgbImage, progressive: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    encoder.set_progressive(progressive);
    encoder.encode(image.as_raw(), image.width() as u16, image.height() as u16, ColorType::Rgb).unwrap();
    out
}

/// EXIF with an orientation, a moment and a place nobody should learn.
fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
    tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    tiff.extend([0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 38]);
    tiff.extend([0, 0, 0, 0]);
    tiff.extend([0, 1, 0x90, 0x03, 0, 2, 0, 0, 0, 20, 0, 0, 0, 56, 0, 0, 0, 0]);
    tiff.extend(b"2026:01:02 03:04:05\0");
    tiff.extend(b"GPS 59.91N 10.75E");
    tiff
}

fn with_segment(jpeg: &[u8], marker: u8, head: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(2 + head.len() + body.len()).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, head, body, &jpeg[2..]].concat()
}

/// The image stored so that `orientation` turns it upright.
fn stored(upright: &RgbImage, orientation: u8) -> RgbImage {
    use image::imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
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

fn decoded(jpeg: &[u8]) -> RgbImage {
    image::load_from_memory(jpeg).unwrap().into_rgb8()
}

fn assert_corners(image: &RgbImage, what: &str) {
    let (w, h) = image.dimensions();
    let expected = corners(2, 2);
    for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let found = image.get_pixel(w / 4 + x * w / 2, h / 4 + y * h / 2);
        let wanted = expected.get_pixel(x, y);
        let off = found.0.iter().zip(wanted.0).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(off < 30, "{what}: {found:?} instead of {wanted:?} in corner {x},{y}");
    }
}

/// No segment of a JPEG that could hold more than pixels.
fn assert_bare(jpeg: &[u8], what: &str) {
    let mut at = 2;
    while jpeg[at] == 0xff && jpeg[at + 1] != 0xda {
        let marker = jpeg[at + 1];
        assert!(matches!(marker, 0xe0 | 0xdb | 0xc0..=0xc4 | 0xdd), "{what}: segment {marker:02x}");
        at += 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
    }
    assert_eq!(jpeg[at + 1], 0xda);
}

fn derived(path: &Path) -> Derived {
    derive(path).unwrap().unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

#[test]
fn all_eight_orientations_come_out_upright_small_and_bare() {
    let folder = Folder::new();
    let upright = corners(2000, 1000);
    for orientation in 1..=8 {
        for progressive in [false, true] {
            let bytes =
                with_segment(&jpeg(&stored(&upright, orientation), progressive), 0xe1, b"Exif\0\0", &exif(orientation));
            let bytes = with_segment(&bytes, 0xfe, b"", b"taken at home");
            let path = folder.file("a.jpg", &bytes);
            let found = inspect(&path).unwrap();
            assert_eq!((found.width, found.height, found.orientation), (Some(2000), Some(1000), orientation));
            assert_eq!(
                found.taken.map(|taken| taken.at_ms(&jiff::tz::TimeZone::UTC)),
                chassis::clock::parse_rfc3339("2026-01-02T03:04:05Z")
            );
            let made = derived(&path);
            assert_eq!((made.width, made.height), (2000, 1000));
            let (display, thumbnail) = (decoded(&made.display), decoded(&made.thumbnail));
            assert_eq!((display.dimensions(), thumbnail.dimensions()), ((1600, 800), (320, 160)));
            assert_corners(&display, &format!("display {orientation}"));
            assert_corners(&thumbnail, &format!("thumbnail {orientation}"));
            assert_bare(&made.display, "display");
            assert_bare(&made.thumbnail, "thumbnail");
        }
    }
}

#[test]
fn every_usual_format_is_shown() {
    let folder = Folder::new();
    let image = corners(600, 400);
    let rgba = image::DynamicImage::from(image.clone()).into_rgba8();
    let mut transparent = rgba.clone();
    transparent
        .pixels_mut()
        .filter(|pixel| pixel.0[..3] == [240, 240, 240])
        .for_each(|pixel| pixel.0 = [0, 0, 0, 0]);
    let wide = image::DynamicImage::from(image.clone()).into_rgb16();
    let save = |name: &str, image: image::DynamicImage| {
        let path = folder.0.join(name);
        image.save(&path).unwrap();
        path
    };
    let mut webp = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut webp)
        .write_image(image.as_raw(), 600, 400, image::ExtendedColorType::Rgb8)
        .unwrap();
    for (path, format) in [
        (save("plain.png", image.clone().into()), Format::Png),
        (save("see-through.png", transparent.into()), Format::Png),
        (save("wide.png", wide.into()), Format::Png),
        (save("a.gif", rgba.into()), Format::Gif),
        (folder.file("a.webp", &webp), Format::WebP),
        (
            folder.file("junk-before.jpg", &[b"\r\n\r\n".as_slice(), &jpeg(&image, false)].concat()),
            Format::Jpeg,
        ),
    ] {
        let found = inspect(&path).unwrap();
        assert_eq!((found.format, found.width, found.height), (format, Some(600), Some(400)), "{}", path.display());
        let made = derived(&path);
        assert_corners(&decoded(&made.display), &path.display().to_string());
        assert_eq!(decoded(&made.display).dimensions(), (600, 400), "never enlarged");
        assert_bare(&made.display, "display");
    }
}

#[test]
fn ink_and_grey_are_shown_in_their_colours() {
    let folder = Folder::new();
    let image = corners(400, 300);
    let ink: Vec<u8> = image.pixels().flat_map(|p| [255 - p.0[0], 255 - p.0[1], 255 - p.0[2], 0]).collect();
    let mut cmyk = Vec::new();
    Encoder::new(&mut cmyk, 95).encode(&ink, 400, 300, ColorType::Cmyk).unwrap();
    assert_corners(&decoded(&derived(&folder.file("ink.jpg", &cmyk)).display), "ink");
    let mut grey = Vec::new();
    Encoder::new(&mut grey, 95).encode(&[200; 120_000], 400, 300, ColorType::Luma).unwrap();
    let shown = decoded(&derived(&folder.file("grey.jpg", &grey)).display);
    assert!(shown.get_pixel(200, 150).0.iter().all(|channel| channel.abs_diff(200) < 4));
}

#[test]
fn a_profile_of_other_colours_is_brought_to_the_screens() {
    let folder = Folder::new();
    let image = RgbImage::from_pixel(200, 200, Rgb([200, 60, 60]));
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let bytes = with_segment(&jpeg(&image, false), 0xe2, b"ICC_PROFILE\0\x01\x01", &profile);
    let shown = decoded(&derived(&folder.file("p3.jpg", &bytes)).display);
    let plain = decoded(&derived(&folder.file("plain.jpg", &jpeg(&image, false))).display);
    let red = |image: &RgbImage| image.get_pixel(100, 100).0[0];
    assert!(red(&shown) > red(&plain) + 8, "{} {}", red(&shown), red(&plain));
}

#[test]
fn what_would_explode_is_refused_by_its_header() {
    let folder = Folder::new();
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\0\0\0\x01\0\0\x08\x03\0\0\0".to_vec();
    png.extend([0; 64]);
    let mut large = jpeg(&corners(64, 64), false);
    let frame = large.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    large[frame + 5..frame + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0];
    let mut layered = jpeg(&corners(64, 64), true);
    let first = layered.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
    layered.splice(first..first, scan.iter().copied().cycle().take(scan.len() * 200));
    for (name, bytes) in [("a.png", png), ("a.jpg", large), ("layers.jpg", layered)] {
        let path = folder.file(name, &bytes);
        let verdict = inspect(&path).unwrap().verdict;
        assert!(matches!(verdict, Verdict::Bomb(_)), "{name}: {verdict:?}");
        assert!(derive(&path).unwrap().is_err());
    }
}

#[test]
fn what_is_broken_is_told_apart_from_what_is_nearly_whole() {
    let folder = Folder::new();
    let noisy =
        RgbImage::from_fn(1200, 900, |x, y| Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, ((x ^ y) % 256) as u8]));
    let whole = jpeg(&noisy, false);
    derived(&folder.file("nearly.jpg", &whole[..whole.len() - 40]));
    for (name, bytes) in [
        ("half.jpg", &whole[..whole.len() / 2]),
        ("head.jpg", &whole[..200]),
        ("tiny.jpg", &whole[..4]),
        ("empty.jpg", &[]),
        ("text.txt", b"this is no picture"),
        ("fake.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    ] {
        let path = folder.file(name, bytes);
        let refused = derive(&path).unwrap();
        assert!(refused.is_err(), "{name}");
        assert!(!matches!(inspect(&path).unwrap().verdict, Verdict::Bomb(_)), "{name}");
    }
}

/// Most memory the process has had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn real_photos_and_hostile_files_are_handled_in_time_and_memory() {
    let Some(real) = std::env::var_os("AINCIDENT_REAL_DATA").map(|path| PathBuf::from(path).join("photos")) else {
        println!("left out: real photos (AINCIDENT_REAL_DATA is not set)");
        return;
    };
    let manifest = std::fs::read_to_string(real.join("MANIFEST.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(manifest.as_bytes());
    let mut reference = std::collections::HashMap::new();
    let before = peak_mib();
    for row in rows.records() {
        let row = row.unwrap();
        let name = &row[0];
        let path = real.join(name);
        let begun = Instant::now();
        let (found, made) = (inspect(&path).unwrap(), derive(&path).unwrap());
        let took = begun.elapsed();
        println!(
            "{name}: {:?} {:?} {took:?} peak {} MiB {:?}",
            found.format,
            found.verdict,
            peak_mib(),
            made.as_ref().map(|m| (m.width, m.height, m.display.len()))
        );
        assert!(took.as_secs() < 20, "{name} took {took:?}");
        if let Ok(made) = &made {
            assert_bare(&made.display, name);
            assert_bare(&made.thumbnail, name);
        }
        match name.split('/').next().unwrap() {
            "bomb" => assert!(matches!(found.verdict, Verdict::Bomb(_)), "{name}"),
            "orientation" => {
                let thumbnail = decoded(&made.unwrap().thumbnail);
                let series = name.rsplit_once('_').unwrap().0.to_owned();
                let first: &RgbImage = reference.entry(series).or_insert_with(|| thumbnail.clone());
                assert_eq!(first.dimensions(), thumbnail.dimensions(), "{name}");
                let off: u64 =
                    first.as_raw().iter().zip(thumbnail.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                assert!(off / (first.as_raw().len() as u64) < 6, "{name} is not upright: {off}");
            }
            "heic" | "corrupt" => {
                assert!(!matches!(found.verdict, Verdict::Bomb(_)) || name.contains("fuzz"), "{name}")
            }
            _ => assert!(made.is_ok(), "{name}: {:?}", made.err()),
        }
    }
    assert!(peak_mib() - before < 300, "{} MiB more than before", peak_mib() - before);
}

#[test]
fn a_small_file_cannot_have_a_picture_drawn_thousands_of_times() {
    let folder = Folder::new();
    let whole = jpeg(&RgbImage::from_pixel(2000, 1500, Rgb([90, 90, 90])), true);
    let last = whole.windows(2).rposition(|two| two == [0xff, 0xda]).unwrap();
    let (before, scan) = whole[..whole.len() - 2].split_at(last);
    let drawn = |times: usize| [before, &scan.repeat(times), &[0xff, 0xd9]].concat();
    assert!(derive(&folder.file("often.jpg", &drawn(20))).unwrap().is_ok());
    let thousands = drawn(1500);
    assert!(thousands.len() < 20_000_000, "{}", thousands.len());
    let refused = derive(&folder.file("thousands.jpg", &thousands)).unwrap().unwrap_err();
    assert!(refused.0.contains("layers"), "{refused}");
}
