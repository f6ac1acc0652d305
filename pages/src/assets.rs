//! Style and scripts, embedded. All of them lie under one name that is a digest of all of them, so that a browser may keep them
//! for ever and scripts find each other by plain relative names.

use std::sync::OnceLock;

/// A file that pages refer to.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $kind:literal),* $(,)?) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../assets/", $name)) }),*]
    };
}

/// Every file.
pub const ASSETS: &[Asset] = assets![
    "app.css" "text/css; charset=utf-8",
    "app.js" "text/javascript; charset=utf-8",
    "bulk.js" "text/javascript; charset=utf-8",
    "capture.js" "text/javascript; charset=utf-8",
    "drafts.js" "text/javascript; charset=utf-8",
    "forms.js" "text/javascript; charset=utf-8",
    "live.js" "text/javascript; charset=utf-8",
    "outbox.js" "text/javascript; charset=utf-8",
    "pad.js" "text/javascript; charset=utf-8",
    "pictures.js" "text/javascript; charset=utf-8",
    "pieces.js" "text/javascript; charset=utf-8",
    "search.js" "text/javascript; charset=utf-8",
    "viewer.js" "text/javascript; charset=utf-8",
    "who.js" "text/javascript; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "icon-192.png" "image/png",
    "icon-512.png" "image/png",
    "icon-maskable-512.png" "image/png",
];

/// Where the files are: `/static/DIGEST`.
#[must_use]
pub fn base() -> &'static str {
    static BASE: OnceLock<String> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        for asset in ASSETS {
            hasher.update(asset.name.as_bytes());
            hasher.update(&(asset.bytes.len() as u64).to_le_bytes());
            hasher.update(asset.bytes);
        }
        format!("/static/{}", &hasher.finalize().to_hex()[..16])
    })
}

/// The file of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}
