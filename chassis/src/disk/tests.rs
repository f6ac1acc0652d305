//! The rule of the room, and a reserve that is really on a disk.

use super::reserve::Reserve;
use super::*;
use crate::folder::tests::scratch;

const MIB: u64 = 1 << 20;

#[test]
fn the_floor_is_never_more_than_a_tenth_of_a_disk_and_the_reserve_a_twentieth() {
    let on = |total_mib: u64| Bounds::default().on(total_mib * MIB);
    assert_eq!(on(1 << 20), Bounds { floor_bytes: 512 * MIB, reserve_bytes: 16 * MIB });
    assert_eq!(on(640), Bounds { floor_bytes: 64 * MIB, reserve_bytes: 16 * MIB });
    assert_eq!(on(40), Bounds { floor_bytes: 4 * MIB, reserve_bytes: 2 * MIB });
    // A file system that does not say how large it is has no floor.
    assert_eq!(on(0), Bounds { floor_bytes: 0, reserve_bytes: 0 });
}

#[test]
fn what_a_layer_says_goes_before_the_one_below_and_is_checked() {
    let layer = |floor_mib, reserve_mib| DiskLayer { floor_mib, reserve_mib };
    let bounds = layer(Some(0), None).over(Some(layer(Some(7), Some(3)))).unwrap();
    assert_eq!(bounds, Bounds { floor_bytes: 0, reserve_bytes: 3 * MIB });
    assert_eq!(DiskLayer::default().over(None), Ok(Bounds::default()));
    assert!(layer(Some(u64::MAX), None).over(None).unwrap_err().contains("disk.floor_mib"));
    assert!(layer(None, Some(u64::MAX)).over(None).unwrap_err().contains("disk.reserve_mib"));
}

#[test]
fn who_was_below_the_floor_has_to_come_well_above_it() {
    let after = |was: Room, free_bytes| was.after(free_bytes, 800, 0);
    assert_eq!(after(Room::Plenty, 800), Room::Plenty);
    assert_eq!(after(Room::Plenty, 799), Room::Low);
    assert_eq!(after(Room::Low, 899), Room::Low);
    assert_eq!(after(Room::Low, 900), Room::Plenty);
    assert_eq!(after(Room::Reserve, 899), Room::Low);
    // A reserve that is not there matters where there is no room for it.
    assert_eq!(Room::Plenty.after(10_000, 800, 100), Room::Plenty);
    assert_eq!(Room::Plenty.after(800, 800, 400), Room::Plenty);
    assert_eq!(Room::Plenty.after(799, 800, 1), Room::Reserve);
    assert_eq!(Room::Plenty.after(799, 0, 400), Room::Reserve);
    // Without a floor nothing is too little.
    assert_eq!(Room::Low.after(0, 0, 0), Room::Plenty);
    for room in Room::ALL {
        assert_eq!(Room::ALL[usize::from(room as u8)], room);
    }
}

#[test]
fn the_reserve_is_really_on_the_disk_and_is_given_in_pieces() {
    let folder = scratch("reserve");
    let mut reserve = Reserve::found(&folder, 8 * MIB);
    assert_eq!((reserve.held_bytes(), reserve.missing_bytes(), reserve.give()), (0, 8 * MIB, 0));
    reserve.fill();
    assert_eq!((reserve.held_bytes(), reserve.missing_bytes()), (8 * MIB, 0));
    assert_eq!(Reserve::found(&folder, 8 * MIB).held_bytes(), 8 * MIB, "whoever comes next finds it");

    assert_eq!(reserve.give(), MIB);
    assert_eq!((reserve.held_bytes(), reserve.missing_bytes()), (7 * MIB, MIB));
    let mut pieces = 1;
    while reserve.give() > 0 {
        pieces += 1;
    }
    assert_eq!((pieces, reserve.held_bytes()), (8, 0));

    reserve.fill();
    assert_eq!(reserve.held_bytes(), 8 * MIB);
    reserve.want(2 * MIB);
    assert_eq!((reserve.held_bytes(), reserve.missing_bytes()), (2 * MIB, 0));
    // Only the name of a file is no room.
    std::fs::remove_file(folder.join("reserve")).unwrap();
    std::fs::File::create(folder.join("reserve")).unwrap().set_len(2 * MIB).unwrap();
    reserve.want(2 * MIB);
    assert_eq!((reserve.held_bytes(), reserve.missing_bytes()), (0, 2 * MIB));
}

#[test]
fn contents_are_admitted_by_what_was_measured_last_and_relief_comes_from_the_reserve() {
    let folder = scratch("guard");
    let bounds = |floor_bytes| Bounds { floor_bytes, reserve_bytes: MIB };
    let guard = Guard::open(&folder, bounds(MIB));
    let report = guard.report().unwrap();
    assert_eq!((report.state, report.reserve_bytes), (Room::Plenty, MIB), "{report:?}");
    assert_eq!(guard.admit(Content::Photo), Ok(()));
    // Nothing has so much room; a tenth of the disk is the most that counts, so the figures are set by hand.
    let watched = guard.watched.clone().unwrap();
    watched.room.store(Room::Low as u8, Ordering::Relaxed);
    assert_eq!(guard.admit(Content::Photo), Err(NoRoom));
    assert!(guard.is_low() && guard.go_on().is_err());
    assert!(NoRoom::is_behind(&NoRoom.into()) && !NoRoom::is_behind(&io::Error::other("x")));
    // Switched off.
    guard.set(bounds(0));
    watched.look(&mut watched.reserve());
    assert_eq!((guard.admit(Content::Photo), guard.report().unwrap().floor_bytes), (Ok(()), 0));

    assert!(guard.give());
    let left = Reserve::found(&folder, MIB).held_bytes();
    // It is made whole at once where there is room, as there is here.
    assert_eq!(left, MIB);
    assert_eq!(survey(&folder, bounds(MIB)).unwrap().reserve_bytes, MIB);
    let nothing = Guard::default();
    assert!(nothing.admit(Content::Upload).is_ok() && nothing.report().is_none() && !nothing.give());
}

#[tokio::test]
async fn contents_are_not_written_while_there_is_no_room() {
    let folder = scratch("no-room");
    let report = DiskReport { free_bytes: 1, floor_bytes: 2, reserve_bytes: 0, state: Room::Low };
    let open = || crate::blobs::Blobs::open(&folder.join("blobs")).unwrap();
    let id = uuid::Uuid::from_u128(1);
    let refused = open().guarded(Guard::fixed(report)).put(id, vec![7; 1000]).await.unwrap_err();
    assert!(NoRoom::is_behind(&refused) && refused.kind() == io::ErrorKind::StorageFull, "{refused:?}");
    for room in [DiskReport { state: Room::Plenty, ..report }, DiskReport { floor_bytes: 0, ..report }] {
        assert_eq!(open().guarded(Guard::fixed(room)).put(id, vec![7; 1000]).await.unwrap().size_bytes, 1000);
    }
}
