//! A room as a camera sees it from its middle: a floor, a ceiling, walls to both sides and one behind.

use super::around;
use super::canvas::{Colour, Point, chance_of, hills, hue, lit, mix};
use crate::random::Rng;

/// Where a look ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Behind.
    Back,
}

/// The room, in metres.
pub struct Room {
    wide: f32,
    eye: f32,
    tall: f32,
    deep: f32,
    /// Where the middle of the back wall is on the sheet.
    vanish: Point,
    floor: Colour,
    light: f32,
}

impl Room {
    /// An aisle.
    pub fn shop(rng: &mut Rng) -> Self {
        let floor = mix([0.80, 0.79, 0.76], [0.66, 0.70, 0.72], around(rng, 0.5, 0.5));
        Self {
            wide: around(rng, 1.5, 0.15),
            eye: 1.55,
            tall: 1.9,
            deep: 11.0,
            vanish: (around(rng, 2.0, 0.35), around(rng, 1.05, 0.1)),
            floor,
            light: 1.0,
        }
    }

    /// A stockroom: narrower, darker.
    pub fn stockroom(rng: &mut Rng) -> Self {
        Self {
            wide: around(rng, 1.3, 0.1),
            tall: 1.6,
            deep: 7.0,
            floor: [0.52, 0.52, 0.51],
            light: 0.82,
            ..Self::shop(rng)
        }
    }

    /// What is seen at a point of the sheet; `paint`: what the walls look like, by metres along and down.
    pub fn colour(&self, at: Point, paint: &dyn Fn(Wall, f32, f32) -> Colour) -> Colour {
        let (x, y) = ((at.0 - self.vanish.0) / 1.35, (at.1 - self.vanish.1) / 1.35);
        let (side, level) = (if x < 0.0 { -self.wide } else { self.wide }, if y < 0.0 { -self.tall } else { self.eye });
        let to_side = if x == 0.0 { f32::INFINITY } else { side / x };
        let to_level = if y == 0.0 { f32::INFINITY } else { level / y };
        let depth = to_side.min(to_level).min(self.deep);
        let dim = self.light * (1.08 - 0.045 * depth);
        if depth >= self.deep {
            let down = self.eye - y * depth;
            return lit(paint(Wall::Back, x * depth + 40.0, down), dim);
        }
        if to_side < to_level {
            let wall = if x < 0.0 { Wall::Left } else { Wall::Right };
            let foot = (1.0 - (self.eye - y * depth) * 2.5).clamp(0.0, 1.0) * 0.35;
            return lit(paint(wall, depth, self.eye - y * depth), dim * (1.0 - foot));
        }
        if y < 0.0 {
            return self.ceiling(x * depth, depth, dim);
        }
        self.floor_at(x * depth, depth, dim, paint)
    }

    fn ceiling(&self, across: f32, depth: f32, dim: f32) -> Colour {
        let lamp = across.abs() < 0.22 && depth.rem_euclid(2.4) < 1.5;
        if lamp {
            return [1.0, 1.0, 0.97];
        }
        let joint = (across + 20.0).rem_euclid(0.6) < 0.02 || depth.rem_euclid(0.6) < 0.03;
        let glow = 0.12 * (0.9 - across.abs()).max(0.0);
        lit([0.86, 0.86, 0.84], dim * (if joint { 0.8 } else { 0.96 }) + glow)
    }

    /// Polished: the goods stand in it, faintly.
    fn floor_at(&self, across: f32, depth: f32, dim: f32, paint: &dyn Fn(Wall, f32, f32) -> Colour) -> Colour {
        let (u, v) = ((across + 40.0) / 0.5, depth / 0.5);
        let joint = u.fract() < 0.02 || v.fract() < 0.03;
        let shade = 0.94 + 0.07 * chance_of(u as i32, v as i32) + 0.05 * (hills(across * 6.0, depth * 6.0) - 0.5);
        let tile = lit(self.floor, dim * if joint { 0.72 } else { shade });
        let near = self.wide - across.abs();
        let wall = if across < 0.0 { Wall::Left } else { Wall::Right };
        let mirrored = lit(paint(wall, depth, 0.15 + near * 0.9), dim);
        let lamps = if across.abs() < 0.3 && depth.rem_euclid(2.4) < 1.5 { 0.10 } else { 0.0 };
        let mirrored = mix(tile, mirrored, 0.20 * (1.0 - near / self.wide));
        let corner = 1.0 - 0.45 * (1.0 - near * 2.2).clamp(0.0, 1.0);
        mirrored.map(|part| part * corner + lamps)
    }
}

/// Shelves full of goods; `along` and `up` in metres. `up` runs either way: who looks at a shelf does not mind.
pub fn goods(wall: Wall, along: f32, up: f32) -> Colour {
    if wall == Wall::Back {
        return lit([0.72, 0.74, 0.76], 0.9 + 0.1 * hills(along, up));
    }
    let board = up.rem_euclid(0.42);
    let shelf = (up / 0.42).floor() as i32 + if wall == Wall::Left { 100 } else { 200 };
    if board < 0.045 {
        // The edge of a board, with price tags.
        let tag = along.rem_euclid(0.31) < 0.11 && board > 0.008 && board < 0.038;
        return if tag {
            [0.97, 0.95, 0.86]
        } else {
            lit([0.62, 0.63, 0.65], 0.8 + board * 6.0)
        };
    }
    let kind = (along / 0.62).floor() as i32;
    let wide = 0.09 + 0.10 * chance_of(kind, shelf);
    let column = (along / wide).floor() as i32;
    let tall = 0.22 + 0.14 * chance_of(kind, shelf + 7);
    let above = 0.42 - board;
    let inside = (along / wide).fract();
    if above > tall + 0.015 * chance_of(column, shelf) {
        return [0.10, 0.10, 0.11];
    }
    if !(0.04..0.96).contains(&inside) {
        return [0.14, 0.13, 0.13];
    }
    let tone = hue(
        chance_of(kind, shelf + 31),
        0.15 + 0.5 * chance_of(kind, shelf + 3),
        0.55 + 0.35 * chance_of(kind, shelf + 5),
    );
    let round = 0.78 + 0.9 * inside * (1.0 - inside);
    let share = above / tall;
    let label = (0.25..0.62).contains(&share) && (0.14..0.86).contains(&inside);
    let print = label
        && (share * 22.0).fract() < 0.35
        && chance_of((inside * 9.0) as i32 + kind * 3, (share * 22.0) as i32) > 0.35;
    let colour = match (label, print) {
        (_, true) => lit(tone, 0.45),
        (true, _) => mix([0.95, 0.94, 0.90], tone, 0.15),
        _ if share > 0.88 => lit(tone, 0.7),
        _ => tone,
    };
    lit(colour, round)
}

/// Racks full of boxes.
pub fn boxes(wall: Wall, along: f32, up: f32) -> Colour {
    if wall == Wall::Back {
        return lit([0.60, 0.60, 0.58], 0.85 + 0.15 * hills(along * 2.0, up * 2.0));
    }
    let post = along.rem_euclid(1.6);
    let board = up.rem_euclid(0.62);
    if post < 0.07 {
        return lit([0.18, 0.34, 0.58], 0.8 + post * 4.0);
    }
    if board < 0.06 {
        return lit([0.88, 0.46, 0.12], 0.75 + board * 5.0);
    }
    let row = (up / 0.62).floor() as i32 + if wall == Wall::Left { 300 } else { 400 };
    let kind = (along / 1.6).floor() as i32;
    let wide = 0.32 + 0.22 * chance_of(kind, row);
    let column = (along / wide).floor() as i32;
    let inside = (along / wide).fract();
    let tall = 0.30 + 0.22 * chance_of(column, row);
    let above = board - 0.06;
    if above > tall || chance_of(column, row + 50) < 0.08 {
        return [0.09, 0.09, 0.09];
    }
    if !(0.02..0.98).contains(&inside) || above > tall - 0.012 {
        return [0.22, 0.17, 0.12];
    }
    let brown = lit(
        mix([0.68, 0.51, 0.33], [0.76, 0.70, 0.60], chance_of(column, row + 9)),
        0.8 + 0.3 * chance_of(column, row + 2),
    );
    let tape = (0.45..0.55).contains(&inside);
    let label = (0.66..0.90).contains(&inside) && (0.25..0.55).contains(&(above / tall));
    match (tape, label) {
        (true, _) => lit([0.84, 0.75, 0.56], 0.95),
        (_, true) => [0.92, 0.92, 0.90],
        _ => lit(brown, 0.94 + 0.10 * hills(along * 20.0, up * 6.0)),
    }
}
