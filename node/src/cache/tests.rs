//! Over real folders.

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let random = chassis::ids::Ids::system().random_u64();
        let path = std::env::temp_dir().join(format!("cache-{name}-{random:016x}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn cache(&self, max_bytes: u64) -> Arc<FolderCache> {
        FolderCache::open(&self.0.join("cache"), max_bytes)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(n: u32) -> Key {
    Key::of(Kind::List, &[&n.to_le_bytes()])
}

fn value(n: u32) -> Bytes {
    let random = chassis::ids::Ids::seeded(u64::from(n));
    (0..10_000 / 8).flat_map(|_| random.random_u64().to_le_bytes()).collect()
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let folder = Folder::new("restart");
    let cache = folder.cache(64 << 20);
    for n in 0..30 {
        cache.put(Kind::List, key(n), value(n));
        cache.put(Kind::Report, key(100 + n), value(100 + n));
        // Asked for a second time, or not.
        if n % 2 == 0 {
            assert_eq!(cache.get(Kind::List, key(n)).await, Some(value(n)));
        }
    }
    cache.close();
    drop(cache);
    let cache = folder.cache(64 << 20);
    for n in 0..30 {
        let expected = (n % 2 == 0).then(|| value(n));
        assert_eq!(cache.get(Kind::List, key(n)).await, expected, "{n}");
        assert_eq!(cache.get(Kind::Report, key(100 + n)).await, Some(value(100 + n)), "{n}");
    }
    assert_eq!(cache.get(Kind::List, key(99)).await, None);
}

#[tokio::test]
async fn a_large_value_comes_back_whole_or_not_at_all() {
    let folder = Folder::new("large");
    let cache = folder.cache(64 << 20);
    let large: Bytes = (0..300).flat_map(value).collect();
    assert!(large.len() > 2_000_000 && large.len() < MAX_VALUE_BYTES);
    for (n, length) in [(0, large.len()), (1, CHUNK), (2, CHUNK + 1), (3, 0)] {
        cache.disk.put(key(n), &large[..length]);
        assert_eq!(cache.disk.get(key(n)).as_deref(), Some(&large[..length]), "{length}");
    }
    let young = cache.disk.now().unwrap().young;
    young.remove(chunk_name(key(0), 7)).unwrap();
    assert_eq!(cache.disk.get(key(0)), None);
    // Larger than goes to the disk: in memory at most.
    cache.put(Kind::Report, key(9), vec![7; MAX_VALUE_BYTES + 1].into());
    cache.close();
    assert_eq!(cache.disk.get(key(9)), None);
}

#[tokio::test]
async fn what_is_to_be_forgotten_is_in_no_file_and_what_comes_after_it_is_kept() {
    let folder = Folder::new("forget");
    let cache = folder.cache(64 << 20);
    let secret = Bytes::from_static(b"nobody shall find this again");
    for n in 0..50 {
        cache.put(Kind::Report, key(n), secret.clone());
    }
    cache.clear().await;
    assert_eq!(cache.get(Kind::Report, key(1)).await, None);
    cache.put(Kind::Report, key(99), value(99));
    cache.close();
    assert_eq!(cache.disk.get(key(99)), Some(value(99)));
    assert!(!holds(&folder.0, &secret), "it is still there");
    drop(cache);
    assert_eq!(folder.cache(64 << 20).get(Kind::Report, key(99)).await, Some(value(99)));
}

fn holds(folder: &Path, what: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, what);
        }
        fs::read(path).unwrap().windows(what.len()).any(|window| window == what)
    })
}

#[test]
fn the_folder_stays_within_its_room_and_what_is_used_stays() {
    let folder = Folder::new("room");
    let disk = Disk::new(&folder.0.join("cache"), 16 << 20);
    disk.begin();
    for n in 0..6000 {
        disk.put(key(n), &value(n));
        assert_eq!(disk.get(key(0)), Some(value(0)), "{n}");
        if n % 100 == 0 {
            disk.rotate();
        }
    }
    assert!(disk.now().unwrap().number > 2, "nothing was rotated");
    assert_eq!(disk.get(key(5999)), Some(value(5999)));
    assert_eq!(disk.get(key(1)), None);
    let kept: u64 = walk(&folder.0);
    assert!(kept < 40 << 20, "{kept} bytes");
}

fn walk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            if about.is_dir() { walk(&entry.path()) } else { about.len() }
        })
        .sum()
}

#[tokio::test]
async fn a_damaged_or_missing_folder_is_begun_anew() {
    let folder = Folder::new("damage");
    let cache = folder.cache(64 << 20);
    for n in 0..200 {
        cache.put(Kind::List, key(n), value(n));
        // The queue forgets what does not fit.
        while cache.disk.get(key(n)).is_none() {
            cache.disk.put(key(n), &value(n));
        }
    }
    cache.close();
    drop(cache);
    let db = folder.0.join("cache/g1/db");
    let whole = fs::read(&db).unwrap();
    for damage in [whole[..whole.len() / 3].to_vec(), vec![0xa5; whole.len()], Vec::new()] {
        fs::write(&db, &damage).unwrap();
        let cache = folder.cache(64 << 20);
        for n in 0..200 {
            let found = cache.get(Kind::List, key(n)).await;
            assert!(found.is_none() || found == Some(value(n)));
        }
        cache.put(Kind::List, key(7), value(7));
        assert_eq!(cache.get(Kind::List, key(7)).await, Some(value(7)));
        cache.close();
        drop(cache);
    }
    fs::remove_dir_all(folder.0.join("cache")).unwrap();
    let cache = folder.cache(64 << 20);
    assert_eq!(cache.get(Kind::List, key(8)).await, None);
}
