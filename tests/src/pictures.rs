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
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
    let form = reqwest::multipart::Form::new().part("file", part);
    let request = client.request("POST", &format!("/api/v1/incidents/{incident}/photos"));
    client.send(request.multipart(form)).await
}
