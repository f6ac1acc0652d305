//! Derived data that survives a restart: answers and reports, in a folder behind the layer in memory.
//!
//! Layout: `cache/gN` and `cache/gN+1`, two sled databases. What is kept goes into the younger; what is found in the older is
//! taken over. When the younger has half of the room, the older is removed whole and a new one begun: sled does not give room
//! back by itself, and nothing has to be searched for what is old.
//!
//! A value lies in chunks under its key and their numbers, behind a head that says how many there are: sled keeps several values
//! in one node of its tree, writes that anew as a whole, and with reports of some megabytes in them that was most of all it did.
//! Reports go there at once; a list or a count when it is asked for a second time.
//!
//! What makes it safe: nothing in it is needed. Keys are digests of everything a value follows from ([`desk::cache::Key`]), so
//! what is found is right or was damaged, and each value begins with a digest of itself. Whatever goes wrong, a panic inside
//! sled included, ends in the folder being set aside and begun anew, with a line in the log.
//!
//! sled waits for the disk, so it is asked on blocking threads only; what is to be kept is handed to a thread of its own, over
//! a queue that forgets what does not fit.

use async_trait::async_trait;
use bytes::Bytes;
use chassis::disk::{Content, Guard};
use desk::cache::{Cache, Key, Kind, Memory, count};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The layer in memory, in bytes.
const MEMORY_BYTES: u64 = 8 * 1024 * 1024;
/// What sled may keep in memory for itself, in bytes.
const SLED_BYTES: u64 = 2 * 1024 * 1024;
/// Values that wait to be kept; more are forgotten.
const QUEUE: usize = 64;
/// Bytes of values that wait to be kept; more are forgotten.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// The largest value that goes to the disk, in bytes.
const MAX_VALUE_BYTES: usize = 8 * 1024 * 1024;
/// How many values are remembered as being on the disk.
const REMEMBERED: usize = 4096;
/// A part of a value, in bytes. sled counts what it holds in memory only after many looks at many parts: with parts of 8 KiB it
/// held over 100 MB, with these 25.
const CHUNK: usize = 1024;
/// After so many bytes are written the room is looked at.
const LOOK_BYTES: u64 = 4 * 1024 * 1024;
/// A value's head: a digest of it, then its length.
const DIGEST: usize = 8;

/// What waits to be kept: since how many times everything was forgotten, its key, and itself.
type Waiting = (u64, Key, Bytes);

/// The node's cache.
pub struct FolderCache {
    memory: Arc<Memory>,
    disk: Arc<Disk>,
    guard: Guard,
    queue: Mutex<Option<SyncSender<Waiting>>>,
    queued_bytes: Arc<AtomicUsize>,
    /// What was handed to the disk or came from it lately.
    on_disk: quick_cache::sync::Cache<Key, ()>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl FolderCache {
    /// The cache in `folder`, of at most `max_bytes` on the disk. A folder that cannot be used is set aside. Waits for the disk.
    #[must_use]
    pub fn open(folder: &Path, max_bytes: u64) -> Arc<Self> {
        let disk = Arc::new(Disk::new(folder, max_bytes));
        disk.begin();
        Self::over(disk, Guard::default())
    }

    /// [`FolderCache::open`] without waiting: until the folder is open, which takes longer the fuller it is, answers are kept in
    /// memory only. So they are while `guard` says that there is no room.
    #[must_use]
    pub fn opening(folder: &Path, max_bytes: u64, guard: Guard) -> Arc<Self> {
        Self::over(Arc::new(Disk::new(folder, max_bytes)), guard)
    }

    fn over(disk: Arc<Disk>, guard: Guard) -> Arc<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let (writing, queued) = (Arc::clone(&disk), Arc::clone(&queued_bytes));
        let writer = std::thread::Builder::new()
            .name("cache-writer".to_owned())
            .spawn(move || write(&writing, &jobs, &queued));
        if let Err(error) = &writer {
            tracing::warn!(%error, "answers are kept in memory only");
        }
        Arc::new(Self {
            memory: Arc::new(Memory::new(MEMORY_BYTES)),
            disk,
            guard,
            queue: Mutex::new(Some(queue)),
            queued_bytes,
            on_disk: quick_cache::sync::Cache::new(REMEMBERED),
            writer: Mutex::new(writer.ok()),
        })
    }

    /// Waits until everything that was to be kept is on the disk.
    pub fn close(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // What it died of was logged there.
            let _ = writer.join();
        }
        self.disk.flush();
    }
}

#[async_trait]
impl Cache for FolderCache {
    async fn get(&self, kind: Kind, key: Key) -> Option<Bytes> {
        let since = self.disk.cleared.load(Ordering::Acquire);
        let found = self.memory.find(key);
        count(kind, "memory", found.is_some());
        if let Some(value) = &found {
            // Asked for again: worth the disk.
            if kind != Kind::Report {
                self.keep_on_disk(since, key, value.clone());
            }
            return found;
        }
        let disk = Arc::clone(&self.disk);
        let found = tokio::task::spawn_blocking(move || disk.get(key)).await.ok().flatten();
        count(kind, "disk", found.is_some());
        if let Some(value) = &found {
            self.on_disk.insert(key, ());
            self.memory.keep(key, value.clone());
        }
        found
    }

    fn put(&self, kind: Kind, key: Key, value: Bytes) {
        self.memory.keep(key, value.clone());
        // A page of a list is out of date with the next change, and most are asked for once.
        if kind == Kind::Report {
            self.keep_on_disk(self.disk.cleared.load(Ordering::Acquire), key, value);
        }
    }

    async fn clear(&self) {
        // First what could be handed to the disk, then the disk, then what came in between.
        self.memory.forget();
        self.on_disk.clear();
        let disk = Arc::clone(&self.disk);
        let _ = tokio::task::spawn_blocking(move || disk.clear()).await;
        self.memory.forget();
    }
}

impl FolderCache {
    /// Hands a value to the thread that keeps it, once. `since`: how many times everything had been forgotten when it was got.
    fn keep_on_disk(&self, since: u64, key: Key, value: Bytes) {
        if value.len() > MAX_VALUE_BYTES || self.on_disk.get(&key).is_some() {
            return;
        }
        if self.guard.admit(Content::Kept).is_err() {
            return;
        }
        self.on_disk.insert(key, ());
        let length = value.len();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return };
        let waiting = self.queued_bytes.fetch_add(length, Ordering::Relaxed);
        let dropped = waiting + length > QUEUE_BYTES
            || matches!(
                queue.try_send((since, key, value)),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_))
            );
        if dropped {
            self.queued_bytes.fetch_sub(length, Ordering::Relaxed);
            self.on_disk.remove(&key);
            metrics::counter!("cache_dropped_total").increment(1);
        }
    }
}

fn write(disk: &Disk, jobs: &Receiver<Waiting>, queued_bytes: &AtomicUsize) {
    if disk.now().is_none() {
        disk.begin();
    }
    let mut written = 0;
    while let Ok((since, key, value)) = jobs.recv() {
        disk.put_since(since, key, &value);
        queued_bytes.fetch_sub(value.len(), Ordering::Relaxed);
        written += value.len() as u64;
        if written >= LOOK_BYTES {
            written = 0;
            disk.rotate();
        }
    }
}

/// The folder.
struct Disk {
    folder: PathBuf,
    max_bytes: u64,
    open: Mutex<Option<Generations>>,
    /// How many times everything was forgotten.
    cleared: AtomicU64,
    /// Held while something is kept, and while everything is forgotten.
    keeping: Mutex<()>,
}

#[derive(Clone)]
struct Generations {
    number: u64,
    young: sled::Db,
    old: Option<sled::Db>,
}

/// Why the folder cannot be used.
type Unusable = String;

impl Disk {
    fn new(folder: &Path, max_bytes: u64) -> Self {
        let (open, cleared, keeping) = (Mutex::new(None), AtomicU64::new(0), Mutex::new(()));
        Self { folder: folder.to_owned(), max_bytes, open, cleared, keeping }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("g{number}"))
    }

    fn now(&self) -> Option<Generations> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens what is there, or begins anew.
    fn begin(&self) {
        let opened = guarded(|| self.generations()).or_else(|why| {
            self.set_aside(&why);
            guarded(|| self.generations())
        });
        match opened {
            Ok(generations) => *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(generations),
            Err(why) => tracing::warn!(why, "the cache's folder cannot be used; answers are kept in memory only"),
        }
    }

    fn generations(&self) -> Result<Generations, Unusable> {
        fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        let mut numbers: Vec<u64> = fs::read_dir(&self.folder)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix('g')?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let young = numbers.pop().unwrap_or(1);
        let old = numbers.pop();
        for number in numbers {
            fs::remove_dir_all(self.path(number)).map_err(|error| error.to_string())?;
        }
        let old = old.map(|number| database(&self.path(number))).transpose()?;
        Ok(Generations { number: young, young: database(&self.path(young))?, old })
    }

    /// Moves the folder away, keeps it for whoever wants to look, and forgets an earlier one.
    fn set_aside(&self, why: &str) {
        tracing::warn!(why, "the cache is damaged and begun anew; nothing is lost");
        metrics::counter!("cache_rebuilds_total").increment(1);
        let bad = self.folder.with_extension("bad");
        let moved = gone_is_fine(fs::remove_dir_all(&bad)).and_then(|()| gone_is_fine(fs::rename(&self.folder, &bad)));
        if let Err(error) = moved {
            tracing::warn!(%error, "the damaged cache cannot be moved away");
        }
    }

    /// Does something with what is open; where that fails, begins anew.
    fn with<T>(&self, act: impl FnOnce(&Generations) -> Result<T, Unusable>) -> Option<T> {
        let generations = self.now()?;
        match guarded(|| act(&generations)) {
            Ok(done) => Some(done),
            Err(why) => {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                // Only who failed first.
                if open.as_ref().is_some_and(|open| open.number == generations.number) {
                    *open = None;
                    drop(open);
                    // sled writes what it holds when the last handle goes; into the folder that is moved away.
                    drop(generations);
                    self.set_aside(&why);
                    self.begin();
                }
                None
            }
        }
    }

    fn get(&self, key: Key) -> Option<Bytes> {
        self.with(|generations| {
            if let Some(value) = read(&generations.young, key)? {
                return Ok(Some(value));
            }
            let Some(old) = &generations.old else { return Ok(None) };
            let found = read(old, key)?;
            if let Some(value) = &found {
                keep(&generations.young, key, value)?;
            }
            Ok(found)
        })
        .flatten()
    }

    fn put(&self, key: Key, value: &[u8]) {
        self.with(|generations| keep(&generations.young, key, value));
    }

    /// Keeps what was handed over when everything had been forgotten `since` times, unless it was again meanwhile.
    fn put_since(&self, since: u64, key: Key, value: &[u8]) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cleared.load(Ordering::Acquire) == since {
            self.put(key, value);
        }
    }

    /// Removes the folder and begins anew: sled overwrites nothing.
    fn clear(&self) {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.cleared.fetch_add(1, Ordering::AcqRel);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let next = open.as_ref().map(|open| open.number + 1);
        // sled writes what it holds when the last handle goes.
        drop(open);
        for folder in [self.folder.clone(), self.folder.with_extension("bad")] {
            if let Err(error) = gone_is_fine(fs::remove_dir_all(&folder)) {
                tracing::warn!(%error, "the cache's folder cannot be removed");
            }
        }
        if let Some(next) = next {
            // Another number: whoever still reads holds a handle to the old one.
            if let Err(error) = fs::create_dir_all(self.path(next)) {
                tracing::warn!(%error, "the cache's folder cannot be made");
            }
            self.begin();
        }
    }

    /// Removes the older half when the younger one is full.
    fn rotate(&self) {
        let full = self.with(|generations| {
            let size = |db: &sled::Db| db.size_on_disk().map_err(|error| error.to_string());
            let young = size(&generations.young)?;
            let old = generations.old.as_ref().map(size).transpose()?.unwrap_or(0);
            metrics::gauge!("cache_bytes", "layer" => "disk").set((young + old) as f64);
            Ok(young >= self.max_bytes / 2)
        });
        if full != Some(true) {
            return;
        }
        let next = self.with(|generations| {
            let number = generations.number + 1;
            let young = database(&self.path(number))?;
            Ok(Generations { number, young, old: Some(generations.young.clone()) })
        });
        let Some(next) = next else { return };
        let gone = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.replace(next).and_then(|before| before.old.map(|old| (before.number, old)))
        };
        if let Some((number, old)) = gone {
            metrics::counter!("cache_evictions_total").increment(old.len() as u64);
            drop(old);
            if let Err(error) = fs::remove_dir_all(self.path(number - 1)) {
                tracing::warn!(%error, "an old part of the cache cannot be removed");
            }
        }
    }

    fn flush(&self) {
        self.with(|generations| generations.young.flush().map(|_| ()).map_err(|error| error.to_string()));
    }
}

/// A value as it was kept; `None` where it, or part of it, is not there.
fn read(db: &sled::Db, key: Key) -> Result<Option<Bytes>, Unusable> {
    let look = |name: &[u8]| db.get(name).map_err(|error| error.to_string());
    let Some(head) = look(key.as_bytes())? else {
        return Ok(None);
    };
    let Some((of, length)) = head.split_at_checked(DIGEST) else {
        return Err("a value has no head".to_owned());
    };
    let length = <[u8; 4]>::try_from(length).map_err(|_| "a value's length cannot be read")?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_VALUE_BYTES {
        return Err("a value is longer than one can be".to_owned());
    }
    let mut value = Vec::with_capacity(length);
    for number in 0..length.div_ceil(CHUNK) {
        match look(&chunk_name(key, number))? {
            Some(chunk) => value.extend_from_slice(&chunk),
            None => return Ok(None),
        }
    }
    if value.len() != length || of != digest(&value) {
        return Err("a value is not what was kept".to_owned());
    }
    Ok(Some(value.into()))
}

/// Keeps a value; its head last, so that it is found whole or not at all.
fn keep(db: &sled::Db, key: Key, value: &[u8]) -> Result<(), Unusable> {
    let insert = |name: &[u8], bytes: &[u8]| db.insert(name, bytes).map(|_| ()).map_err(|error| error.to_string());
    for (number, chunk) in value.chunks(CHUNK).enumerate() {
        insert(&chunk_name(key, number), chunk)?;
    }
    let mut head = digest(value).to_vec();
    head.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    insert(key.as_bytes(), &head)
}

fn chunk_name(key: Key, number: usize) -> [u8; 18] {
    let mut name = [0; 18];
    name[..16].copy_from_slice(key.as_bytes());
    name[16..].copy_from_slice(&u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes());
    name
}

fn database(path: &Path) -> Result<sled::Db, Unusable> {
    let config = sled::Config::new().path(path).mode(sled::Mode::LowSpace).cache_capacity(SLED_BYTES);
    // Never synced while the node serves: what a power cut takes of it is made again, and the ledger has the disk to itself.
    config.flush_every_ms(None).open().map_err(|error| error.to_string())
}

/// sled panics over some damaged files.
fn guarded<T>(act: impl FnOnce() -> Result<T, Unusable>) -> Result<T, Unusable> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err("the database of the cache failed".to_owned()))
}

fn digest(value: &[u8]) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    blake3::Hasher::new().update(value).finalize_xof().fill(&mut digest);
    digest
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl std::fmt::Debug for FolderCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FolderCache").field("folder", &self.disk.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
