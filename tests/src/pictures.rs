//! Pictures made here: what a camera would deliver, drawn from a seed.

use crate::http::{Answer, Client};
use crate::random::Rng;
use jpeg_encoder::{ColorType, Encoder};

/// A JPEG of `width` × `height` pixels that no compressor gets small: about `width * height / 2` bytes.
///
/// # Panics
/// When it cannot be encoded.
#[must_use]
pub fn noisy_jpeg(rng: &mut Rng, width: u16, height: u16) -> Vec<u8> {
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height)).map(|_| rng.below(256) as u8).collect();
    let mut out = Vec::new();
    Encoder::new(&mut out, 70).encode(&pixels, width, height, ColorType::Luma).expect("a JPEG");
    out
}

/// Adds a photo to an incident, as a browser's form does.
///
/// # Panics
/// When the connection fails.
pub async fn add_photo(client: &Client, incident: &str, name: &str, bytes: Vec<u8>) -> Answer {
    add_captioned(client, incident, name, None, bytes).await
}

/// The same with what its taker says about it.
///
/// # Panics
/// When the connection fails.
pub async fn add_captioned(
    client: &Client,
    incident: &str,
    name: &str,
    caption: Option<&str>,
    bytes: Vec<u8>,
) -> Answer {
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
    let mut form = reqwest::multipart::Form::new();
    if let Some(caption) = caption {
        form = form.text("caption", caption.to_owned());
    }
    let form = form.part("file", part);
    let request = client.request("POST", &format!("/api/v1/incidents/{incident}/photos"));
    client.send(request.multipart(form)).await
}

/// A JPEG in colour as a camera of today delivers it: soft shapes with a sensor's noise over them, 4:2:0, hardly compressed. At
/// 4000 × 3000 about 10 MB.
///
/// # Panics
/// When it cannot be encoded.
#[must_use]
pub fn camera_jpeg(rng: &mut Rng, width: u16, height: u16) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            let shape = (x / 7 + y / 5) % 200 / 2 + ((x / 300 + y / 250) % 2) * 60;
            let noise = rng.next_u64();
            for channel in 0..3 {
                let grain = (noise >> (channel * 8) & 15) + (noise >> (channel * 8 + 32) & 15);
                pixels.push((20 + shape + grain * 2 + channel * 10).min(255) as u8);
            }
        }
    }
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 90);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_2_2);
    encoder.encode(&pixels, width, height, ColorType::Rgb).expect("a JPEG");
    out
}

/// The same picture with another content: a comment of eight bytes behind the start.
///
/// # Panics
/// When `jpeg` is none.
#[must_use]
pub fn distinct(jpeg: &[u8], number: u64) -> Vec<u8> {
    let (start, rest) = jpeg.split_at_checked(2).expect("a JPEG");
    let mut out = start.to_vec();
    out.extend([0xff, 0xfe, 0, 10]);
    out.extend(number.to_be_bytes());
    out.extend(rest);
    out
}
