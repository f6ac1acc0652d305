//! Files made here, for where there are no real ones: every way of holding a camera, the usual formats, damage, and bombs.

use super::{Kind, Row};
use aincident_tests::scenes::{self, Scene, Shot, exif, take, turned};
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;

const TAKEN: &str = "2026:11:20 09:30:00";

fn row(name: &str, bytes: Vec<u8>, kind: Kind) -> Row {
    Row { name: name.to_owned(), bytes, kind }
}

/// All of them.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // Drawn once: that takes longer than all the rest.
    let shot = Shot {
        scene: Scene::BlockedExit,
        orientation: 1,
        taken: TAKEN.to_owned(),
        located: true,
        width: 800,
    };
    let plain = take(&shot, 42);
    let picture = image::load_from_memory(&plain).unwrap();
    for orientation in 1..=8 {
        let name = format!("orientation/blocked_exit_{orientation}.jpg");
        let kind = Kind::Upright("orientation/blocked_exit".to_owned());
        let told = exif(orientation, TAKEN, orientation % 2 == 0);
        rows.push(row(&name, scenes::jpeg(&turned(&picture.to_rgb8(), orientation), 90, Some(&told)), kind));
    }
    for (name, format) in
        [("door.png", ImageFormat::Png), ("door.webp", ImageFormat::WebP), ("door.gif", ImageFormat::Gif)]
    {
        rows.push(row(name, written(&picture, format), Kind::Shown));
    }
    rows.push(row(
        "grey.png",
        written(&DynamicImage::ImageLuma8(picture.to_luma8()), ImageFormat::Png),
        Kind::Shown,
    ));
    rows.push(row("progressive.jpg", progressive(&picture), Kind::Shown));
    let ink = vec![40; 120 * 90 * 4];
    rows.push(row("cmyk.jpg", jpeg(&ink, (120, 90), jpeg_encoder::ColorType::Cmyk), Kind::Shown));

    rows.push(row("half.jpg", plain[..plain.len() / 2].to_vec(), Kind::Damaged));
    rows.push(row("start.jpg", plain[..40].to_vec(), Kind::Kept));
    rows.push(row("text.jpg", b"this is no picture\n".repeat(100), Kind::Kept));
    let mut heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    heic.extend(&plain[..5000]);
    rows.push(row("phone.heic", heic, Kind::Kept));

    rows.push(row("bomb.png", png_bomb(60_000, 60_000), Kind::Refused));
    rows.push(row("bomb.jpg", jpeg_bomb(65_000, 65_000), Kind::Refused));
    rows
}

fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn jpeg(pixels: &[u8], size: (u16, u16), colours: jpeg_encoder::ColorType) -> Vec<u8> {
    let mut out = Vec::new();
    jpeg_encoder::Encoder::new(&mut out, 85).encode(pixels, size.0, size.1, colours).unwrap();
    out
}

fn progressive(picture: &DynamicImage) -> Vec<u8> {
    let (rgb, mut out) = (picture.to_rgb8(), Vec::new());
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 85);
    encoder.set_progressive(true);
    let side = |side: u32| u16::try_from(side).unwrap();
    encoder
        .encode(rgb.as_raw(), side(rgb.width()), side(rgb.height()), jpeg_encoder::ColorType::Rgb)
        .unwrap();
    out
}

/// A few bytes that say they are that large.
fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    for (name, body) in [(b"IHDR", head), (b"IDAT", vec![0x78, 0x9c, 3, 0, 0, 0, 0, 1]), (b"IEND", Vec::new())] {
        out.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(&body);
        out.extend(name);
        out.extend(body);
        out.extend(sum.sum().to_be_bytes());
    }
    out
}

fn jpeg_bomb(width: u16, height: u16) -> Vec<u8> {
    let small = jpeg(&[128; 64 * 64], (64, 64), jpeg_encoder::ColorType::Luma);
    let frame = small.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    let mut out = small;
    out[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    out[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    out
}
