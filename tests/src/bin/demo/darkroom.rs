//! Where the demo's photos are made, beside everything else: each takes a processor some tenths of a second.

use aincident_tests::demo_data::{DemoData, Photo};
use std::collections::BTreeMap;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// A photo that a node acknowledged.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The incident's id.
    pub incident: String,
    /// The photo's id.
    pub photo: String,
    /// Of the original, as it was sent.
    pub sha256: String,
    /// Of the original.
    pub size_bytes: u64,
    /// Whether the original tells where it was taken.
    pub located: bool,
}

/// Photos under way, by the name of their file.
pub struct Darkroom {
    photos: Mutex<BTreeMap<String, JoinHandle<Vec<u8>>>>,
}

impl Darkroom {
    /// Begins with all of them.
    pub fn open(data: &DemoData) -> Self {
        let requests = data.incidents.iter().flat_map(|incident| data.requests(incident).photos);
        let begin = |photo: Photo| {
            let name = photo.picture.file.clone();
            (name, tokio::task::spawn_blocking(move || photo.take()))
        };
        Self { photos: Mutex::new(requests.map(begin).collect()) }
    }

    /// The photo, once it is made.
    ///
    /// # Panics
    /// When there is none of that name.
    pub async fn develop(&self, file: &str) -> Vec<u8> {
        let photo = self.photos.lock().await.remove(file).expect("a photo is taken once");
        photo.await.expect("a photo")
    }
}
