//! How a report looks: two faces, few sizes, calm inks. Lengths are points, 72 to the inch.

/// A face of the report's one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    Regular,
    Bold,
}

/// Red, green, blue, from 0 to 1. Every ink for text has a contrast of at least 4.5 to 1 on white.
pub(super) type Ink = [f32; 3];

pub(super) const BLACK: Ink = [0.10, 0.12, 0.15];
pub(super) const GREY: Ink = [0.36, 0.40, 0.45];
pub(super) const BLUE: Ink = [0.11, 0.23, 0.38];
pub(super) const RED: Ink = [0.62, 0.11, 0.11];
pub(super) const RULE: Ink = [0.80, 0.83, 0.86];
pub(super) const PALE: Ink = [0.95, 0.96, 0.97];

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) face: Face,
    pub(super) size: f32,
    /// From one line to the next.
    pub(super) leading: f32,
    pub(super) ink: Ink,
}

const fn style(face: Face, size: f32, leading: f32, ink: Ink) -> Style {
    Style { face, size, leading, ink }
}

pub(super) const TITLE: Style = style(Face::Bold, 17.0, 22.0, BLACK);
pub(super) const HEADING: Style = style(Face::Bold, 11.0, 15.0, BLUE);
pub(super) const SUBHEADING: Style = style(Face::Bold, 9.5, 13.5, BLACK);
pub(super) const BODY: Style = style(Face::Regular, 9.5, 13.5, BLACK);
pub(super) const STRONG: Style = style(Face::Bold, 9.5, 13.5, BLACK);
pub(super) const LABEL: Style = style(Face::Regular, 8.5, 13.5, GREY);
pub(super) const CELL: Style = style(Face::Regular, 8.5, 11.5, BLACK);
pub(super) const CELL_HEAD: Style = style(Face::Bold, 8.0, 11.5, GREY);
pub(super) const CELL_STRONG: Style = style(Face::Bold, 8.5, 11.5, BLACK);
pub(super) const SMALL: Style = style(Face::Regular, 8.0, 11.0, GREY);
pub(super) const TINY: Style = style(Face::Regular, 6.2, 8.4, GREY);
pub(super) const WARNING: Style = style(Face::Bold, 9.5, 13.5, RED);
