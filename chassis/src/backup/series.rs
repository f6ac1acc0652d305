//! Backups that are made by themselves, one after the other, into one folder, and how many of them stay.
//!
//! What was made stands in a list in the data folder, written before a backup is begun. Only what the list names is ever removed,
//! only below the folder that is in use, and only once a newer one is whole: a file that a person put there, renamed or brought
//! from elsewhere stays.

use super::{BackupError, PassphraseFrom};
use crate::clock::format_rfc3339;
use crate::config::within;
use crate::folder::{DataFolder, lock_file, replace, sync_folder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The list's name in the data folder.
pub const LIST: &str = "backups.json";
/// Most backups that the list names; of those that are not there the oldest are forgotten.
const MAX_LISTED: usize = 2000;
/// How often it is looked for the last one.
const MEASURED_EVERY: Duration = Duration::from_secs(60);
/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many days, and how many weeks, keep one unless the configuration says otherwise.
const KEEP: (u32, u32) = (7, 4);
/// Most days, and most weeks, that keep one.
const MOST: (u32, u32) = (366, 520);
/// Whether a folder for backups is configured.
static EXPECTED: AtomicBool = AtomicBool::new(false);

/// `[backup]` of a configuration file, or what options say of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleLayer {
    /// The folder that backups are made into.
    pub folder: Option<PathBuf>,
    /// How many days keep their last one.
    pub keep_daily: Option<u32>,
    /// How many weeks keep their last one.
    pub keep_weekly: Option<u32>,
    /// The file that holds the passphrase which backups are encrypted with; else the systemd credential `backup-passphrase`.
    pub passphrase_file: Option<PathBuf>,
}

/// Where backups go that are made by themselves, and how many of them stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The folder.
    pub folder: PathBuf,
    /// How many days keep their last one.
    pub keep_daily: u32,
    /// How many weeks keep their last one.
    pub keep_weekly: u32,
    /// What they are encrypted with.
    pub passphrase: PassphraseFrom,
}

/// Why nothing is backed up of the folder `data_dir`, though the time for it has come; `None` where a backup is to be made. Opens and makes
/// nothing: an empty ledger, made where a disk is not mounted, must not be backed up in the place of what is kept.
///
/// # Errors
/// Where a backup is asked for, and there is nothing in the folder; one line.
pub fn idle(schedule: Option<&Schedule>, data_dir: &Path) -> Result<Option<&'static str>, String> {
    if schedule.is_none() {
        return Ok(Some("no backup.folder is set: nothing was backed up"));
    }
    let place = data_dir.display();
    match DataFolder::has_database(data_dir) {
        Ok(true) => Ok(None),
        Ok(false) => Err(format!(
            "nothing is kept in {place}: nothing was backed up; look at data_dir, and whether its disk is mounted"
        )),
        Err(cause) => Err(format!("cannot look into {place}: {cause}; nothing was backed up")),
    }
}

impl ScheduleLayer {
    /// What this layer says, and where it says nothing the one `below`; `None` where no folder is named.
    ///
    /// # Errors
    /// A folder that is no whole path, and numbers out of range; one line.
    pub fn over(self, below: Option<Self>) -> Result<Option<Schedule>, String> {
        let below = below.unwrap_or_default();
        let keep_daily = self.keep_daily.or(below.keep_daily).unwrap_or(KEEP.0);
        let keep_weekly = self.keep_weekly.or(below.keep_weekly).unwrap_or(KEEP.1);
        let keep_daily = within("backup.keep_daily", keep_daily, 1, MOST.0)?;
        let keep_weekly = within("backup.keep_weekly", keep_weekly, 0, MOST.1)?;
        let Some(folder) = self.folder.or(below.folder) else {
            return Ok(None);
        };
        if !folder.is_absolute() {
            return Err(format!("backup.folder is {}; give a whole path such as /var/backups/site", folder.display()));
        }
        let passphrase = PassphraseFrom { file: self.passphrase_file.or(below.passphrase_file), stdin: false };
        Ok(Some(Schedule { folder, keep_daily, keep_weekly, passphrase }))
    }
}

/// One that was made, or begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its file.
    pub path: PathBuf,
    /// When; milliseconds since 1970.
    pub made_ms: i64,
    /// Whether something of the site was damaged then: it does not count as a backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
}

impl Made {
    /// Whether it is there. A backup gets its name when it is whole.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|found| found.is_file())
    }
}

/// The last one that is there and is whole, of those that the list in `data_dir` names.
#[must_use]
pub fn last(data_dir: &Path) -> Option<Made> {
    let text = fs::read(data_dir.join(LIST)).ok()?;
    let made: Vec<Made> = serde_json::from_slice(&text).ok()?;
    made.into_iter().rev().find(|made| made.is_there() && !made.is_doubtful)
}

/// Says whether a folder for backups is configured: where it is and there never was one, the figure of the last one is 0.
pub fn expect(is_configured: bool) {
    EXPECTED.store(is_configured, Ordering::Relaxed);
}

/// Keeps the figure of when the last one was made, until `stop` is cancelled.
pub async fn measure(data_dir: PathBuf, stop: CancellationToken) {
    loop {
        if let Some(seconds) = last_made_seconds(last(&data_dir), EXPECTED.load(Ordering::Relaxed)) {
            metrics::gauge!("backup_last_made_time_seconds").set(seconds);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(MEASURED_EVERY) => {}
        }
    }
}

/// What the figure is; `None` where there is none: nobody expects a backup.
fn last_made_seconds(last: Option<Made>, is_expected: bool) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let made = last.map(|last| last.made_ms as f64 / 1000.0);
    made.or_else(|| is_expected.then_some(0.0))
}

/// The list, for as long as a backup is made: nobody else makes one meanwhile.
#[derive(Debug)]
pub struct Series {
    list: PathBuf,
    made: Vec<Made>,
    _lock: File,
}

impl Series {
    /// Takes the list in `data_dir`.
    ///
    /// # Errors
    /// When another process has it, or it cannot be read.
    pub fn open(data_dir: &Path) -> Result<Self, BackupError> {
        let list = data_dir.join(LIST);
        let at = |path: &Path| {
            let path = path.display().to_string();
            move |error| BackupError::Io(path, error)
        };
        let lock = list.with_extension("lock");
        let file = lock_file(&lock).map_err(at(&lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(BackupError::UnderWay),
            Err(fs::TryLockError::Error(error)) => return Err(at(&lock)(error)),
        }
        let made = match fs::read(&list) {
            Ok(text) => serde_json::from_slice(&text).or_else(|error| {
                // Without it nothing is removed; a backup is made all the same.
                let aside = list.with_extension("json.damaged");
                tracing::error!(%error, "{} cannot be read and was moved to {}: what it named is not removed any more",
                    list.display(), aside.display());
                fs::rename(&list, &aside).map(|()| Vec::new()).map_err(at(&list))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(at(&list)(error)),
        };
        Ok(Self { list, made, _lock: file })
    }

    /// Notes that a backup of `program` is begun in `folder`, and says which file it is to become. What an earlier one left
    /// half-written is removed.
    ///
    /// # Errors
    /// When there is no such folder, such a file is there already, or it cannot be noted.
    pub fn begin(&mut self, folder: &Path, program: &str, now_ms: i64) -> Result<PathBuf, BackupError> {
        if !folder.is_dir() {
            return Err(BackupError::NoFolder(folder.display().to_string()));
        }
        let moment: String = format_rfc3339(now_ms.div_euclid(1000) * 1000).replace(['-', ':'], "");
        let path = folder.join(format!("{program}-{moment}.backup"));
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(path.display().to_string()));
        }
        for made in self.made.iter().filter(|made| made.path.parent() == Some(folder) && !made.is_there()) {
            let _ = fs::remove_file(super::part_of(&made.path));
        }
        self.made.push(Made { path: path.clone(), made_ms: now_ms, is_doubtful: false });
        while self.made.len() > MAX_LISTED {
            let gone = self.made.iter().position(|made| !made.is_there()).unwrap_or(0);
            self.made.remove(gone);
        }
        self.write()?;
        Ok(path)
    }

    /// Notes that something of the site was damaged when `path` was made: it stays, and those of before do, too.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn doubt(&mut self, path: &Path) -> Result<(), BackupError> {
        for made in self.made.iter_mut().filter(|made| made.path == path) {
            made.is_doubtful = true;
        }
        self.write()
    }

    /// Takes back what [`Series::begin`] noted: there is no such backup.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn take_back(&mut self, path: &Path) -> Result<(), BackupError> {
        self.made.retain(|made| made.path != path);
        self.write()
    }

    /// Removes what need not stay, now that the last one is whole: those of other days and weeks than the last `keep_daily` and
    /// `keep_weekly` that have one, and all but the last of a day. Says which ones.
    ///
    /// # Errors
    /// When one cannot be removed (the others are), or the list cannot be written.
    pub fn prune(&mut self, schedule: &Schedule) -> Result<Vec<PathBuf>, BackupError> {
        let in_use = |made: &&Made| made.path.parent() == Some(schedule.folder.as_path()) && made.is_there();
        let there: Vec<Made> = self.made.iter().filter(in_use).cloned().collect();
        // A doubtful one takes no place of a sound one, and goes when sound ones were made since.
        let (doubtful, there): (Vec<_>, Vec<_>) = there.into_iter().partition(|made| made.is_doubtful);
        let days: Vec<i64> = there.iter().map(|made| made.made_ms.div_euclid(DAY_MS)).collect();
        let mut removed = Vec::new();
        let mut failed = None;
        let since = there.iter().map(|made| made.made_ms).max();
        let stay = doubtful.iter().map(|made| since.is_none_or(|since| since <= made.made_ms)).collect::<Vec<_>>();
        let all = there.iter().zip(staying(&days, schedule)).chain(doubtful.iter().zip(stay));
        for (made, stays) in all {
            if stays {
                continue;
            }
            match fs::remove_file(&made.path) {
                Ok(()) => removed.push(made.path.clone()),
                Err(error) => failed = Some(BackupError::Io(made.path.display().to_string(), error)),
            }
        }
        if !removed.is_empty() {
            self.made.retain(|made| !removed.contains(&made.path));
            self.write()?;
            let at = |error| BackupError::Io(schedule.folder.display().to_string(), error);
            sync_folder(&schedule.folder).map_err(at)?;
        }
        failed.map_or(Ok(removed), Err)
    }

    fn write(&self) -> Result<(), BackupError> {
        let at = |error| BackupError::Io(self.list.display().to_string(), error);
        let text = serde_json::to_vec(&self.made).map_err(|error| at(io::Error::other(error)))?;
        replace(&self.list, &text, 0o600).map_err(at)
    }
}

/// Which of those made on `days` (in the order they were made; days since 1970) stay. The last one always does.
fn staying(days: &[i64], schedule: &Schedule) -> Vec<bool> {
    let mut stays = vec![false; days.len()];
    let (mut kept_days, mut kept_weeks) = (BTreeSet::new(), BTreeSet::new());
    for (at, day) in days.iter().enumerate().rev() {
        // Weeks begin on Mondays; 1970 began on a Thursday.
        let week = (day + 3).div_euclid(7);
        let is_daily = kept_days.len() < schedule.keep_daily as usize && kept_days.insert(*day);
        let is_weekly = kept_weeks.len() < schedule.keep_weekly as usize && kept_weeks.insert(week);
        stays[at] = is_daily || is_weekly;
    }
    if let Some(last) = stays.last_mut() {
        *last = true;
    }
    stays
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::scratch;

    fn schedule(folder: &Path, keep_daily: u32, keep_weekly: u32) -> Schedule {
        Schedule {
            folder: folder.to_owned(),
            keep_daily,
            keep_weekly,
            passphrase: PassphraseFrom::default(),
        }
    }

    /// As a backup is made: noted, written, and then the others are looked at.
    fn round(data: &Path, keep: &Schedule, at_ms: i64) -> Vec<String> {
        let mut series = Series::open(data).unwrap();
        let path = series.begin(&keep.folder, "site", at_ms).unwrap();
        fs::write(&path, "whole").unwrap();
        series.prune(keep).unwrap();
        names(&keep.folder)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn nothing_is_made_where_no_folder_is_set_and_where_nothing_is_kept_that_is_a_failure() {
        let folder = scratch("series-idle");
        let (keep, data) = (schedule(&folder.join("backups"), 7, 4), folder.join("data"));
        assert!(idle(None, &data).unwrap().unwrap().contains("no backup.folder"));
        assert!(idle(Some(&keep), &data).unwrap_err().contains("nothing is kept"));
        assert!(!data.exists(), "the folder was made");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("ledger.sqlite"), "").unwrap();
        assert_eq!(idle(Some(&keep), &data), Ok(None));
    }

    #[test]
    fn the_last_of_each_day_and_week_stays_and_nothing_else() {
        let keep = schedule(Path::new("/b"), 3, 2);
        // Days 4 to 17 are two weeks from a Monday on; two on the last day.
        let days: Vec<i64> = (4..=17).chain([17]).collect();
        let stays = staying(&days, &keep);
        let kept: Vec<usize> = (0..days.len()).filter(|at| stays[*at]).collect();
        // The Sunday of the first week; the last three days, of the last one its second.
        assert_eq!(kept, [6, 11, 12, 14]);
        assert_eq!(staying(&[], &keep), [false; 0]);
        // A clock that was years ahead takes one place, no more, and the last one made stays whatever its day.
        assert_eq!(
            staying(&[30_000, 10, 11, 12, 13], &schedule(Path::new("/b"), 2, 0)),
            [false, false, false, true, true]
        );
        assert_eq!(staying(&[10, 9], &schedule(Path::new("/b"), 1, 0)), [false, true]);
    }

    #[test]
    fn only_what_the_list_names_is_removed_and_only_in_the_folder_in_use() {
        let (data, into, other) = (scratch("series"), scratch("series-into"), scratch("series-other"));
        let keep = schedule(&into, 2, 0);
        let old = "site-19691231T000000Z.backup";
        fs::write(into.join(old), "a person's").unwrap();
        let elsewhere = round(&data, &schedule(&other, 1, 0), 0);
        for day in 1..=3 {
            round(&data, &keep, day * DAY_MS);
        }
        let now = ["site-19691231T000000Z.backup", "site-19700103T000000Z.backup", "site-19700104T000000Z.backup"];
        assert_eq!(names(&into), now);
        assert_eq!(names(&other), elsewhere);
        // One that a person renamed to keep it stays.
        fs::rename(into.join(now[1]), into.join("before the move.backup")).unwrap();
        for day in 4..=6 {
            round(&data, &keep, day * DAY_MS);
        }
        let found = names(&into);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.contains(&"before the move.backup".to_owned()) && found.contains(&old.to_owned()));
        assert_eq!(last(&data).unwrap().made_ms, 6 * DAY_MS);
    }

    #[test]
    fn nothing_is_removed_for_one_that_failed_and_its_leftovers_go_with_the_next() {
        let (data, into) = (scratch("series-failed"), scratch("series-failed-into"));
        let keep = schedule(&into, 1, 0);
        let first = round(&data, &keep, DAY_MS);
        {
            let mut series = Series::open(&data).unwrap();
            assert!(matches!(Series::open(&data), Err(BackupError::UnderWay)));
            let path = series.begin(&into, "site", 2 * DAY_MS).unwrap();
            // The machine dies here.
            fs::write(crate::backup::part_of(&path), "half").unwrap();
        }
        assert_eq!(last(&data).unwrap().made_ms, DAY_MS);
        assert_eq!(names(&into).len(), 2);
        let third = round(&data, &keep, 3 * DAY_MS);
        assert_eq!(third, ["site-19700104T000000Z.backup"]);
        assert_ne!(first, third);
        let mut series = Series::open(&data).unwrap();
        assert!(matches!(series.begin(&into, "site", 3 * DAY_MS), Err(BackupError::Exists(_))));
        assert!(matches!(series.begin(&into.join("gone"), "site", 0), Err(BackupError::NoFolder(_))));
    }

    #[test]
    fn a_damaged_list_is_set_aside_and_what_it_named_stays() {
        let (data, into) = (scratch("series-damaged"), scratch("series-damaged-into"));
        let keep = schedule(&into, 1, 0);
        round(&data, &keep, DAY_MS);
        fs::write(data.join(LIST), "{").unwrap();
        assert_eq!(last(&data), None);
        assert_eq!(round(&data, &keep, 2 * DAY_MS).len(), 2);
        assert!(data.join("backups.json.damaged").exists());
    }

    #[test]
    fn a_schedule_needs_a_folder_and_numbers_in_range() {
        let over = |text: &str| ScheduleLayer::default().over(Some(crate::config::parse(text).unwrap()));
        assert_eq!(over(""), Ok(None));
        assert_eq!(over("folder = '/b'"), Ok(Some(schedule(Path::new("/b"), 7, 4))));
        assert!(over("folder = 'b'").unwrap_err().contains("whole path"));
        assert!(over("keep_daily = 0").unwrap_err().contains("backup.keep_daily is 0; give 1 to 366"));
        assert!(over("keep_weekly = 521").unwrap_err().contains("backup.keep_weekly"));
        let options = ScheduleLayer { keep_weekly: Some(0), ..ScheduleLayer::default() };
        let file = crate::config::parse("folder = '/b'\nkeep_weekly = 9").unwrap();
        assert_eq!(options.over(Some(file)), Ok(Some(schedule(Path::new("/b"), 7, 0))));
        let sealed = over("folder = '/b'\npassphrase_file = '/p'").unwrap().unwrap();
        assert_eq!(sealed.passphrase.file.as_deref(), Some(Path::new("/p")));
    }

    #[test]
    fn one_of_a_damaged_site_is_no_last_one_and_goes_once_a_sound_one_was_made() {
        let (data, into) = (scratch("series-doubt"), scratch("series-doubt-into"));
        let keep = schedule(&into, 1, 0);
        round(&data, &keep, DAY_MS);
        {
            let mut series = Series::open(&data).unwrap();
            let path = series.begin(&into, "site", 2 * DAY_MS).unwrap();
            fs::write(&path, "of a damaged site").unwrap();
            series.doubt(&path).unwrap();
        }
        assert_eq!(last(&data).unwrap().made_ms, DAY_MS);
        assert_eq!(names(&into).len(), 2);
        assert_eq!(round(&data, &keep, 3 * DAY_MS), ["site-19700104T000000Z.backup"]);
    }

    #[test]
    fn the_figure_is_nothing_where_no_backup_is_expected_and_zero_where_there_never_was_one() {
        let made = Made { path: PathBuf::from("/b"), made_ms: 5000, is_doubtful: false };
        assert_eq!(last_made_seconds(None, false), None);
        assert_eq!(last_made_seconds(None, true), Some(0.0));
        assert_eq!(last_made_seconds(Some(made), true), Some(5.0));
    }
}
