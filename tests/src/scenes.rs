//! Photos of what happened, drawn in code from a seed: nobody's face, nobody's shop, nobody's rights.
//!
//! Each is as large as a phone's, noisy as its sensor, and stored the way it was held: EXIF says how to turn it. Some say where
//! they were taken, too, so that there is something to leave out.

mod canvas;
mod exif;
mod room;

pub use canvas::jpeg;
pub use exif::{exif, turned};

use crate::random::Rng;
use canvas::{Canvas, Colour, Point, chance_of, hills, hue, lit, mix};
use room::{Room, Wall, boxes, goods};
use serde::Deserialize;

/// What a photo shows.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// A puddle in an aisle, and its sign.
    WetFloor,
    /// Glass and what was in it.
    BrokenBottle,
    /// A back door that was forced.
    ForcedDoor,
    /// Roll cages in front of an emergency exit.
    BlockedExit,
    /// A till with its drawer open.
    Till,
    /// A shelf with a gap.
    EmptyShelf,
    /// A shop window with a hole.
    BrokenWindow,
    /// A dent in a car.
    DentedCar,
    /// Boxes that fell in the stockroom.
    FallenBoxes,
    /// A sheet of paper on a desk.
    Paper,
}

/// How a photo is taken.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Of what.
    pub scene: Scene,
    /// EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// When, as cameras write it.
    pub taken: String,
    /// Whether the camera notes where.
    pub located: bool,
    /// Pixels along the longer side.
    pub width: u32,
}

/// Takes it: a JPEG of one to three megabytes at 3000 pixels.
///
/// # Panics
/// When it cannot be encoded.
#[must_use]
pub fn take(shot: &Shot, seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed ^ 0xca3e_7a00);
    let canvas = draw(shot.scene, &mut rng);
    let noise = 7.0 + rng.below(5) as f32;
    let photo = turned(&canvas.photo(shot.width, noise, &mut rng), shot.orientation);
    jpeg(&photo, 90, Some(&exif(shot.orientation, &shot.taken, shot.located)))
}

fn draw(scene: Scene, rng: &mut Rng) -> Canvas {
    match scene {
        Scene::WetFloor => wet_floor(rng),
        Scene::BrokenBottle => broken_bottle(rng),
        Scene::ForcedDoor => forced_door(rng),
        Scene::BlockedExit => blocked_exit(rng),
        Scene::Till => till(rng),
        Scene::EmptyShelf => empty_shelf(rng),
        Scene::BrokenWindow => broken_window(rng),
        Scene::DentedCar => dented_car(rng),
        Scene::FallenBoxes => fallen_boxes(rng),
        Scene::Paper => paper(rng),
    }
}

/// A number around `middle`.
fn around(rng: &mut Rng, middle: f32, spread: f32) -> f32 {
    middle + spread * (rng.below(2001) as f32 / 1000.0 - 1.0)
}

fn puddle(canvas: &mut Canvas, middle: Point, size: f32, colour: Colour, cover: f32) {
    for (dx, dy, share) in [(0.0, 0.0, 1.0), (0.55, 0.08, 0.6), (-0.6, 0.05, 0.5), (0.15, -0.12, 0.7)] {
        let at = (middle.0 + dx * size, middle.1 + dy * size);
        canvas.ellipse(at, (size * share, size * share * 0.3), 0.12, cover, |p| {
            lit(colour, 0.85 + 0.3 * hills(p.0 * 3.0, p.1 * 14.0))
        });
    }
    canvas.ellipse((middle.0 - size * 0.2, middle.1 - size * 0.05), (size * 0.5, size * 0.05), 0.9, 0.6, |_| [0.95; 3]);
}

fn wet_floor(rng: &mut Rng) -> Canvas {
    let room = Room::shop(rng);
    let mut canvas = Canvas::new(|at| room.colour(at, &|wall, u, v| goods(wall, u, v)));
    let (x, y) = (around(rng, 1.7, 0.25), around(rng, 2.35, 0.1));
    puddle(&mut canvas, (x, y), 0.75, [0.62, 0.68, 0.72], 0.55);
    let (left, top) = (x + around(rng, 0.75, 0.1), y - 1.0);
    canvas.shadow((left + 0.35, top + 1.12), (0.7, 0.12));
    let yellow = |p: Point| lit([0.98, 0.80, 0.08], 1.05 - 0.25 * (p.1 - top));
    canvas.polygon(&[(left + 0.35, top + 0.02), (left + 0.72, top + 0.98), (left + 0.80, top + 1.02)], |_| {
        [0.6, 0.48, 0.05]
    });
    canvas.polygon(&[(left + 0.22, top), (left + 0.48, top), (left + 0.70, top + 1.12), (left, top + 1.12)], yellow);
    canvas.polygon(&[(left + 0.35, top + 0.16), (left + 0.53, top + 0.52), (left + 0.17, top + 0.52)], |_| {
        [0.12, 0.11, 0.10]
    });
    canvas.words("!", (left + 0.305, top + 0.26), 0.22, [0.98, 0.80, 0.08]);
    canvas.words("WET", (left + 0.19, top + 0.62), 0.13, [0.12, 0.11, 0.10]);
    canvas.words("FLOOR", (left + 0.11, top + 0.82), 0.12, [0.12, 0.11, 0.10]);
    canvas
}

/// Tiles from above.
fn tiles(at: Point, tone: Colour) -> Colour {
    let (u, v) = (at.0 * 1.1 + at.1 * 0.12 + 0.3, at.1 * 1.1 - at.0 * 0.12 + 7.2);
    let joint = (u.fract() - 0.5).abs().max((v.fract() - 0.5).abs()) > 0.485;
    let shade = 0.92 + 0.08 * chance_of(u as i32, v as i32) + 0.10 * (hills(at.0 * 9.0, at.1 * 9.0) - 0.5);
    if joint { lit(tone, 0.55) } else { lit(tone, shade) }
}

fn broken_bottle(rng: &mut Rng) -> Canvas {
    let tone = mix([0.78, 0.76, 0.71], [0.62, 0.66, 0.70], around(rng, 0.5, 0.5));
    let wine = rng.chance(0.6);
    let liquid = if wine { [0.36, 0.05, 0.10] } else { [0.70, 0.62, 0.30] };
    let glass = if wine { [0.10, 0.30, 0.16] } else { [0.45, 0.28, 0.10] };
    let mut canvas = Canvas::new(|at| tiles(at, tone));
    let (x, y) = (around(rng, 2.0, 0.2), around(rng, 1.6, 0.15));
    for n in 0..9 {
        let turn = n as f32 * 0.7 + around(rng, 0.0, 0.3);
        let away = around(rng, 0.45, 0.3);
        let size = around(rng, 0.48, 0.2);
        canvas.ellipse((x + turn.cos() * away, y + turn.sin() * away * 0.8), (size, size * 0.8), 0.08, 0.92, |p| {
            lit(liquid, 0.8 + 0.5 * hills(p.0 * 5.0, p.1 * 5.0))
        });
    }
    canvas.ellipse((x - 0.3, y - 0.35), (0.3, 0.10), 0.9, 0.5, |_| [0.95; 3]);
    for n in 0..46 {
        let turn = n as f32 * 2.4 + around(rng, 0.0, 0.4);
        let away = 0.12 + 1.25 * (n as f32 / 46.0).sqrt() + around(rng, 0.0, 0.12);
        let at = (x + turn.cos() * away, y + turn.sin() * away * 0.85);
        let size = around(rng, 0.11, 0.07);
        let corner = |angle: f32, reach: f32| {
            (at.0 + (turn + angle).cos() * size * reach, at.1 + (turn + angle).sin() * size * reach)
        };
        let corners = [corner(0.0, 1.4), corner(1.9, 0.8), corner(3.4, 1.0), corner(4.6, 0.5)];
        let below = corners.map(|c| (c.0 + 0.02, c.1 + 0.03));
        canvas.polygon_thin(&below, 0.4, |_| [0.02; 3]);
        let light = around(rng, 1.2, 0.5);
        canvas.polygon_thin(&corners, 0.85, |p| lit(glass, light + 0.8 * hills(p.0 * 12.0, p.1 * 12.0)));
        canvas.line(corners[0], corners[1], 0.008, [0.85, 0.95, 0.88]);
    }
    // The neck, lying.
    let neck = (x + 0.75, y + 0.62);
    canvas.shadow((neck.0 + 0.35, neck.1 + 0.16), (0.5, 0.1));
    canvas.polygon(
        &[
            neck,
            (neck.0 + 0.62, neck.1 - 0.06),
            (neck.0 + 0.64, neck.1 + 0.10),
            (neck.0 + 0.04, neck.1 + 0.26),
            (neck.0 - 0.12, neck.1 + 0.12),
        ],
        |p| lit(glass, 1.0 + 1.6 * (1.0 - ((p.1 - neck.1 + (p.0 - neck.0) * 0.16) * 9.0 - 0.6).abs()).max(0.0)),
    );
    canvas.rectangle((neck.0 + 0.60, neck.1 - 0.09), (neck.0 + 0.70, neck.1 + 0.13), |_| lit(glass, 1.7));
    canvas
}

fn exit_sign(canvas: &mut Canvas, at: Point) {
    canvas.rectangle((at.0 - 0.03, at.1 - 0.03), (at.0 + 0.69, at.1 + 0.31), |_| [0.85; 3]);
    canvas.rectangle(at, (at.0 + 0.66, at.1 + 0.28), |_| [0.05, 0.52, 0.28]);
    canvas.words("EXIT", (at.0 + 0.07, at.1 + 0.05), 0.17, [0.95, 1.0, 0.96]);
}

fn plaster(at: Point, tone: Colour) -> Colour {
    lit(tone, 0.94 + 0.08 * hills(at.0 * 2.0, at.1 * 2.0) + 0.05 * hills(at.0 * 40.0, at.1 * 40.0))
}

fn forced_door(rng: &mut Rng) -> Canvas {
    let tone = mix([0.80, 0.78, 0.70], [0.70, 0.74, 0.76], around(rng, 0.5, 0.5));
    let mut canvas = Canvas::new(|at| {
        if at.1 > 2.55 {
            let shade = 0.8 + 0.2 * hills(at.0 * 4.0, at.1 * 20.0);
            return lit([0.42, 0.41, 0.40], shade);
        }
        let base = plaster(at, tone);
        if at.1 > 2.42 { lit(base, 0.55) } else { lit(base, 1.05 - 0.1 * at.1) }
    });
    let left = around(rng, 1.15, 0.15);
    let (right, top, floor) = (left + 1.35, 0.52, 2.62);
    canvas.rectangle((left - 0.12, top - 0.12), (right + 0.12, floor), |p| {
        lit([0.58, 0.60, 0.62], 0.95 + 0.1 * hills(p.0 * 60.0, p.1 * 2.0))
    });
    // The night behind it, and the leaf, ajar.
    canvas.rectangle((left, top), (right, floor), |p| mix([0.03, 0.04, 0.07], [0.10, 0.12, 0.18], p.1 / 3.0));
    let leaf = [(left, top), (right - 0.28, top + 0.09), (right - 0.28, floor + 0.14), (left, floor)];
    canvas.polygon(&leaf, |p| lit([0.36, 0.44, 0.52], 1.1 - 0.25 * (p.0 - left) + 0.06 * hills(p.0 * 30.0, p.1 * 3.0)));
    canvas.line((right - 0.28, top + 0.09), (right - 0.28, floor + 0.14), 0.03, [0.62, 0.68, 0.74]);
    canvas
        .rectangle((left + 0.18, top + 0.35), (right - 0.46, top + 0.95), |p| lit([0.30, 0.37, 0.45], 1.0 + 0.1 * p.1));
    // Where the bar was set: bare metal, a bent plate, splinters.
    let lock = (right - 0.36, 1.62);
    canvas.rectangle((lock.0 - 0.10, lock.1 - 0.22), (lock.0 + 0.07, lock.1 + 0.24), |p| {
        lit([0.70, 0.70, 0.68], 0.8 + 0.4 * hills(p.0 * 9.0, p.1 * 9.0))
    });
    for n in 0..7 {
        let y = lock.1 - 0.30 + n as f32 * 0.09 + around(rng, 0.0, 0.02);
        let reach = around(rng, 0.20, 0.10);
        canvas.line((lock.0 + 0.08 - reach, y + around(rng, 0.0, 0.05)), (lock.0 + 0.08, y), 0.022, [0.88, 0.87, 0.84]);
    }
    canvas.ellipse((lock.0 - 0.02, lock.1), (0.05, 0.05), 0.3, 1.0, |_| [0.10; 3]);
    for n in 0..16 {
        let at = (right + around(rng, 0.02, 0.12), lock.1 + around(rng, 0.1, 0.5));
        let end = (at.0 + around(rng, 0.02, 0.06), at.1 + around(rng, 0.10, 0.08));
        canvas.line(at, end, 0.012, lit([0.82, 0.74, 0.56], 0.7 + n as f32 * 0.02));
    }
    for _ in 0..24 {
        let at = (right - 0.2 + around(rng, 0.0, 0.6), 2.72 + around(rng, 0.0, 0.14));
        canvas.ellipse(at, (around(rng, 0.03, 0.02), 0.012), 0.5, 0.9, |_| [0.80, 0.74, 0.60]);
    }
    exit_sign(&mut canvas, (left + 0.35, 0.05));
    canvas
}

fn cage(canvas: &mut Canvas, from: Point, to: Point, rng: &mut Rng) {
    canvas.shadow(((from.0 + to.0) / 2.0, to.1 + 0.03), ((to.0 - from.0) * 0.65, 0.12));
    let mut y = to.1 - 0.10;
    while y > from.1 + 0.25 {
        let tall = around(rng, 0.30, 0.08);
        let mut x = from.0 + 0.05;
        while x < to.0 - 0.2 {
            let wide = around(rng, 0.36, 0.08).min(to.0 - 0.05 - x);
            let brown = lit([0.66, 0.50, 0.33], around(rng, 0.95, 0.15));
            canvas.rectangle((x, y - tall), (x + wide - 0.02, y), |p| {
                lit(brown, 0.93 + 0.12 * hills(p.0 * 14.0, p.1 * 4.0))
            });
            canvas.rectangle((x + wide * 0.44, y - tall), (x + wide * 0.54, y), |_| lit([0.80, 0.70, 0.52], 0.95));
            x += wide;
        }
        y -= tall + 0.015;
    }
    let steel = [0.74, 0.76, 0.79];
    let bars = ((to.0 - from.0) / 0.13) as usize;
    for n in 0..=bars {
        let x = from.0 + n as f32 * (to.0 - from.0) / bars as f32;
        canvas.line((x, from.1), (x, to.1), 0.014, steel);
    }
    for n in 0..=4 {
        let y = from.1 + n as f32 * (to.1 - from.1) / 4.0;
        canvas.line((from.0, y), (to.0, y), 0.022, lit(steel, 0.9));
    }
    for x in [from.0 + 0.06, to.0 - 0.06] {
        canvas.ellipse((x, to.1 + 0.05), (0.06, 0.06), 0.2, 1.0, |_| [0.10; 3]);
    }
}

fn blocked_exit(rng: &mut Rng) -> Canvas {
    let tone = [0.76, 0.75, 0.72];
    let mut canvas = Canvas::new(|at| {
        if at.1 > 2.2 {
            return lit([0.50, 0.50, 0.49], 0.75 + 0.3 * hills(at.0 * 3.0, at.1 * 12.0) + 0.1 * (at.1 - 2.2));
        }
        // Blocks of a plain wall.
        let row = (at.1 * 4.0) as i32;
        let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
        let joint = (at.1 * 4.0).fract() < 0.05 || (at.0 * 2.0 + shift).fract() < 0.025;
        let shade = 0.95 + 0.06 * chance_of((at.0 * 2.0 + shift) as i32, row);
        lit(plaster(at, tone), if joint { 0.82 } else { shade })
    });
    canvas.rectangle((1.25, 0.55), (2.75, 2.22), |_| [0.55, 0.57, 0.58]);
    canvas.rectangle((1.33, 0.62), (2.67, 2.22), |p| {
        lit([0.16, 0.42, 0.30], 1.1 - 0.15 * p.1 + 0.08 * hills(p.0 * 40.0, p.1))
    });
    canvas.rectangle((1.42, 1.38), (2.58, 1.48), |p| lit([0.75, 0.76, 0.78], 1.2 - (p.1 - 1.38) * 6.0));
    exit_sign(&mut canvas, (1.67, 0.16));
    let first = around(rng, 0.85, 0.1);
    cage(&mut canvas, (first, 0.95), (first + 1.15, 2.45), rng);
    let second = first + around(rng, 1.25, 0.08);
    cage(&mut canvas, (second, 1.08), (second + 1.2, 2.62), rng);
    canvas.polygon_thin(&[(0.3, 2.75), (3.8, 2.75), (3.95, 2.86), (0.15, 2.86)], 0.8, |p| {
        if (p.0 * 4.0 + p.1 * 4.0).fract() < 0.5 {
            [0.90, 0.76, 0.12]
        } else {
            [0.12; 3]
        }
    });
    canvas
}

fn till(rng: &mut Rng) -> Canvas {
    let wood = mix([0.52, 0.36, 0.22], [0.40, 0.40, 0.42], around(rng, 0.4, 0.4));
    let mut canvas = Canvas::new(|at| {
        if at.1 < 1.0 {
            return goods(Wall::Left, at.0 * 1.2 + 3.0, at.1 * 1.5 + 0.35).map(|part| part * 0.55);
        }
        lit(wood, 0.85 + 0.25 * hills(at.0 * 1.5, at.1 * 30.0))
    });
    let left = around(rng, 0.95, 0.15);
    canvas.shadow((left + 1.05, 2.45), (1.6, 0.4));
    // The drawer, open.
    canvas.polygon(&[(left, 1.75), (left + 2.1, 1.75), (left + 2.3, 2.62), (left - 0.2, 2.62)], |_| [0.16, 0.17, 0.18]);
    for n in 0..5_u8 {
        let from = left + f32::from(n) * 0.42;
        let slant = |x: f32, y: f32| left + 1.05 + (x - left - 1.05) * (1.0 + (y - 1.75) * 0.21);
        let corners = [
            (slant(from + 0.04, 1.80), 1.80),
            (slant(from + 0.38, 1.80), 1.80),
            (slant(from + 0.38, 2.2), 2.2),
            (slant(from + 0.04, 2.2), 2.2),
        ];
        canvas.polygon(&corners, |_| [0.07; 3]);
        if rng.chance(0.5) {
            let note = hue(around(rng, 0.35, 0.2), 0.6, 0.75);
            let tilted = corners.map(|c| (c.0 * 0.9 + (left + 1.05) * 0.1, c.1 * 0.7 + 0.58));
            canvas.polygon(&tilted, |p| lit(note, 0.9 + 0.2 * hills(p.0 * 25.0, p.1 * 25.0)));
        }
        let coins = [
            (slant(from + 0.05, 2.25), 2.25),
            (slant(from + 0.37, 2.25), 2.25),
            (slant(from + 0.37, 2.55), 2.55),
            (slant(from + 0.05, 2.55), 2.55),
        ];
        canvas.polygon(&coins, |_| [0.09; 3]);
        for _ in 0..rng.below(9) {
            let at = (around(rng, slant(from + 0.21, 2.4), 0.10), around(rng, 2.40, 0.09));
            let metal = if rng.chance(0.5) { [0.75, 0.62, 0.36] } else { [0.72, 0.72, 0.74] };
            canvas.ellipse(at, (0.045, 0.035), 0.25, 1.0, |p| lit(metal, 1.25 - (p.1 - at.1 + 0.035) * 8.0));
        }
    }
    canvas.polygon(&[(left - 0.2, 2.62), (left + 2.3, 2.62), (left + 2.26, 2.86), (left - 0.16, 2.86)], |p| {
        lit([0.26, 0.27, 0.29], 1.3 - (p.1 - 2.62) * 2.0)
    });
    // The machine: keys and a display.
    canvas.polygon(&[(left + 0.1, 0.75), (left + 2.0, 0.75), (left + 2.1, 1.75), (left, 1.75)], |p| {
        lit([0.32, 0.33, 0.35], 1.25 - 0.3 * (p.1 - 0.75))
    });
    canvas.rectangle((left + 0.2, 0.42), (left + 1.2, 0.76), |_| [0.20; 3]);
    canvas.rectangle((left + 0.26, 0.47), (left + 1.14, 0.70), |_| [0.03, 0.10, 0.09]);
    canvas.words("TILL 4", (left + 0.33, 0.52), 0.13, [0.35, 0.95, 0.75]);
    for row in 0..4_u8 {
        for column in 0..8_u8 {
            let key = (left + 0.22 + f32::from(column) * 0.21, 0.92 + f32::from(row) * 0.19);
            let tone = match (column, row) {
                (7, _) => [0.75, 0.25, 0.18],
                (6, 0..2) => [0.25, 0.50, 0.75],
                _ => [0.82, 0.82, 0.80],
            };
            canvas.rectangle(key, (key.0 + 0.16, key.1 + 0.13), |p| lit(tone, 1.1 - (p.1 - key.1) * 2.0));
        }
    }
    canvas
}

fn empty_shelf(rng: &mut Rng) -> Canvas {
    let (across, down) = (around(rng, 5.0, 4.0), around(rng, 0.0, 0.05));
    let gap = (around(rng, 1.9, 0.4), 0.55 + rng.below(2) as f32 * 0.76);
    let mut canvas = Canvas::new(|at| {
        let inside = (at.0 - gap.0).abs() < 0.85 && at.1 > gap.1 && at.1 < gap.1 + 0.66;
        if inside {
            let back = [0.36, 0.37, 0.39];
            let hole = (at.0 * 9.0).fract() < 0.2 && (at.1 * 9.0).fract() < 0.2;
            return lit(back, if hole { 0.4 } else { 0.65 + 0.5 * (at.1 - gap.1) });
        }
        goods(Wall::Right, at.0 * 1.15 + across, (at.1 + 0.21) * 1.316 + down)
    });
    canvas.ellipse((gap.0, gap.1 + 0.1), (0.95, 0.25), 0.8, 0.5, |_| [0.02; 3]);
    // One was left, lying.
    let left = (gap.0 + around(rng, 0.2, 0.3), gap.1 + 0.50);
    canvas.shadow((left.0 + 0.2, left.1 + 0.14), (0.35, 0.06));
    canvas.polygon(
        &[left, (left.0 + 0.36, left.1 - 0.05), (left.0 + 0.38, left.1 + 0.10), (left.0 + 0.02, left.1 + 0.15)],
        |_| hue(0.58, 0.2, 0.7),
    );
    canvas
}

fn broken_window(rng: &mut Rng) -> Canvas {
    let mut canvas = Canvas::new(|at| {
        if at.1 > 2.5 {
            let joint = (at.0 * 2.0).fract() < 0.02 || (at.1 * 6.0).fract() < 0.06;
            return lit([0.52, 0.51, 0.49], if joint { 0.6 } else { 0.85 + 0.2 * hills(at.0 * 9.0, at.1 * 9.0) });
        }
        if at.0 < 0.35 || at.0 > 3.65 || at.1 < 0.3 || at.1 > 2.3 {
            return lit(plaster(at, [0.30, 0.33, 0.38]), 1.0);
        }
        // Behind the glass a dim shop, on it the sky.
        let shop = lit(goods(Wall::Left, at.0 * 0.9, at.1 * 1.1 + 0.2), 0.38);
        let sky = mix([0.52, 0.60, 0.70], [0.75, 0.78, 0.80], hills(at.0 * 0.9 + 4.0, at.1 * 1.3));
        mix(shop, sky, 0.32 + 0.12 * (at.0 - at.1).sin())
    });
    for x in [0.32, 1.98, 3.62] {
        canvas.rectangle((x, 0.25), (x + 0.07, 2.36), |p| lit([0.20, 0.22, 0.24], 1.4 - (p.0 - x) * 8.0));
    }
    canvas.words("SALE", (2.25, 0.50), 0.36, [0.85, 0.16, 0.14]);
    let hit = (around(rng, 1.2, 0.15), around(rng, 1.35, 0.15));
    let spokes: Vec<(f32, f32)> = (0..19)
        .map(|n| (n as f32 / 19.0 * std::f32::consts::TAU + around(rng, 0.0, 0.10), around(rng, 0.30, 0.13)))
        .collect();
    let hole: Vec<Point> = spokes
        .iter()
        .map(|(turn, reach)| (hit.0 + turn.cos() * reach, hit.1 + turn.sin() * reach))
        .collect();
    for (n, (turn, _)) in spokes.iter().enumerate() {
        let mut at = hole[n];
        let mut turn = *turn;
        let mut left = around(rng, 0.75, 0.35);
        while left > 0.0 {
            turn += around(rng, 0.0, 0.16);
            let next = (at.0 + turn.cos() * 0.14, at.1 + turn.sin() * 0.14);
            if next.0 < 0.4 || next.0 > 1.97 || next.1 < 0.32 || next.1 > 2.29 {
                break;
            }
            canvas.line(at, next, 0.012, [0.92, 0.95, 0.97]);
            canvas.line((at.0 + 0.01, at.1 + 0.01), (next.0 + 0.01, next.1 + 0.01), 0.006, [0.25; 3]);
            at = next;
            left -= 0.14;
        }
    }
    for ring in [0.42, 0.62] {
        for pair in spokes.windows(2) {
            if rng.chance(0.7) {
                let at = |turn: f32| (hit.0 + turn.cos() * ring, hit.1 + turn.sin() * ring);
                canvas.line(at(pair[0].0), at(pair[1].0), 0.008, [0.85, 0.90, 0.93]);
            }
        }
    }
    canvas.polygon(&hole, |p| lit(goods(Wall::Left, p.0 * 0.9, p.1 * 1.1 + 0.2), 0.22));
    for n in 0..hole.len() {
        canvas.line(hole[n], hole[(n + 1) % hole.len()], 0.016, [0.80, 0.93, 0.92]);
    }
    for _ in 0..90 {
        let at = (around(rng, hit.0, 0.9), around(rng, 2.68, 0.2));
        let (wide, tall) = (around(rng, 0.05, 0.03), around(rng, 0.03, 0.015));
        let light = around(rng, 0.85, 0.15);
        canvas.polygon_thin(&[at, (at.0 + wide, at.1 - tall), (at.0 + wide * 0.6, at.1 + tall)], 0.8, |_| {
            lit([0.78, 0.93, 0.93], light)
        });
    }
    canvas
}

fn dented_car(rng: &mut Rng) -> Canvas {
    let paint = hue(around(rng, 0.5, 0.5), 0.35, 0.62);
    let mut canvas = Canvas::new(|at| {
        if at.1 < 0.9 {
            return mix([0.70, 0.76, 0.82], [0.85, 0.86, 0.86], at.1 + 0.4 * (hills(at.0 * 1.2, at.1 * 2.0) - 0.5));
        }
        if at.1 < 1.15 {
            return lit([0.30, 0.36, 0.26], 0.7 + 0.6 * hills(at.0 * 12.0, at.1 * 12.0));
        }
        let grit = chance_of((at.0 * 150.0) as i32, (at.1 * 150.0) as i32);
        lit([0.33, 0.33, 0.34], 0.85 + 0.12 * hills(at.0 * 2.0, at.1 * 5.0) + 0.15 * grit)
    });
    canvas.polygon(&[(0.25, 2.98), (0.50, 2.98), (0.95, 1.2), (0.87, 1.2)], |_| [0.82, 0.82, 0.80]);
    canvas.shadow((2.2, 2.48), (2.3, 0.28));
    // Rear of a car from the side, bumper towards us.
    let body = [
        (0.55, 1.55),
        (0.72, 1.30),
        (1.35, 1.18),
        (1.75, 0.66),
        (3.2, 0.58),
        (4.0, 0.62),
        (4.0, 2.35),
        (0.75, 2.35),
        (0.56, 2.15),
    ];
    canvas.polygon(&body, |p| lit(paint, 1.25 - 0.35 * (p.1 - 0.6) + 0.22 * (-((p.1 - 1.42) * 9.0).powi(2)).exp()));
    canvas.polygon(&[(1.52, 1.18), (1.84, 0.76), (2.62, 0.72), (2.62, 1.18)], |p| {
        mix([0.10, 0.12, 0.15], [0.45, 0.52, 0.58], (p.0 - p.1) * 0.4)
    });
    canvas.polygon(&[(2.74, 1.18), (2.74, 0.72), (3.9, 0.72), (4.0, 1.18)], |p| {
        mix([0.10, 0.12, 0.15], [0.45, 0.52, 0.58], (p.0 - p.1) * 0.3 - 0.3)
    });
    canvas.line((2.68, 0.66), (2.70, 2.25), 0.012, lit(paint, 0.45));
    canvas.rectangle((2.85, 1.36), (3.15, 1.42), |_| lit(paint, 0.6));
    canvas.polygon(&[(0.57, 1.56), (0.84, 1.46), (0.86, 1.72), (0.57, 1.80)], |p| {
        lit([0.72, 0.10, 0.10], 1.2 - (p.1 - 1.5))
    });
    canvas.polygon(&[(0.50, 1.92), (1.25, 1.88), (1.25, 2.28), (0.56, 2.28)], |p| lit(paint, 0.95 - 0.3 * (p.1 - 1.9)));
    canvas.ellipse((1.85, 2.28), (0.50, 0.50), 0.06, 1.0, |_| [0.05; 3]);
    canvas.ellipse((1.85, 2.30), (0.44, 0.44), 0.06, 1.0, |_| [0.13; 3]);
    canvas.ellipse((1.85, 2.30), (0.27, 0.27), 0.06, 1.0, |p| {
        lit([0.62, 0.63, 0.65], 0.8 + 0.4 * (((p.1 - 2.30).atan2(p.0 - 1.85) * 5.0).sin()))
    });
    canvas.ellipse((1.85, 2.30), (0.07, 0.07), 0.2, 1.0, |_| [0.3; 3]);
    // The dent: dark above, bright below, scratches across.
    let dent = (around(rng, 1.02, 0.08), around(rng, 1.98, 0.06));
    canvas.ellipse((dent.0, dent.1 - 0.06), (0.30, 0.16), 0.8, 0.75, |_| lit(paint, 0.28));
    canvas.ellipse((dent.0 + 0.02, dent.1 + 0.10), (0.26, 0.08), 0.8, 0.7, |_| mix(paint, [0.95; 3], 0.6));
    for _ in 0..14 {
        let from = (around(rng, dent.0 - 0.2, 0.12), around(rng, dent.1, 0.15));
        let to = (from.0 + around(rng, 0.35, 0.15), from.1 + around(rng, 0.03, 0.05));
        canvas.line(from, to, around(rng, 0.009, 0.005), [0.86, 0.86, 0.84]);
    }
    canvas
}

fn fallen_boxes(rng: &mut Rng) -> Canvas {
    let room = Room::stockroom(rng);
    let mut canvas = Canvas::new(|at| room.colour(at, &|wall, u, v| boxes(wall, u, v)));
    for n in 0..9 {
        let depth = 1.0 - n as f32 / 12.0;
        let at = (around(rng, 1.9, 0.9), 2.05 + (1.0 - depth) * 0.9 + around(rng, 0.0, 0.06));
        let (size, turn) = (around(rng, 0.36, 0.10) * (1.3 - depth * 0.5), around(rng, 0.0, 0.5));
        let corner = |angle: f32, reach: f32| {
            (at.0 + (turn + angle).cos() * size * reach, at.1 + (turn + angle).sin() * size * reach * 0.8)
        };
        canvas.shadow((at.0 + 0.05, at.1 + size * 0.75), (size * 1.5, size * 0.4));
        let (a, b, c, d) = (corner(0.6, 1.0), corner(2.4, 1.0), corner(3.8, 1.0), corner(5.5, 1.0));
        let back = |p: Point| (p.0 + size * 0.35, p.1 - size * 0.45);
        let brown = lit([0.68, 0.51, 0.33], around(rng, 1.0, 0.12));
        canvas.polygon(&[d, c, back(c), back(d)], |_| lit(brown, 1.18));
        canvas.polygon(&[a, d, back(d), back(a)], |_| lit(brown, 0.66));
        canvas.polygon(&[a, b, c, d], |p| lit(brown, 0.92 + 0.10 * hills(p.0 * 18.0, p.1 * 5.0)));
        let middle = |p: Point, q: Point| ((p.0 + q.0) / 2.0, (p.1 + q.1) / 2.0);
        canvas.line(middle(a, b), middle(c, d), size * 0.12, lit([0.84, 0.74, 0.55], 0.95));
    }
    canvas
}

fn paper(rng: &mut Rng) -> Canvas {
    let wood = [0.45, 0.30, 0.19];
    let mut canvas = Canvas::new(|at| lit(wood, 0.8 + 0.35 * hills(at.0 * 1.2 + at.1 * 0.3, at.1 * 26.0)));
    let tilt = around(rng, 0.0, 0.09);
    let turn = |p: Point| {
        (
            2.0 + (p.0 - 2.0) * tilt.cos() - (p.1 - 1.5) * tilt.sin(),
            1.5 + (p.0 - 2.0) * tilt.sin() + (p.1 - 1.5) * tilt.cos(),
        )
    };
    canvas.polygon_thin(&[(0.98, 0.22), (3.12, 0.22), (3.12, 2.94), (0.98, 2.94)].map(turn), 0.45, |_| [0.02; 3]);
    canvas.polygon(&[(0.92, 0.14), (3.04, 0.14), (3.04, 2.86), (0.92, 2.86)].map(turn), |p| {
        lit([0.95, 0.94, 0.91], 1.02 - 0.06 * (p.0 - 1.0) - 0.04 * hills(p.0 * 3.0, p.1 * 3.0))
    });
    let ink = [0.14, 0.16, 0.30];
    for row in 0..19 {
        let y = 0.62 + row as f32 * 0.11;
        let mut x = 1.12;
        let end = around(rng, 2.75, 0.15);
        if row % 6 == 5 {
            continue;
        }
        // Handwriting that nobody can read.
        let mut last = (x, y);
        while x < end {
            x += 0.016;
            let wave = (x * 95.0 + row as f32).sin() * 0.020 + around(rng, 0.0, 0.022);
            let next = (x, y + wave);
            if !rng.chance(0.12) {
                canvas.line(turn(last), turn(next), 0.011, ink);
            }
            last = next;
        }
    }
    canvas.polygon(&[(1.12, 0.28), (1.95, 0.28), (1.95, 0.40), (1.12, 0.40)].map(turn), |_| [0.20, 0.22, 0.26]);
    canvas.shadow((3.35, 1.9), (0.12, 1.0));
    canvas.polygon(&[(3.24, 0.9), (3.34, 0.86), (3.42, 2.5), (3.36, 2.72), (3.30, 2.5)], |p| {
        lit([0.10, 0.20, 0.48], 0.9 + 1.5 * (0.04 - (p.0 - 3.30).abs()).max(0.0) * 20.0)
    });
    canvas
}

#[cfg(test)]
mod tests;
