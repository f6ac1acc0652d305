//! What people do at a site, through the desk's own features. Every deed has an author of its own, so that each of its
//! changes can be found again wherever it went.

use crate::faults::{Coverage, Fault};
use crate::site::POISON;
use aincident_tests::random::Rng;
use chassis::blobs::Sha256;
use desk::actor::Actor;
use desk::comments::{self, NewComment};
use desk::erasures::{self, NewErasure};
use desk::incidents::{self, IfMatch};
use desk::ledger::{Draft, Recording, Staged};
use desk::photos::{self, NewPhoto};
use desk::settings;
use desk::{Desk, Error, Refusal};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use sync_protocol::record::{INCIDENT, STORE};
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// Something that a person did and was told is done.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Its author, nobody else's.
    pub by: String,
    /// Where it was done.
    pub site: String,
    /// What.
    pub what: &'static str,
    /// It may have been so already.
    pub may_be_nothing: bool,
}

/// A text, in nothing else that anybody records, and where it was written.
#[derive(Clone, Debug)]
pub struct Text {
    record: Uuid,
    field: String,
    text: String,
}

/// An order of erasure, and what has to be gone once it was carried out.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: Uuid,
    pub texts: Vec<String>,
}

/// What has been recorded so far, by anybody.
#[derive(Default)]
pub struct Known {
    pub incidents: Vec<(Uuid, String)>,
    pub photos: Vec<Sha256>,
    pub orders: Vec<Order>,
    texts: Vec<Text>,
    next: u64,
}

/// Where somebody sits.
pub struct Seat<'a> {
    pub desk: &'a Desk,
    pub name: &'a str,
    /// The store; at headquarters, one of all.
    pub store: &'a str,
    pub is_hub: bool,
    /// The program there is newer than the others.
    pub is_newer: bool,
    /// Every program knows what an order of erasure is: the version before did not, and keeps one as a kind it does not know.
    pub may_erase: bool,
}

/// Fields that people write over each other.
const TEXTS: [&str; 4] = ["location", "title", "description", "cctv/clip"];
const STATUSES: [&str; 4] = ["in_review", "needs_info", "closed", "void"];

impl Known {
    /// Somebody does something; none where it was refused or failed.
    pub async fn deed(&mut self, rng: &mut Rng, seat: &Seat<'_>, coverage: &Arc<Coverage>) -> Option<Deed> {
        self.next += 1;
        let word = format!("w{}", self.next);
        let text = text_of(&word);
        let actor = Actor::system(&word);
        let by = actor.username.clone();
        let deed = |what| Deed {
            by: by.clone(),
            site: seat.name.to_owned(),
            what,
            may_be_nothing: matches!(what, "step" | "delete" | "undelete"),
        };
        let ours: Vec<Uuid> =
            self.incidents.iter().filter(|(_, store)| store == seat.store).map(|(id, _)| *id).collect();
        let chosen = if ours.is_empty() { 0 } else { rng.below(100) };
        if chosen < 30 {
            let mut request = json!({"description": text, "location": "here"});
            if rng.chance(0.5) {
                request["people"] = json!([{ "name": text_of(&format!("{word}-who")), "roles": ["witness"] }]);
            }
            if seat.is_hub {
                request["store_code"] = seat.store.into();
            }
            return self.report(seat, &actor, request).await.map(|()| deed("report"));
        }
        // Mostly the latest ones: people meet there.
        let recent = &ours[ours.len().saturating_sub(3)..];
        let id = *if rng.chance(0.8) { rng.pick(recent) } else { rng.pick(&ours) };
        let done = match chosen {
            30..55 => {
                let mut request = Map::new();
                let field = *rng.pick(&TEXTS);
                match field {
                    "cctv/clip" => request.insert("cctv".to_owned(), json!({ "clip": text })),
                    field => request.insert(field.to_owned(), text.clone().into()),
                };
                let edited = incidents::patch::patch(seat.desk, &actor, id, IfMatch::Absent, request).await;
                self.wrote(expected(edited).map(|_| id), field, &text).map(|_| "edit")
            }
            55..67 => {
                let new = NewComment { id: None, body: text.clone(), kind: "comment".to_owned() };
                let added = expected(comments::add(seat.desk, &actor, id, new).await);
                self.wrote(added.map(|comment| comment.id), "body", &text).map(|_| "comment")
            }
            67..69 if seat.is_hub => {
                let mut patch = Map::new();
                patch.insert("photos".to_owned(), json!({ "max_kbit_s": self.next }));
                let store = Some(seat.store.to_owned());
                done(settings::edit(seat.desk, &actor, store, IfMatch::Absent, patch).await, "settings")
            }
            67..75 => {
                let mut request = Map::new();
                request.insert("status".to_owned(), (*rng.pick(&STATUSES)).into());
                request.insert("status_reason".to_owned(), word.clone().into());
                done(incidents::patch::patch(seat.desk, &actor, id, IfMatch::Absent, request).await, "step")
            }
            75..82 => done(incidents::delete(seat.desk, &actor, id, IfMatch::Absent).await, "delete"),
            82..85 => done(incidents::restore(seat.desk, &actor, id).await, "undelete"),
            85..91 => self.photo(seat, &actor, id, &word).await,
            91.. if seat.is_hub && seat.may_erase => self.erase(rng, seat, &actor, id, coverage).await,
            91.. if !seat.is_newer => None,
            91..94 => {
                let set = BTreeMap::from([("future/mood".to_owned(), json!({"word": word, "n": 1.5}))]);
                let what = self.raw(seat, &by, INCIDENT, id, Some(id), set).await;
                what.inspect(|()| coverage.reached(Fault::UnknownFields)).map(|()| "unknown field")
            }
            94..96 => {
                let set = BTreeMap::from([("incident_id".to_owned(), json!(id)), ("text".to_owned(), json!(word))]);
                let fresh = seat.desk.ids().new_v7(seat.desk.now_ms());
                let what = self.raw(seat, &by, "testimony", fresh, Some(id), set).await;
                what.inspect(|()| coverage.reached(Fault::UnknownKind)).map(|()| "unknown kind")
            }
            96..98 => {
                let request = json!({ "description": format!("{POISON} {word}") });
                self.report(seat, &actor, request).await.inspect(|()| coverage.reached(Fault::PoisonFails))?;
                return Some(deed("report that makes the hub fail"));
            }
            _ => {
                let set = BTreeMap::from([
                    ("code".to_owned(), json!(format!("Z{}", self.next))),
                    ("name".to_owned(), json!(word)),
                ]);
                let fresh = seat.desk.ids().new_v7(seat.desk.now_ms());
                self.raw(seat, &by, STORE, fresh, None, set).await?;
                coverage.reached(Fault::PoisonRefused);
                return Some(deed("change the hub does not take"));
            }
        };
        done.map(deed)
    }

    async fn report(&mut self, seat: &Seat<'_>, actor: &Actor, request: Value) -> Option<()> {
        let Value::Object(request) = request else { return None };
        let shown = incidents::draft::create(seat.desk, actor, request, None).await;
        let shown = expected(shown)?;
        self.incidents.push((shown.id, seat.store.to_owned()));
        let doc: Value = serde_json::from_str(&shown.json).unwrap();
        let texts = [("description".to_owned(), &doc["description"])].into_iter();
        let names = doc["people"].as_array().into_iter().flatten();
        let names = names.map(|person| (format!("people/{}", person["id"].as_str().unwrap()), &person["name"]));
        for (field, text) in texts.chain(names) {
            self.wrote(Some(shown.id), &field, text.as_str().unwrap());
        }
        Some(())
    }

    /// Notes what stands where, where it was recorded.
    fn wrote(&mut self, record: Option<Uuid>, field: &str, text: &str) -> Option<Uuid> {
        let record = record?;
        self.texts.push(Text { record, field: field.to_owned(), text: text.to_owned() });
        Some(record)
    }

    /// Headquarters has something of an incident erased.
    async fn erase(
        &mut self,
        rng: &mut Rng,
        seat: &Seat<'_>,
        actor: &Actor,
        id: Uuid,
        coverage: &Arc<Coverage>,
    ) -> Option<&'static str> {
        let whole = seat.desk.ledger().incident_whole(id).await.ok()??;
        let doc: Value = serde_json::from_str(&whole.row.doc).unwrap();
        let mut new = NewErasure { incident_id: id, reason: "asked for it".to_owned(), ..NewErasure::default() };
        new.person_id = doc["people"][0]["id"].as_str().and_then(|person| person.parse().ok());
        if rng.chance(0.5) || new.person_id.is_none() {
            new.fields.push("description".to_owned());
        }
        if rng.chance(0.5) {
            new.comments.extend(whole.comments.iter().map(|comment| comment.id));
        }
        new.all_photos = rng.chance(0.5);
        let order = expected(erasures::order(seat.desk, actor, new).await)?;
        coverage.reached(Fault::Erasure);
        let is_named = |text: &&Text| {
            let field = text.field.replace('/', ".");
            order.what.iter().any(|named| named.record_id == text.record && named.fields.contains(&field))
        };
        let texts = self.texts.iter().filter(is_named).map(|text| text.text.clone()).collect();
        self.orders.push(Order { id: order.id, texts });
        Some("erasure")
    }

    async fn photo(&mut self, seat: &Seat<'_>, actor: &Actor, id: Uuid, word: &str) -> Option<&'static str> {
        let text = text_of(word);
        let bytes = text.repeat(200).into_bytes();
        let kept = seat.desk.blobs().put(seat.desk.ids().new_v7(0), bytes).await.unwrap();
        let sha256 = kept.sha256;
        let new = NewPhoto { kept, filename: "seen.bin".to_owned(), caption: Some(text.clone()) };
        let photo = expected(photos::add(seat.desk, actor, id, new).await)?;
        self.photos.push(sha256);
        self.wrote(Some(photo.id), "caption", &text);
        Some("photo")
    }

    /// A change as a newer program might make it.
    async fn raw(
        &self,
        seat: &Seat<'_>,
        by: &str,
        kind: &'static str,
        id: Uuid,
        beside: Option<Uuid>,
        set: BTreeMap<String, Value>,
    ) -> Option<()> {
        let scope = Scope::Store(seat.store.to_owned());
        let plan = move |staged: &Staged| {
            if beside.is_some() && staged.records.iter().any(Option::is_none) {
                return Err(Refusal::NotFound);
            }
            let new = Some(id) != beside;
            Ok(vec![Draft { kind, id, scope, new, set, number_year: None }])
        };
        let recording = Recording::of(beside.into_iter().collect(), by, seat.desk.when(), Box::new(plan));
        expected(seat.desk.ledger().record(recording).await).map(|_| ())
    }
}

/// What somebody writes: found in raw files, and never the beginning of what another one writes.
fn text_of(word: &str) -> String {
    format!("says-{word}.")
}

/// A refusal is an answer, and a disk may fail; nothing else may.
fn expected<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => Some(answer),
        Err(Error::Refused(_) | Error::Full | Error::Unavailable(_)) => None,
        Err(error) => panic!("the desk failed: {error}"),
    }
}

fn done<T>(result: Result<T, Error>, what: &'static str) -> Option<&'static str> {
    expected(result).map(|_| what)
}
