use super::*;
use image::ImageFormat;

fn shot(scene: Scene, orientation: u8) -> Shot {
    Shot {
        scene,
        orientation,
        taken: "2026:11:20 09:30:00".to_owned(),
        located: orientation == 6,
        width: 600,
    }
}

#[test]
fn a_photo_follows_from_its_seed_and_is_stored_as_it_was_held() {
    let upright = take(&shot(Scene::WetFloor, 1), 7);
    assert_eq!(upright, take(&shot(Scene::WetFloor, 1), 7));
    assert_ne!(upright, take(&shot(Scene::WetFloor, 1), 8));
    let stored = |bytes: &[u8]| {
        let picture = image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).unwrap();
        (picture.width(), picture.height())
    };
    assert_eq!(stored(&upright), (600, 450));
    assert_eq!(stored(&take(&shot(Scene::WetFloor, 6), 7)), (450, 600));
    assert!(upright.windows(6).any(|bytes| bytes == b"Exif\0\0"));
}

/// Only with `AINCIDENT_SHOW_SCENES=FOLDER`: for whoever changes how they look.
#[test]
fn every_scene_can_be_drawn() {
    let folder = std::env::var_os("AINCIDENT_SHOW_SCENES").map(std::path::PathBuf::from);
    let scenes = [
        Scene::WetFloor,
        Scene::BrokenBottle,
        Scene::ForcedDoor,
        Scene::BlockedExit,
        Scene::Till,
        Scene::EmptyShelf,
        Scene::BrokenWindow,
        Scene::DentedCar,
        Scene::FallenBoxes,
        Scene::Paper,
    ];
    for (n, scene) in scenes.into_iter().enumerate() {
        let bytes = take(&Shot { width: if folder.is_some() { 1200 } else { 240 }, ..shot(scene, 1) }, n as u64);
        assert!(bytes.len() > 5_000, "{scene:?} has {} bytes", bytes.len());
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{scene:?}.jpg")), bytes).unwrap();
        }
    }
}
