//! Photos and other files of an incident.
//!
//! The original is evidence and stays as it came. What people look at is derived from it: [`sniff`] tells what a file is,
//! [`header`] what it would cost to open it, [`derive`] makes an upright display image and a thumbnail.

pub mod derive;
pub mod header;
pub mod pixels;
pub mod sniff;

#[cfg(test)]
mod tests;
