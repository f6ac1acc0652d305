//! Pixels between decoding and encoding.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// What a pixel consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte of grey.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, opacity.
    Rgba,
    /// Cyan, magenta, yellow, black: 255 is full ink.
    Cmyk,
}

impl Kind {
    const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    const fn pixel_type(self) -> PixelType {
        match self {
            Self::Grey => PixelType::U8,
            Self::Rgb => PixelType::U8x3,
            Self::Rgba | Self::Cmyk => PixelType::U8x4,
        }
    }
}

/// A picture in memory, a byte a channel, rows from the top without gaps.
#[derive(Clone, Debug)]
pub struct Pixels {
    /// What `data` consists of.
    pub kind: Kind,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Into what a picture of `width` by `height` fits: never enlarged, at least one pixel.
#[must_use]
pub fn fit((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> (u32, u32) {
    if width <= most_width && height <= most_height {
        return (width, height);
    }
    let (w, h, mw, mh) = (u64::from(width), u64::from(height), u64::from(most_width), u64::from(most_height));
    // Rounded to the nearest pixel.
    let scale = |side: u64, most: u64, other: u64| ((2 * side * most + other) / (2 * other)).max(1);
    let (w, h) = if w * mh >= h * mw {
        (mw, scale(h, mw, w).min(mh))
    } else {
        (scale(w, mh, h).min(mw), mh)
    };
    (u32::try_from(w).unwrap_or(most_width), u32::try_from(h).unwrap_or(most_height))
}

impl Pixels {
    /// The picture at another size.
    ///
    /// # Errors
    /// In words, when the sizes cannot be.
    pub fn resized(self, width: u32, height: u32) -> Result<Self, String> {
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        let from =
            ImageRef::new(self.width, self.height, &self.data, self.kind.pixel_type()).map_err(|e| e.to_string())?;
        let mut to = Image::new(width, height, self.kind.pixel_type());
        // CMYK has four channels as well, but none of them is opacity.
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
            .use_alpha(self.kind == Kind::Rgba);
        Resizer::new().resize(&from, &mut to, &options).map_err(|e| e.to_string())?;
        Ok(Self { kind: self.kind, width, height, data: to.into_vec() })
    }

    /// The picture as sRGB, on white where it was transparent. `profile`: the ICC profile that came with it.
    #[must_use]
    pub fn into_srgb(self, profile: Option<&[u8]>) -> Self {
        let opaque = if self.kind == Kind::Rgba { self.on_white() } else { self };
        let converted = profile.and_then(|profile| opaque.converted(profile));
        let data = match (converted, opaque.kind) {
            (Some(data), _) => data,
            (None, Kind::Grey) => opaque.data.iter().flat_map(|grey| [*grey; 3]).collect(),
            (None, Kind::Cmyk) => opaque.data.chunks_exact(4).flat_map(plain_cmyk).collect(),
            (None, Kind::Rgb | Kind::Rgba) => opaque.data,
        };
        Self { kind: Kind::Rgb, width: opaque.width, height: opaque.height, data }
    }

    fn on_white(self) -> Self {
        let over = |channel: u8, opacity: u8| {
            let (channel, opacity) = (u32::from(channel), u32::from(opacity));
            ((channel * opacity + 255 * (255 - opacity) + 127) / 255) as u8
        };
        let data = self
            .data
            .chunks_exact(4)
            .flat_map(|p| [over(p[0], p[3]), over(p[1], p[3]), over(p[2], p[3])])
            .collect();
        Self { kind: Kind::Rgb, data, ..self }
    }

    /// The bytes as the profile's colours are in sRGB; `None` where the profile is sRGB itself, damaged or of another space.
    fn converted(&self, profile: &[u8]) -> Option<Vec<u8>> {
        let from = ColorProfile::new_from_slice(profile).ok()?;
        let (layout, space) = match self.kind {
            Kind::Grey => (Layout::Gray, DataColorSpace::Gray),
            Kind::Rgb => (Layout::Rgb, DataColorSpace::Rgb),
            Kind::Cmyk => (Layout::Rgba, DataColorSpace::Cmyk),
            Kind::Rgba => return None,
        };
        if from.color_space != space {
            return None;
        }
        let srgb = ColorProfile::new_srgb();
        let transform = from.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok()?;
        let mut converted = vec![0; self.data.len() / self.kind.channels() * 3];
        let (row, to) = (self.width as usize * self.kind.channels(), self.width as usize * 3);
        for (from, to) in self.data.chunks_exact(row).zip(converted.chunks_exact_mut(to)) {
            transform.transform(from, to).ok()?;
        }
        Some(converted)
    }

    /// The picture turned and mirrored as EXIF orientation `orientation` (1 to 8) asks for.
    #[must_use]
    pub fn upright(self, orientation: u8) -> Self {
        let (w, h, channels) = (self.width as usize, self.height as usize, self.kind.channels());
        let (across, down) = if orientation >= 5 { (h, w) } else { (w, h) };
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let mut data = Vec::with_capacity(self.data.len());
        for y in 0..down {
            for x in 0..across {
                // Where the pixel that belongs at (x, y) is now.
                let (from_x, from_y) = match orientation {
                    2 => (w - 1 - x, y),
                    3 => (w - 1 - x, h - 1 - y),
                    4 => (x, h - 1 - y),
                    5 => (y, x),
                    6 => (y, h - 1 - x),
                    7 => (w - 1 - y, h - 1 - x),
                    _ => (w - 1 - y, x),
                };
                let at = (from_y * w + from_x) * channels;
                data.extend_from_slice(&self.data[at..at + channels]);
            }
        }
        Self { kind: self.kind, width: across as u32, height: down as u32, data }
    }

    /// How much of the picture, from its end, is nearly one colour row by row: 0 to 1.
    #[must_use]
    pub fn blank_tail(&self) -> f64 {
        let channels = self.kind.channels();
        let row_bytes = self.width as usize * channels;
        let blank = self.data.chunks_exact(row_bytes).rev().take_while(|row| {
            (0..channels).all(|channel| {
                let values = row.iter().skip(channel).step_by(channels);
                let (least, most) = values.fold((255, 0), |(least, most), v| (least.min(*v), most.max(*v)));
                most - least <= 8
            })
        });
        blank.count() as f64 / f64::from(self.height.max(1))
    }
}

/// The sRGB that full coverage would give on paper, for want of a profile.
fn plain_cmyk(ink: &[u8]) -> [u8; 3] {
    let mix = |ink_: u8| {
        let (light, paper) = (255 - u32::from(ink_), 255 - u32::from(ink[3]));
        ((light * paper + 127) / 255) as u8
    };
    [mix(ink[0]), mix(ink[1]), mix(ink[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_and_is_never_enlarged_nor_lost() {
        assert_eq!(fit((4000, 3000), (1600, 1200)), (1600, 1200));
        assert_eq!(fit((3000, 4000), (1600, 1200)), (900, 1200));
        assert_eq!(fit((100, 80), (1600, 1200)), (100, 80));
        assert_eq!(fit((3, 62_728), (1600, 1200)), (1, 1200));
        assert_eq!(fit((5000, 1), (320, 240)), (320, 1));
    }

    #[test]
    fn every_orientation_brings_the_first_pixel_to_its_corner() {
        // Upright: 1 2 / 3 4 / 5 6. Stored so that the orientation turns it back.
        let upright = [1, 2, 3, 4, 5, 6];
        let stored: [(u8, u32, u32, [u8; 6]); 8] = [
            (1, 2, 3, [1, 2, 3, 4, 5, 6]),
            (2, 2, 3, [2, 1, 4, 3, 6, 5]),
            (3, 2, 3, [6, 5, 4, 3, 2, 1]),
            (4, 2, 3, [5, 6, 3, 4, 1, 2]),
            (5, 3, 2, [1, 3, 5, 2, 4, 6]),
            (6, 3, 2, [2, 4, 6, 1, 3, 5]),
            (7, 3, 2, [6, 4, 2, 5, 3, 1]),
            (8, 3, 2, [5, 3, 1, 6, 4, 2]),
        ];
        for (orientation, width, height, data) in stored {
            let pixels = Pixels { kind: Kind::Grey, width, height, data: data.to_vec() };
            let turned = pixels.upright(orientation);
            assert_eq!(
                (turned.width, turned.height, &turned.data[..]),
                (2, 3, &upright[..]),
                "orientation {orientation}"
            );
        }
    }
}
