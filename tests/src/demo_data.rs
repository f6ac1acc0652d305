//! The demo's stores, people and incidents: `demo/incidents.json`, written for this project. Nobody in it exists.
//!
//! Times are kept as days ago and the store's wall clock, so that the demo is always about the last weeks.

use crate::scenes::{self, Scene, Shot};
use chassis::clock::{Clock as _, SystemClock, format_rfc3339};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// Everything the demo tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoData {
    /// The stores.
    pub stores: Vec<Store>,
    /// Who works where.
    pub staff: Vec<Person>,
    /// What happened.
    pub incidents: Vec<Incident>,
}

/// A store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Its code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its IANA time zone.
    pub timezone: String,
}

/// Somebody with an account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What they log in with.
    pub username: String,
    /// What people see.
    pub name: String,
    /// `employee`, `manager`, `hq` or `admin`.
    pub role: String,
    /// The store they work in.
    pub store: Option<String>,
}

/// Something that happened, and what became of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// The store's code.
    pub store: String,
    /// Who reported it.
    pub by: String,
    /// How many days before today, in the store.
    pub days_ago: u16,
    /// When on that day, `HH:MM` in the store.
    pub at: String,
    /// When it ended, where it was a range.
    pub until: Option<Until>,
    /// The rest of the report, as the API takes it.
    pub report: Value,
    /// What was said about it afterwards.
    #[serde(default)]
    pub talk: Vec<Remark>,
    /// What was done with it afterwards.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Photos of it.
    #[serde(default)]
    pub photos: Vec<Picture>,
}

/// A photo.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Who took it.
    pub by: String,
    /// What it shows.
    pub scene: Scene,
    /// What the phone called it.
    pub file: String,
    /// What its taker says about it.
    pub caption: Option<String>,
    /// EXIF orientation, 1 to 8.
    #[serde(default = "upright")]
    pub turned: u8,
    /// Whether the phone noted where.
    #[serde(default)]
    pub located: bool,
}

const fn upright() -> u8 {
    1
}

/// The end of a range.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// How many days before today.
    pub days_ago: u16,
    /// When on that day.
    pub at: String,
}

/// A comment or an addendum.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// Who said it.
    pub by: String,
    /// `comment` where nothing else is said.
    pub kind: Option<String>,
    /// What.
    pub body: String,
}

/// A step of the workflow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who did it.
    pub by: String,
    /// The status it went to.
    pub to: String,
    /// Why.
    pub reason: Option<String>,
}

impl DemoData {
    /// The data of `demo/incidents.json`.
    ///
    /// # Panics
    /// When that is not what this version expects; a test holds it to that.
    #[must_use]
    pub fn load() -> Self {
        serde_json::from_str(include_str!("../demo/incidents.json")).expect("demo/incidents.json")
    }

    /// The requests that put `incident` into the world, with its times made absolute as of now.
    ///
    /// # Panics
    /// When its store or its times are none.
    #[must_use]
    pub fn requests(&self, incident: &Incident) -> Requests {
        let store = self.stores.iter().find(|store| store.code == incident.store).expect("a store of the demo");
        let zone = TimeZone::get(&store.timezone).expect("a time zone");
        let now = Timestamp::from_millisecond(SystemClock.now_ms()).expect("now");
        let moment = |days_ago: u16, at: &str| {
            let time: Time = format!("{at}:00").parse().expect("HH:MM");
            let day = now.to_zoned(zone.clone()).date() - Span::new().days(days_ago);
            let zoned = day.to_datetime(time).to_zoned(zone.clone()).expect("a moment of that day");
            format_rfc3339(zoned.timestamp().as_millisecond())
        };
        let mut report = incident.report.clone();
        report["occurred_at"] = json!(moment(incident.days_ago, &incident.at));
        if let Some(until) = &incident.until {
            report["occurred_to"] = json!(moment(until.days_ago, &until.at));
        }
        // Taken ten minutes later, by clocks that know no zone.
        let taken = (now.to_zoned(zone.clone()).date() - Span::new().days(incident.days_ago))
            .to_datetime(format!("{}:00", incident.at).parse().expect("HH:MM"))
            + Span::new().minutes(10);
        let photos = incident.photos.iter().zip(0..).map(|(picture, n)| {
            let shot = Shot {
                scene: picture.scene,
                orientation: picture.turned,
                taken: taken.strftime("%Y:%m:%d %H:%M:%S").to_string(),
                located: picture.located,
                width: [3264, 3000, 3600][n % 3],
            };
            let seed = picture.file.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(131) + u64::from(byte));
            Photo { picture: picture.clone(), shot, seed }
        });
        let photos = photos.collect();
        let due = format_rfc3339((now + Span::new().hours(7 * 24)).as_millisecond());
        let talk = incident.talk.iter().map(|remark| {
            let kind = remark.kind.as_deref().unwrap_or("comment");
            (remark.by.clone(), json!({ "body": remark.body, "kind": kind }))
        });
        let steps = incident.steps.iter().map(|step| {
            let patch = match (step.to.as_str(), &step.reason) {
                ("in_review", None) => json!({ "status": step.to, "assigned_to": step.by, "due_at": due }),
                (_, None) => json!({ "status": step.to }),
                (_, Some(reason)) => json!({ "status": step.to, "reason": reason }),
            };
            (step.by.clone(), patch)
        });
        Requests {
            by: incident.by.clone(),
            report,
            photos,
            talk: talk.collect(),
            steps: steps.collect(),
        }
    }
}

/// A photo to be taken.
#[derive(Clone, Debug)]
pub struct Photo {
    /// As it is told.
    pub picture: Picture,
    shot: Shot,
    seed: u64,
}

impl Photo {
    /// Takes it: a JPEG. Some tenths of a second of a processor's time.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        scenes::take(&self.shot, self.seed)
    }
}

/// The requests of one incident, in order; each with the username who makes it.
#[derive(Clone, Debug)]
pub struct Requests {
    /// Who reports.
    pub by: String,
    /// `POST /api/v1/incidents`.
    pub report: Value,
    /// `POST …/photos`.
    pub photos: Vec<Photo>,
    /// `POST …/comments`.
    pub talk: Vec<(String, Value)>,
    /// `PATCH`.
    pub steps: Vec<(String, Value)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use sync_protocol::record::vocabulary;

    fn words<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeSet<&'a str> {
        values.filter_map(Value::as_str).collect()
    }

    fn set(words: &'static [&'static str]) -> BTreeSet<&'static str> {
        words.iter().copied().collect()
    }

    #[test]
    fn the_demo_shows_every_word_of_the_vocabulary() {
        let data = DemoData::load();
        assert!(data.incidents.len() >= 64);
        let reports: Vec<&Value> = data.incidents.iter().map(|incident| &incident.report).collect();
        let field = |name: &'static str| reports.iter().map(move |report| &report[name]);
        let inside = |list: &'static str| reports.iter().filter_map(move |report| report[list].as_array()).flatten();
        assert_eq!(words(field("category")), set(vocabulary::CATEGORIES));
        assert_eq!(words(field("zone")), set(vocabulary::ZONES));
        let mut precisions = words(field("occurred_precision"));
        precisions.insert("exact");
        assert_eq!(precisions, set(vocabulary::PRECISIONS));
        let severities: BTreeSet<u64> = field("severity").filter_map(Value::as_u64).collect();
        assert_eq!(severities, (1..=5).collect());
        let roles = words(inside("people").filter_map(|person| person["roles"].as_array()).flatten());
        assert_eq!(roles, set(vocabulary::PERSON_ROLES));
        let treatments = words(inside("people").map(|person| &person["injury"]["treatment"]));
        assert_eq!(treatments, set(vocabulary::TREATMENTS));
        assert_eq!(words(inside("items").map(|item| &item["outcome"])), set(vocabulary::ITEM_OUTCOMES));
        let mut statuses = words(field("status"));
        statuses.extend(data.incidents.iter().flat_map(|incident| &incident.steps).map(|step| step.to.as_str()));
        statuses.insert("submitted");
        assert_eq!(statuses, set(vocabulary::STATUSES));
    }

    #[test]
    fn every_scene_is_photographed_and_photos_come_from_both_stores_held_in_every_way() {
        let data = DemoData::load();
        let with = data.incidents.iter().filter(|incident| !incident.photos.is_empty());
        let stores: BTreeSet<&str> = with.clone().map(|incident| incident.store.as_str()).collect();
        assert!(with.count() >= 10 && stores.len() == 2);
        let photos: Vec<&Picture> = data.incidents.iter().flat_map(|incident| &incident.photos).collect();
        let held: BTreeSet<u8> = photos.iter().map(|photo| photo.turned).collect();
        assert_eq!(held, (1..=8).collect());
        let scenes: BTreeSet<Scene> = photos.iter().map(|photo| photo.scene).collect();
        assert_eq!(scenes.len(), 10);
        let files: BTreeSet<&str> = photos.iter().map(|photo| photo.file.as_str()).collect();
        assert_eq!(files.len(), photos.len());
        assert!(photos.iter().any(|photo| photo.located) && photos.len() >= 12);
    }

    #[test]
    fn every_request_of_the_demo_can_be_made() {
        let data = DemoData::load();
        let now = format_rfc3339(SystemClock.now_ms());
        for incident in &data.incidents {
            let requests = data.requests(incident);
            let photos = requests.photos.iter().map(|photo| &photo.picture.by);
            let people =
                requests.talk.iter().chain(&requests.steps).map(|(by, _)| by).chain([&requests.by]).chain(photos);
            for by in people {
                let person = data.staff.iter().find(|person| person.username == *by).unwrap_or_else(|| panic!("{by}"));
                assert_eq!(person.store.as_ref(), Some(&incident.store), "{by}");
            }
            let at = requests.report["occurred_at"].as_str().unwrap();
            assert!(at < now.as_str(), "{at}");
            if let Some(to) = requests.report["occurred_to"].as_str() {
                assert!(at < to);
            }
            for step in &incident.steps {
                let manager = data.staff.iter().any(|person| person.username == step.by && person.role == "manager");
                assert!(manager, "{} moves a report", step.by);
                assert!(step.to != "void" || step.reason.is_some());
            }
        }
    }
}
