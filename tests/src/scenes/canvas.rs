//! A sheet to draw on: 4 units across and 3 down, whatever its pixels.

use crate::random::Rng;
use image::RgbImage;
use image::imageops::{FilterType, resize};
use jpeg_encoder::SamplingFactor;

/// Pixels drawn for each unit; a photo is this enlarged, as a small lens draws softly.
const PER_UNIT: f32 = 300.0;
/// Pixels across and down.
const SIZE: (u32, u32) = (1200, 900);

/// Red, green, blue; 0.0 to 1.0.
pub type Colour = [f32; 3];

/// A point, in units.
pub type Point = (f32, f32);

/// `a` towards `b`.
pub fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|n| a[n] + (b[n] - a[n]) * share)
}

/// Brighter or darker.
pub fn lit(colour: Colour, light: f32) -> Colour {
    colour.map(|part| part * light)
}

/// A colour of the wheel; `hue` in turns.
pub fn hue(hue: f32, grey: f32, light: f32) -> Colour {
    let wheel = [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|at: f32| 0.5 + 0.5 * ((hue + at) * std::f32::consts::TAU).cos());
    lit(mix(wheel, [0.6; 3], grey), light)
}

/// A number from 0.0 to 1.0 that belongs to `x` and `y`.
pub fn chance_of(x: i32, y: i32) -> f32 {
    let mut rng = Rng::new((u64::from(x as u32) << 32 | u64::from(y as u32)) ^ 0x5ee9);
    (rng.next_u64() >> 40) as f32 / (1_u32 << 24) as f32
}

/// Smooth random hills, 0.0 to 1.0.
pub fn hills(x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (across, down) = (ease(x - left), ease(y - top));
    let at = |dx: i32, dy: i32| chance_of(left as i32 + dx, top as i32 + dy);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * across;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * across;
    upper + (lower - upper) * down
}

/// The sheet.
pub struct Canvas {
    pixels: Vec<Colour>,
}

impl Canvas {
    /// A sheet with `paint` at every point.
    pub fn new(paint: impl Fn(Point) -> Colour) -> Self {
        let (width, height) = SIZE;
        let mut pixels = Vec::with_capacity((width * height) as usize);
        for y in 0..height {
            for x in 0..width {
                pixels.push(paint(((x as f32 + 0.5) / PER_UNIT, (y as f32 + 0.5) / PER_UNIT)));
            }
        }
        Self { pixels }
    }

    /// Lays `paint` over what is there, as thick as `cover` says (0.0 to 1.0), inside the box.
    pub fn lay(&mut self, from: Point, to: Point, cover: impl Fn(Point) -> f32, paint: impl Fn(Point) -> Colour) {
        let (width, height) = SIZE;
        let pixel = |at: f32, most: u32| (at * PER_UNIT).clamp(0.0, most as f32) as u32;
        for y in pixel(from.1, height)..pixel(to.1, height) {
            for x in pixel(from.0, width)..pixel(to.0, width) {
                let at = ((x as f32 + 0.5) / PER_UNIT, (y as f32 + 0.5) / PER_UNIT);
                let share = cover(at);
                if share > 0.0 {
                    let pixel = &mut self.pixels[(y * width + x) as usize];
                    *pixel = mix(*pixel, paint(at), share);
                }
            }
        }
    }

    /// A filled polygon.
    pub fn polygon(&mut self, corners: &[Point], paint: impl Fn(Point) -> Colour) {
        self.polygon_thin(corners, 1.0, paint);
    }

    /// A filled polygon that lets `1.0 - cover` of what is behind it through.
    pub fn polygon_thin(&mut self, corners: &[Point], cover: f32, paint: impl Fn(Point) -> Colour) {
        let (from, to) = bounds(corners);
        let inside = |at: Point| {
            // Four looks into each pixel make a soft edge.
            let quarter = 0.25 / PER_UNIT;
            let looks = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)];
            let hits =
                looks.iter().filter(|(x, y)| contains(corners, (at.0 + x * quarter, at.1 + y * quarter))).count();
            cover * hits as f32 / 4.0
        };
        self.lay(from, to, inside, paint);
    }

    /// A box with sides along the sheet.
    pub fn rectangle(&mut self, from: Point, to: Point, paint: impl Fn(Point) -> Colour) {
        self.polygon(&[from, (to.0, from.1), to, (from.0, to.1)], paint);
    }

    /// A line of some thickness.
    pub fn line(&mut self, from: Point, to: Point, thick: f32, colour: Colour) {
        let (along, down) = (to.0 - from.0, to.1 - from.1);
        let length = along.hypot(down).max(1e-6);
        let (x, y) = (-down / length * thick / 2.0, along / length * thick / 2.0);
        let corners = [(from.0 + x, from.1 + y), (to.0 + x, to.1 + y), (to.0 - x, to.1 - y), (from.0 - x, from.1 - y)];
        self.polygon(&corners, |_| colour);
    }

    /// An ellipse with an edge that fades over `soft` of its radius.
    pub fn ellipse(&mut self, middle: Point, radius: Point, soft: f32, cover: f32, paint: impl Fn(Point) -> Colour) {
        let inside = |at: Point| {
            let away = ((at.0 - middle.0) / radius.0).hypot((at.1 - middle.1) / radius.1);
            cover * ((1.0 - away) / soft.max(0.01)).clamp(0.0, 1.0)
        };
        let (from, to) = ((middle.0 - radius.0, middle.1 - radius.1), (middle.0 + radius.0, middle.1 + radius.1));
        self.lay(from, to, inside, paint);
    }

    /// A shadow on the floor.
    pub fn shadow(&mut self, middle: Point, radius: Point) {
        self.ellipse(middle, radius, 0.7, 0.55, |_| [0.03, 0.03, 0.04]);
    }

    /// Words in capitals, `tall` units high.
    pub fn words(&mut self, text: &str, at: Point, tall: f32, colour: Colour) {
        let dot = tall / 7.0;
        for (n, letter) in text.chars().enumerate() {
            let left = at.0 + n as f32 * dot * 6.0;
            for (row, bits) in glyph(letter).iter().enumerate() {
                for column in 0..5_u8 {
                    if bits >> (4 - column) & 1 == 1 {
                        let from = (left + f32::from(column) * dot, at.1 + row as f32 * dot);
                        self.rectangle(from, (from.0 + dot, from.1 + dot), |_| colour);
                    }
                }
            }
        }
    }

    /// The sheet as a camera sees it, `width` pixels across: darker towards the corners, with the noise of its sensor.
    pub fn photo(&self, width: u32, noise: f32, rng: &mut Rng) -> RgbImage {
        let (across, down) = SIZE;
        let mut drawn = RgbImage::new(across, down);
        for (pixel, colour) in drawn.pixels_mut().zip(&self.pixels) {
            pixel.0 = colour.map(|part| (part.clamp(0.0, 1.0) * 255.0) as u8);
        }
        let mut photo = resize(&drawn, width, width * down / across, FilterType::Triangle);
        let middle = (width as f32 / 2.0, photo.height() as f32 / 2.0);
        for (x, y, pixel) in photo.enumerate_pixels_mut() {
            let away = ((x as f32 - middle.0) / middle.0).powi(2) + ((y as f32 - middle.1) / middle.1).powi(2);
            let grain = rng.next_u64();
            for (n, part) in pixel.0.iter_mut().enumerate() {
                let grain = (grain >> (n * 16) & 0xff) + (grain >> (n * 16 + 8) & 0xff);
                let grain = (grain as f32 / 255.0 - 1.0) * noise;
                *part = (f32::from(*part) * (1.0 - 0.16 * away) + grain).clamp(0.0, 255.0) as u8;
            }
        }
        photo
    }
}

/// `picture` as a JPEG of that quality, behind `exif` where there is any.
///
/// # Panics
/// When it cannot be encoded.
pub fn jpeg(picture: &RgbImage, quality: u8, exif: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    if let Some(exif) = exif {
        encoder.add_app_segment(1, exif.to_vec()).expect("an EXIF segment");
    }
    let (width, height) = (picture.width() as u16, picture.height() as u16);
    encoder.encode(picture.as_raw(), width, height, jpeg_encoder::ColorType::Rgb).expect("a JPEG");
    out
}

fn bounds(corners: &[Point]) -> (Point, Point) {
    let fold = |pick: fn(&Point) -> f32, best: fn(f32, f32) -> f32, from| corners.iter().map(pick).fold(from, best);
    let from = (fold(|p| p.0, f32::min, 9.0), fold(|p| p.1, f32::min, 9.0));
    let to = (fold(|p| p.0, f32::max, -9.0), fold(|p| p.1, f32::max, -9.0));
    ((from.0 - 0.01, from.1 - 0.01), (to.0 + 0.01, to.1 + 0.01))
}

fn contains(corners: &[Point], at: Point) -> bool {
    let mut inside = false;
    for (n, a) in corners.iter().enumerate() {
        let b = corners[(n + 1) % corners.len()];
        if (a.1 > at.1) != (b.1 > at.1) && at.0 < (b.0 - a.0) * (at.1 - a.1) / (b.1 - a.1) + a.0 {
            inside = !inside;
        }
    }
    inside
}

/// Seven rows of five dots.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        'A' => [14, 17, 17, 31, 17, 17, 17],
        'C' => [14, 17, 16, 16, 16, 17, 14],
        'D' => [30, 17, 17, 17, 17, 17, 30],
        'E' => [31, 16, 16, 30, 16, 16, 31],
        'F' => [31, 16, 16, 30, 16, 16, 16],
        'I' => [14, 4, 4, 4, 4, 4, 14],
        'L' => [16, 16, 16, 16, 16, 16, 31],
        'N' => [17, 25, 21, 21, 19, 17, 17],
        'O' => [14, 17, 17, 17, 17, 17, 14],
        'P' => [30, 17, 17, 30, 16, 16, 16],
        'R' => [30, 17, 17, 30, 20, 18, 17],
        'S' => [15, 16, 16, 14, 1, 1, 30],
        'T' => [31, 4, 4, 4, 4, 4, 4],
        'U' => [17, 17, 17, 17, 17, 17, 14],
        'W' => [17, 17, 17, 21, 21, 27, 17],
        'X' => [17, 17, 10, 4, 10, 17, 17],
        '4' => [2, 6, 10, 18, 31, 2, 2],
        '0' => [14, 17, 19, 21, 25, 17, 14],
        '!' => [4, 4, 4, 4, 4, 0, 4],
        _ => [0; 7],
    }
}
