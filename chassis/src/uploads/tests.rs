use super::*;
use crate::clock::ManualClock;
use crate::sqlite::uploads::SqliteUploads;
use crate::sqlite::{Database, OpenOptions, runner};
use bytes::Bytes;
use futures::stream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

const SCHEMA: &[(&str, &str)] = &[("V1__work", include_str!("../../../migrations/sqlite/V5__work.sql"))];

/// Takes everything but what is called `bomb`, and counts.
#[derive(Default)]
struct Desk {
    taken: AtomicU32,
    ill: AtomicU32,
    pace: Mutex<Option<Pace>>,
}

#[async_trait]
impl Destination for Desk {
    async fn admit(&self, _: &str, _: u64, metadata: &Metadata) -> Result<Option<Sha256>, Problem> {
        Ok(metadata.get("sha256").and_then(|text| text.parse().ok()))
    }

    async fn take(&self, upload: &Upload, kept: Kept) -> Result<String, Problem> {
        if upload.metadata.contains_key("bomb") {
            return Err(Problem::invalid("file", "it explodes"));
        }
        if self.ill.load(Ordering::SeqCst) > 0 {
            self.ill.fetch_sub(1, Ordering::SeqCst);
            return Err(Problem::unavailable("busy", "later", 1));
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        Ok(format!("/things/{}", kept.sha256))
    }

    fn pace(&self) -> Pace {
        self.pace.lock().unwrap().unwrap_or_default()
    }
}

struct Bench {
    folder: PathBuf,
    desk: Arc<Desk>,
    clock: Arc<ManualClock>,
    uploads: Uploads,
    blobs: Blobs,
}

impl Bench {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("uploads-{:016x}", Ids::system().random_u64()));
        std::fs::create_dir_all(&folder).unwrap();
        Self::at(folder, Arc::default(), ManualClock::new(1_000_000))
    }

    fn at(folder: PathBuf, desk: Arc<Desk>, clock: Arc<ManualClock>) -> Self {
        let db = Database::open(OpenOptions::new(folder.join("db"), runner(SCHEMA).unwrap())).unwrap();
        let blobs = Blobs::open(&folder.join("blobs")).unwrap();
        let (store, to) = (Arc::new(SqliteUploads::new(db)), Arc::clone(&desk) as Arc<dyn Destination>);
        let at: SharedClock = clock.clone();
        let uploads = Uploads::new(store, blobs.clone(), to, at, Ids::system(), "", Duration::from_secs(3600));
        Self { folder, desk, clock, uploads, blobs }
    }

    /// As after a crash: nothing but the folder is left.
    fn again(self) -> Self {
        let Self { folder, desk, clock, uploads, .. } = self;
        drop(uploads);
        Self::at(folder, desk, clock)
    }

    fn end(self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn content(length: usize) -> Bytes {
    (0..length).map(|n| (n * 7 % 253) as u8).collect::<Vec<_>>().into()
}

/// Pieces, and then an end or a cut.
fn pieces(bytes: &Bytes, cut: bool) -> impl stream::Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + 'static {
    let mut all: Vec<Result<Bytes, io::Error>> =
        bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    if cut {
        all.push(Err(io::Error::other("cut")));
    }
    stream::iter(all)
}

#[tokio::test]
async fn an_upload_whose_part_a_backup_did_not_have_is_begun_anew() {
    let mut bench = Bench::new();
    let whole = content(100_000);
    let upload = bench.uploads.create("kim", 100_000, Metadata::new()).await.unwrap();
    let half = pieces(&whole.slice(..50_000), true);
    assert_eq!(bench.uploads.append("kim", upload.id, 0, None, half).await.unwrap().upload.offset_bytes, 50_000);
    bench.blobs.discard(upload.id).await.unwrap();
    bench = bench.again();
    let rest = pieces(&whole.slice(50_000..), false);
    let gone = bench.uploads.append("kim", upload.id, 50_000, None, rest).await.unwrap_err();
    assert!(matches!(gone, UploadError::NotFound), "{gone}");
    assert!(bench.uploads.open_of("kim").await.unwrap().is_empty());
    bench.end();
}

#[tokio::test]
async fn what_arrived_before_a_cut_counts_also_after_a_crash() {
    let mut bench = Bench::new();
    let whole = content(100_000);
    let upload = bench.uploads.create("kim", 100_000, Metadata::new()).await.unwrap();
    let mut at = 0;
    for end in [40_000, 40_000, 99_999] {
        let part = whole.slice(at as usize..end);
        let done = bench.uploads.append("kim", upload.id, at, None, pieces(&part, true)).await.unwrap();
        assert_eq!((done.upload.offset_bytes, done.cut), (end as u64, true));
        bench = bench.again();
        at = bench.uploads.get("kim", upload.id).await.unwrap().offset_bytes;
        assert_eq!(at, end as u64);
    }
    let done = bench
        .uploads
        .append("kim", upload.id, at, None, pieces(&whole.slice(99_999..), false))
        .await
        .unwrap();
    let digest = Sha256::of(&whole);
    assert_eq!(done.upload.result, Some(format!("/things/{digest}")));
    assert_eq!(bench.blobs.read(digest, 100_000).await.unwrap().unwrap(), whole);
    assert!(bench.uploads.open_of("kim").await.unwrap().is_empty());
    bench.end();
}

#[tokio::test]
async fn only_its_owner_learns_of_an_upload_and_only_at_its_offset() {
    let bench = Bench::new();
    let upload = bench.uploads.create("kim", 10, Metadata::new()).await.unwrap();
    assert!(matches!(bench.uploads.get("eve", upload.id).await, Err(UploadError::NotFound)));
    assert!(matches!(bench.uploads.terminate("eve", upload.id).await, Err(UploadError::NotFound)));
    let bytes = content(5);
    let wrong = bench.uploads.append("kim", upload.id, 3, None, pieces(&bytes, false)).await;
    assert!(matches!(wrong, Err(UploadError::Offset(0))));
    let more = bench.uploads.append("kim", upload.id, 0, None, pieces(&content(11), false)).await;
    assert!(matches!(more, Err(UploadError::TooLong)));
    assert_eq!(bench.uploads.get("kim", upload.id).await.unwrap().offset_bytes, 0);
    bench.uploads.terminate("kim", upload.id).await.unwrap();
    assert!(matches!(bench.uploads.get("kim", upload.id).await, Err(UploadError::NotFound)));
    bench.end();
}

#[tokio::test]
async fn a_wrong_checksum_takes_nothing() {
    let bench = Bench::new();
    let bytes = content(5000);
    let upload = bench.uploads.create("kim", 5000, Metadata::new()).await.unwrap();
    let right = Checksum::Sha256(Sha256::of(&bytes).as_bytes().to_vec());
    let wrong = Checksum::Sha1(vec![0; 20]);
    let refused = bench.uploads.append("kim", upload.id, 0, Some(wrong), pieces(&bytes, false)).await;
    assert!(matches!(refused, Err(UploadError::Checksum)));
    let cut = bench.uploads.append("kim", upload.id, 0, Some(right.clone()), pieces(&bytes, true)).await.unwrap();
    assert_eq!((cut.cut, cut.upload.offset_bytes), (true, 0));
    let done = bench.uploads.append("kim", upload.id, 0, Some(right), pieces(&bytes, false)).await.unwrap();
    assert!(done.upload.result.is_some());
    bench.end();
}

#[tokio::test]
async fn a_refused_content_is_gone_and_an_ill_destination_is_asked_again() {
    let bench = Bench::new();
    let bytes = content(3000);
    let bomb = Metadata::from([("bomb".to_owned(), String::new())]);
    let upload = bench.uploads.create("kim", 3000, bomb).await.unwrap();
    let refused = bench.uploads.append("kim", upload.id, 0, None, pieces(&bytes, false)).await;
    assert!(matches!(refused, Err(UploadError::Refused(_))));
    assert!(matches!(bench.uploads.get("kim", upload.id).await, Err(UploadError::NotFound)));

    bench.desk.ill.store(1, Ordering::SeqCst);
    let upload = bench.uploads.create("kim", 3000, Metadata::new()).await.unwrap();
    let later = bench.uploads.append("kim", upload.id, 0, None, pieces(&bytes, false)).await;
    assert!(matches!(later, Err(UploadError::Refused(problem)) if problem.status == 503));
    let bench = bench.again();
    bench.uploads.recover().await.unwrap();
    assert_eq!(bench.desk.taken.load(Ordering::SeqCst), 1);
    assert!(bench.uploads.get("kim", upload.id).await.unwrap().result.is_some());

    let promised = Metadata::from([("sha256".to_owned(), Sha256::of(b"another").to_string())]);
    let upload = bench.uploads.create("kim", 3000, promised).await.unwrap();
    let wrong = bench.uploads.append("kim", upload.id, 0, None, pieces(&bytes, false)).await;
    assert!(matches!(wrong, Err(UploadError::Digest)));
    bench.end();
}

#[tokio::test]
async fn a_newer_request_takes_over_from_one_that_waits_in_vain() {
    let bench = Bench::new();
    let whole = content(20_000);
    let upload = bench.uploads.create("kim", 20_000, Metadata::new()).await.unwrap();
    let (told, took_all) = tokio::sync::oneshot::channel();
    // Asked for more, it has taken what came before.
    let no_more = stream::once(Box::pin(async move {
        let _ = told.send(());
        std::future::pending().await
    }));
    let endless = stream::StreamExt::chain(pieces(&whole.slice(..12_000), false), no_more);
    let uploads = bench.uploads.clone();
    let first = tokio::spawn(async move { uploads.append("kim", upload.id, 0, None, endless).await });
    took_all.await.unwrap();
    let at = bench.uploads.get("kim", upload.id).await.unwrap().offset_bytes;
    assert_eq!(at, 12_000);
    let rest = whole.slice(usize::try_from(at).unwrap()..);
    let done = bench.uploads.append("kim", upload.id, at, None, pieces(&rest, false)).await.unwrap();
    assert!(done.upload.result.is_some() && first.await.unwrap().unwrap().cut);
    bench.end();
}

#[tokio::test]
async fn what_comes_too_slowly_is_cut_and_can_go_on() {
    let bench = Bench::new();
    // A gigabyte a second, looked at all the time.
    *bench.desk.pace.lock().unwrap() = Some(Pace::new(1_000_000_000, Duration::from_nanos(1)));
    let whole = content(100_000);
    let upload = bench.uploads.create("kim", 100_000, Metadata::new()).await.unwrap();
    let slow = stream::StreamExt::then(pieces(&whole, false), |piece| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        piece
    });
    let done = bench.uploads.append("kim", upload.id, 0, None, Box::pin(slow)).await.unwrap();
    assert!(done.cut && done.upload.offset_bytes < 100_000);
    *bench.desk.pace.lock().unwrap() = None;
    let at = done.upload.offset_bytes;
    let rest = whole.slice(usize::try_from(at).unwrap()..);
    let done = bench.uploads.append("kim", upload.id, at, None, pieces(&rest, false)).await.unwrap();
    assert!(!done.cut && done.upload.result.is_some());
    bench.end();
}

#[tokio::test]
async fn what_is_not_touched_expires_and_nobody_has_too_many() {
    let bench = Bench::new();
    let upload = bench.uploads.create("kim", 10, Metadata::new()).await.unwrap();
    bench.clock.advance(3_600_001);
    assert!(matches!(bench.uploads.get("kim", upload.id).await, Err(UploadError::Expired)));
    bench.uploads.recover().await.unwrap();
    assert!(matches!(bench.uploads.get("kim", upload.id).await, Err(UploadError::NotFound)));
    for _ in 0..MOST_OPEN {
        bench.uploads.create("kim", 10, Metadata::new()).await.unwrap();
    }
    let more = bench.uploads.create("kim", 10, Metadata::new()).await;
    assert!(matches!(more, Err(UploadError::TooMany)));
    bench.uploads.create("eve", 10, Metadata::new()).await.unwrap();
    bench.end();
}
