use super::*;
use crate::ids::Ids;
use bytes::Bytes;
use futures::TryStreamExt as _;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let id = Ids::system().random_u64();
        let path = std::env::temp_dir().join(format!("blobs-{name}-{id:016x}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 % 251) as u8).collect()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

#[test]
fn a_digest_reads_what_it_writes_and_nothing_else() {
    let digest = Sha256::of(b"abc");
    assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(digest.to_string().parse(), Ok(digest));
    for wrong in ["", "ab", &digest.to_string().to_uppercase(), &format!("{digest}0")] {
        assert_eq!(wrong.parse::<Sha256>(), Err(NoDigest));
    }
}

#[tokio::test]
async fn what_is_written_in_portions_is_kept_whole_under_its_digest() {
    let folder = Folder::new("whole");
    let blobs = Blobs::open(&folder.0).unwrap();
    let content = bytes(3_000_000);
    let mut incoming = blobs.begin(id(1)).await.unwrap();
    for portion in content.chunks(70_001) {
        incoming.write(Bytes::copy_from_slice(portion)).await.unwrap();
    }
    let kept = incoming.keep(Some(Sha256::of(&content))).await.unwrap();
    assert_eq!((kept.sha256, kept.size_bytes, kept.already), (Sha256::of(&content), 3_000_000, false));
    assert_eq!(blobs.read(kept.sha256, 3_000_000).await.unwrap().unwrap(), content);
    assert!(blobs.read(kept.sha256, 2_999_999).await.is_err());
    assert!(blobs.verify(kept.sha256).await.unwrap());
    let part: Vec<Bytes> = blobs
        .open_read(kept.sha256)
        .await
        .unwrap()
        .unwrap()
        .stream(999_999, 1_000_002)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(part.concat(), &content[999_999..2_000_001]);
    assert!(blobs.put(id(2), content).await.unwrap().already);
    assert_eq!(fs::read_dir(folder.0.join("incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_part_goes_on_behind_what_was_synced_whatever_lies_there() {
    let folder = Folder::new("resume");
    let blobs = Blobs::open(&folder.0).unwrap();
    let content = bytes(1_500_000);
    let mut incoming = blobs.begin(id(1)).await.unwrap();
    incoming.write(Bytes::copy_from_slice(&content[..900_000])).await.unwrap();
    assert_eq!(incoming.sync().await.unwrap(), 900_000);
    incoming.write(Bytes::from(vec![0xff; 600_000])).await.unwrap();
    drop(incoming);

    let mut incoming = blobs.resume(id(1), 900_000).await.unwrap();
    incoming.write(Bytes::copy_from_slice(&content[900_000..])).await.unwrap();
    assert_eq!(incoming.keep(None).await.unwrap().sha256, Sha256::of(&content));
    let gone = blobs.resume(id(1), 900_000).await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn what_is_not_as_promised_is_not_kept() {
    let folder = Folder::new("promise");
    let blobs = Blobs::open(&folder.0).unwrap();
    let mut incoming = blobs.begin(id(1)).await.unwrap();
    incoming.write(Bytes::from_static(b"one")).await.unwrap();
    let wrong = incoming.keep(Some(Sha256::of(b"two"))).await.unwrap_err();
    assert_eq!(wrong.kind(), io::ErrorKind::InvalidData);
    assert!(!blobs.contains(Sha256::of(b"one")).await && !blobs.contains(Sha256::of(b"two")).await);
}

#[tokio::test]
async fn a_damaged_content_is_noticed_and_replaced_by_the_right_one() {
    let folder = Folder::new("damage");
    let blobs = Blobs::open(&folder.0).unwrap();
    let kept = blobs.put(id(1), bytes(1000)).await.unwrap();
    fs::write(blobs.path(kept.sha256), vec![1; 1000]).unwrap();
    assert!(!blobs.verify(kept.sha256).await.unwrap());
    assert!(!blobs.put(id(2), bytes(1000)).await.unwrap().already);
    assert!(blobs.verify(kept.sha256).await.unwrap());
}

#[tokio::test]
async fn parts_that_were_cut_off_are_told_by_their_age() {
    let folder = Folder::new("stale");
    let blobs = Blobs::open(&folder.0).unwrap();
    for n in 1..=2 {
        let mut incoming = blobs.begin(id(n)).await.unwrap();
        incoming.write(Bytes::from_static(b"x")).await.unwrap();
        incoming.sync().await.unwrap();
    }
    let written = fs::metadata(blobs.part(id(1))).unwrap().modified().unwrap();
    let hour = Duration::from_secs(3600);
    assert!(blobs.stale_parts(written, hour).await.unwrap().is_empty());
    let mut stale = blobs.stale_parts(written + 2 * hour, hour).await.unwrap();
    stale.sort_unstable();
    assert_eq!(stale, [id(1), id(2)]);
}

#[tokio::test]
async fn content_that_rests_is_removed_unless_somebody_found_it_again() {
    let folder = Folder::new("rest");
    let blobs = Blobs::open(&folder.0).unwrap();
    let kept = blobs.put(id(1), b"left over".to_vec()).await.unwrap();
    let (first, hour) = (kept.sha256.as_bytes()[0], Duration::from_secs(3600));
    let written = fs::metadata(blobs.path(kept.sha256)).unwrap().modified().unwrap();
    assert!(blobs.resting(first, written, hour).await.unwrap().is_empty());
    let later = written + 2 * hour;
    assert_eq!(blobs.resting(first, later, hour).await.unwrap(), [kept.sha256]);
    // As if it had been kept long ago; then it is sent again.
    File::open(blobs.path(kept.sha256)).unwrap().set_modified(written - 3 * hour).unwrap();
    assert!(blobs.put(id(2), b"left over".to_vec()).await.unwrap().already);
    assert!(!blobs.remove_resting(kept.sha256, written + hour / 2, hour).await.unwrap());
    assert!(blobs.remove_resting(kept.sha256, later, hour).await.unwrap());
    assert!(!blobs.path(kept.sha256).exists());
    assert!(!blobs.remove_resting(kept.sha256, later, hour).await.unwrap());
}

#[tokio::test]
async fn what_is_damaged_never_leaves_whole_and_is_set_aside_and_what_is_right_stays() {
    use futures::StreamExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    let folder = Folder::new("damaged");
    let blobs = Blobs::open(&folder.0).unwrap();
    let bytes = vec![7_u8; 600_000];
    let kept = blobs.put(id(1), bytes.clone()).await.unwrap().sha256;
    let leave = async || {
        let called = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&called);
        let reading = blobs.open_read(kept).await.unwrap().unwrap();
        let pieces: Vec<_> = reading.checked(kept, move || noted.store(true, Ordering::Relaxed)).collect().await;
        (pieces, called.load(Ordering::Relaxed))
    };
    let (pieces, called) = leave().await;
    let came: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
    assert!(came == bytes && !called);
    assert_eq!(blobs.set_aside(kept, 1).await.unwrap(), None, "it is right");

    let mut wrong = bytes.clone();
    wrong[599_999] ^= 1;
    fs::write(blobs.path(kept), &wrong).unwrap();
    let (pieces, called) = leave().await;
    let came: usize = pieces.iter().flatten().map(Bytes::len).sum();
    assert!(called && pieces.last().unwrap().is_err() && came < bytes.len(), "{came}");
    let name = blobs.set_aside(kept, 1).await.unwrap().unwrap();
    assert!(!blobs.contains(kept).await && fs::read(folder.0.join(DAMAGED).join(name)).unwrap() == wrong);
    assert_eq!(blobs.set_aside(kept, 2).await.unwrap(), None, "it is gone");
    assert!(!blobs.put(id(2), bytes).await.unwrap().already);
    assert!(blobs.verify(kept).await.unwrap());
}
