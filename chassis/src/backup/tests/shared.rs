//! A folder of backups that share their contents.

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The backup of the day `day`, as the schedule makes it.
fn back_up(site: &Folder, into: &Folder, day: i64, passphrase: Option<&str>) -> Result<Written, BackupError> {
    let repository = Repository::open(&into.0, passphrase.map(super::passphrase))?;
    with_subject(site, day * DAY_MS, |subject| repository.write(subject, &of_day(into, day), &mut |_| {}))
}

fn of_day(into: &Folder, day: i64) -> PathBuf {
    into.at(&format!("site-{day}.backup"))
}

fn sweep(into: &Folder, passphrase: Option<&str>) -> Swept {
    Repository::open(&into.0, passphrase.map(super::passphrase)).unwrap().sweep().unwrap()
}

/// Where the content `n` is in a folder of backups.
fn beside(into: &Folder, n: u8, end: &str) -> PathBuf {
    let digest = content(n).1.to_string();
    into.at("contents").join(&digest[..2]).join(format!("{digest}{end}"))
}

/// A day on which the content `n` is read again.
fn day_of(n: u8) -> i64 {
    70 + i64::from(content(n).1.as_bytes()[0]) % 7
}

/// That what is in the backup comes back.
fn comes_back(from: &Path, keys: &Keys, contents: &[u8]) {
    let to = Folder::new("shared-back");
    restore(from, keys, &to).unwrap();
    for n in contents {
        assert_eq!(fs::read(blob(&to, *n)).unwrap(), content(*n).0, "content {n}");
    }
}

#[tokio::test]
async fn a_content_is_written_once_and_removed_when_no_backup_names_it() {
    let (site, into) = (site("shared").await, Folder::new("shared-into"));
    back_up(&site, &into, 1, None).unwrap();
    let first = beside(&into, 3, "").metadata().unwrap().modified().unwrap();
    // The third one is gone, a fourth one came.
    fs::remove_file(blob(&site, 3)).unwrap();
    let _ = Blobs::open(&site.at("blobs")).unwrap().put(uuid::Uuid::from_u128(4), content(4).0).await.unwrap();
    back_up(&site, &into, 2, None).unwrap();
    assert_eq!(beside(&into, 3, "").metadata().unwrap().modified().unwrap(), first);
    assert!(of_day(&into, 2).metadata().unwrap().len() < 60_000, "contents are in the file");
    assert_eq!(sweep(&into, None), Swept::Removed(0));
    comes_back(&of_day(&into, 1), &Keys::default(), &[1, 2, 3]);
    comes_back(&of_day(&into, 2), &Keys::default(), &[1, 2, 4]);
    // A person keeps the first one under another name: it counts.
    fs::rename(of_day(&into, 1), into.at("kept.backup")).unwrap();
    assert_eq!(sweep(&into, None), Swept::Removed(0));
    fs::remove_file(into.at("kept.backup")).unwrap();
    assert_eq!(sweep(&into, None), Swept::Removed(1));
    assert!(!beside(&into, 3, "").exists() && beside(&into, 1, "").exists());
    comes_back(&of_day(&into, 2), &Keys::default(), &[1, 2, 4]);
}

#[tokio::test]
async fn nothing_is_removed_while_there_is_a_backup_that_cannot_be_read() {
    let (site, into) = (site("shared-foreign").await, Folder::new("shared-foreign-into"));
    back_up(&site, &into, 1, None).unwrap();
    fs::remove_file(of_day(&into, 1)).unwrap();
    fs::write(into.at("foreign.backup"), "of another program").unwrap();
    let Swept::Kept(why) = sweep(&into, None) else {
        panic!("contents were removed")
    };
    assert!(why.contains("foreign.backup"), "{why}");
    assert!(beside(&into, 1, "").exists());
    // One of before, with everything in it, names nothing beside it.
    fs::remove_file(into.at("foreign.backup")).unwrap();
    with_subject(&site, 5, |subject| {
        write(subject, &into.at("single.backup"), &Keys::default(), &mut |_| {}).unwrap()
    });
    assert_eq!(sweep(&into, None), Swept::Removed(3));
    comes_back(&into.at("single.backup"), &Keys::default(), &[1, 2, 3]);
}

#[tokio::test]
async fn a_content_that_the_folder_lost_is_written_again_within_a_week() {
    let (site, into) = (site("shared-lost").await, Folder::new("shared-lost-into"));
    let day = day_of(2);
    back_up(&site, &into, day - 7, None).unwrap();
    fs::write(beside(&into, 2, ""), "damaged").unwrap();
    fs::remove_file(beside(&into, 1, "")).unwrap();
    let refused = verify(&of_day(&into, day - 7), &Keys::default()).unwrap_err().to_string();
    assert!(refused.contains("beside it") && refused.contains("nothing was changed"), "{refused}");
    // On another day it is not read, but what is missing is written all the same.
    back_up(&site, &into, day - 1, None).unwrap();
    assert_eq!(fs::read(beside(&into, 2, "")).unwrap(), b"damaged");
    assert_eq!(fs::read(beside(&into, 1, "")).unwrap(), content(1).0);
    back_up(&site, &into, day, None).unwrap();
    for from in [day - 7, day - 1, day] {
        comes_back(&of_day(&into, from), &Keys::default(), &[1, 2, 3]);
    }
}

#[tokio::test]
async fn what_is_damaged_at_the_site_is_told_and_never_takes_the_place_of_a_whole_one() {
    let (site, into) = (site("shared-bad").await, Folder::new("shared-bad-into"));
    back_up(&site, &into, 1, None).unwrap();
    fs::write(blob(&site, 1), "damaged").unwrap();
    fs::write(blob(&site, 2), "damaged").unwrap();
    fs::remove_file(beside(&into, 2, "")).unwrap();
    let written = back_up(&site, &into, 2, None).unwrap();
    assert_eq!(written.damaged, [content(2).1]);
    assert!(!beside(&into, 2, "").exists());
    let to = Folder::new("shared-bad-back");
    restore(&of_day(&into, 2), &Keys::default(), &to).unwrap();
    // Of the first one there was a whole one; of the second one this is all that is left.
    assert_eq!(fs::read(blob(&to, 1)).unwrap(), content(1).0);
    assert_eq!(fs::read(blob(&to, 2)).unwrap(), b"damaged");
}

#[tokio::test]
async fn a_backup_that_is_cut_off_leaves_the_ones_of_before_whole_and_its_leftovers_go() {
    let (site, into) = (site("shared-cut").await, Folder::new("shared-cut-into"));
    back_up(&site, &into, 1, None).unwrap();
    let _ = Blobs::open(&site.at("blobs")).unwrap().put(uuid::Uuid::from_u128(4), content(4).0).await.unwrap();
    {
        let repository = Repository::open(&into.0, None).unwrap();
        assert!(matches!(Repository::open(&into.0, None), Err(BackupError::UnderWay)));
        // The ledger vanishes once the contents are read: as if it were killed.
        let (ledger, to) = (site.at("copy"), of_day(&into, 2));
        let failed = with_subject(&site, 2 * DAY_MS, |subject| {
            repository.write(subject, &to, &mut |_| drop(fs::remove_file(&ledger)))
        });
        assert!(failed.is_err() && !to.exists() && !part_of(&to).exists());
    }
    fs::write(part_of(&beside(&into, 3, "")), "half").unwrap();
    comes_back(&of_day(&into, 1), &Keys::default(), &[1, 2, 3]);
    assert!(beside(&into, 4, "").exists());
    assert_eq!(sweep(&into, None), Swept::Removed(1));
    assert!(!part_of(&beside(&into, 3, "")).exists() && !beside(&into, 4, "").exists());
    comes_back(&of_day(&into, 1), &Keys::default(), &[1, 2, 3]);
}

#[tokio::test]
async fn an_encrypted_folder_has_one_key_and_opens_with_its_passphrase_only() {
    let (site, into) = (site("shared-sealed").await, Folder::new("shared-sealed-into"));
    back_up(&site, &into, 1, Some("four words of it")).unwrap();
    let key = fs::read(into.at("key.age")).unwrap();
    assert!(key.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    let stored = fs::read(beside(&into, 3, ".age")).unwrap();
    assert!(
        stored.starts_with(b"age-encryption.org/v1\n-> X25519 ") && !stored.windows(64).any(|part| part == [3; 64])
    );
    back_up(&site, &into, 2, Some("four words of it")).unwrap();
    assert_eq!(fs::read(into.at("key.age")).unwrap(), key);
    assert_eq!(fs::read(beside(&into, 3, ".age")).unwrap(), stored);
    assert!(!beside(&into, 3, "").exists());
    let from = passphrase_file(&site, "four words of it");
    let keys = Keys::of_file(&of_day(&into, 1), &from).unwrap();
    comes_back(&of_day(&into, 1), &keys, &[1, 2, 3]);

    // Nobody writes into it with another passphrase, or with none.
    let wrong = back_up(&site, &into, 3, Some("three words")).unwrap_err().to_string();
    assert!(wrong.contains("does not open") && wrong.contains("key.age"), "{wrong}");
    assert!(matches!(back_up(&site, &into, 3, None), Err(BackupError::SealedFolder(_))));

    // A flipped bit or a cut in any kind of file.
    let whole = of_day(&into, 2);
    for file in [whole.clone(), beside(&into, 3, ".age"), into.at("key.age")] {
        let bytes = fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() - 5] ^= 1;
        for bad in [&flipped[..], &bytes[..bytes.len() - 1], &bytes[..30]] {
            fs::write(&file, bad).unwrap();
            let refused = Keys::of_file(&whole, &from).and_then(|keys| verify(&whole, &keys)).unwrap_err().to_string();
            assert!(refused.contains("nothing was changed") && !refused.contains('\n'), "{refused}");
        }
        fs::write(&file, bytes).unwrap();
    }

    // One of another folder, with another key: nothing is removed, and it says what is wrong with it here.
    let other = Folder::new("shared-sealed-other");
    back_up(&site, &other, 1, Some("four words of it")).unwrap();
    fs::copy(of_day(&other, 1), into.at("other.backup")).unwrap();
    assert!(matches!(sweep(&into, Some("four words of it")), Swept::Kept(_)));
    let keys = Keys::of_file(&into.at("other.backup"), &from).unwrap();
    assert!(matches!(verify(&into.at("other.backup"), &keys), Err(BackupError::AnotherKey(_))));
    fs::remove_file(into.at("other.backup")).unwrap();
    assert_eq!(sweep(&into, Some("four words of it")), Swept::Removed(0));
    // Without the key beside it, it says so.
    fs::create_dir(into.at("elsewhere")).unwrap();
    fs::copy(&whole, into.at("elsewhere").join("b.backup")).unwrap();
    assert!(matches!(Keys::of_file(&into.at("elsewhere").join("b.backup"), &from), Err(BackupError::NoKey(_))));

    // One content of another key: it keeps a name, and the site's own is written in its place.
    let foreign = fs::read(beside(&other, 3, ".age")).unwrap();
    fs::write(beside(&into, 3, ".age"), &foreign).unwrap();
    let day = day_of(3);
    back_up(&site, &into, day, Some("four words of it")).unwrap();
    assert_eq!(fs::read(beside(&into, 3, ".age.unopened")).unwrap(), foreign);
    assert_eq!(sweep(&into, Some("four words of it")), Swept::Removed(0));
    comes_back(&of_day(&into, day), &Keys::of_file(&whole, &from).unwrap(), &[1, 2, 3]);
    // A lost key is not replaced by a new one, with which nothing that is there could be opened any more.
    fs::remove_file(into.at("key.age")).unwrap();
    // First with the backups themselves, then with nothing but contents of theirs.
    for _ in 0..2 {
        let refused = back_up(&site, &into, day + 1, Some("another")).unwrap_err();
        assert!(matches!(refused, BackupError::LostKey(_)), "{refused}");
        for file in [1, 2, day].map(|day| of_day(&into, day)) {
            let _ = fs::remove_file(file);
        }
    }
    assert!(!into.at("key.age").exists());
}

#[tokio::test]
async fn a_backup_that_names_what_is_not_a_content_beside_it_is_refused() {
    let (site, into) = (site("shared-hostile").await, Folder::new("shared-hostile-into"));
    back_up(&site, &into, 1, None).unwrap();
    let whole = fs::read(of_day(&into, 1)).unwrap();
    let name = format!("contents/{}", &content(1).1.to_string()[..2]);
    let at = whole.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
    for wrong in ["contents/..", "contents/zz"] {
        let mut bytes = whole.clone();
        bytes[at..at + name.len()].copy_from_slice(wrong.as_bytes());
        fs::write(of_day(&into, 2), &bytes).unwrap();
        let refused = verify(&of_day(&into, 2), &Keys::default()).unwrap_err().to_string();
        assert!(refused.contains("does not belong there"), "{refused}");
    }
}
