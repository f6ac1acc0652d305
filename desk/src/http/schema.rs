//! What bodies and parameters look like, for the OpenAPI document. The rules themselves are in
//! `sync_protocol::record`; a fuzzer that reads the document holds the two together.
#![allow(unused_qualifications, reason = "the derive writes paths of its own")]

mod params;
mod pieces;

pub use params::{ExportFormat, FilterParams, PageParams};
pub(super) use pieces::filled;

use crate::actor::{self, Actor, Role};
use pieces::{
    MAX_MINOR, category, currency, custom, first_status, outcome, precision, roles, status, tags, text, time,
    treatment, username, whole, zone,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

// ---- an incident's parts --------------------------------------------------------------------------------------

/// Somebody in an incident.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Lasting; made here where it is left out.
    pub id: Option<Uuid>,
    /// As far as known.
    #[schema(schema_with = text::<200>)]
    pub name: Option<String>,
    /// At least one where given.
    #[schema(schema_with = roles)]
    pub roles: Option<Vec<String>>,
    /// How to reach them.
    #[schema(schema_with = text::<500>)]
    pub contact: Option<String>,
    /// What they look like.
    #[schema(schema_with = text::<2000>)]
    pub description: Option<String>,
    /// Make, colour, plate.
    #[schema(schema_with = text::<500>)]
    pub vehicle: Option<String>,
    /// In their own words.
    #[schema(schema_with = text::<10_000>)]
    pub statement: Option<String>,
    /// Where somebody was hurt.
    pub injury: Option<Injury>,
}

/// An injury.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Injury {
    /// Where.
    #[schema(schema_with = text::<200>)]
    pub body_part: Option<String>,
    /// What.
    #[schema(schema_with = text::<200>)]
    pub nature: Option<String>,
    /// By what.
    #[schema(schema_with = text::<200>)]
    pub object: Option<String>,
    /// Doing what, before.
    #[schema(schema_with = text::<200>)]
    pub activity: Option<String>,
    /// By whom.
    #[schema(schema_with = treatment)]
    pub treatment: Option<String>,
    /// Days away from work.
    #[schema(schema_with = whole::<0, 10_000>)]
    pub days_away: Option<u64>,
    /// Days of restricted work.
    #[schema(schema_with = whole::<0, 10_000>)]
    pub days_restricted: Option<u64>,
    /// Where somebody died of it.
    #[schema(schema_with = time)]
    pub died_at: Option<String>,
}

/// A piece of property.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Lasting; made here where it is left out.
    pub id: Option<Uuid>,
    /// What it is.
    #[schema(schema_with = text::<500>)]
    pub description: Option<String>,
    /// Stock-keeping unit.
    #[schema(schema_with = text::<100>)]
    pub sku: Option<String>,
    /// How many.
    #[schema(schema_with = whole::<1, 1_000_000>)]
    pub quantity: Option<u64>,
    /// All of them, in minor units.
    #[schema(schema_with = whole::<0, MAX_MINOR>)]
    pub value_minor: Option<u64>,
    /// What became of it.
    #[schema(schema_with = outcome)]
    pub outcome: Option<String>,
}

/// Totals.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// In minor units.
    #[schema(schema_with = whole::<0, MAX_MINOR>)]
    pub amount_minor: Option<u64>,
    /// In minor units.
    #[schema(schema_with = whole::<0, MAX_MINOR>)]
    pub recovered_minor: Option<u64>,
    /// ISO 4217.
    #[schema(schema_with = currency)]
    pub currency: Option<String>,
}

/// The police, where they were called.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Police {
    /// Which.
    #[schema(schema_with = text::<200>)]
    pub agency: Option<String>,
    /// Who came.
    #[schema(schema_with = text::<200>)]
    pub officer: Option<String>,
    /// Their number.
    #[schema(schema_with = text::<200>)]
    pub report_number: Option<String>,
}

/// Where it was filmed.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cctv {
    /// By which camera.
    #[schema(schema_with = text::<200>)]
    pub camera: Option<String>,
    /// Which clip.
    #[schema(schema_with = text::<200>)]
    pub clip: Option<String>,
}

macro_rules! incident_request {
    ($(#[$about:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// When it happened, or began. Default: now.
            #[schema(schema_with = time)]
            pub occurred_at: Option<String>,
            /// When it ended.
            #[schema(schema_with = time)]
            pub occurred_to: Option<String>,
            /// How well that is known. Default: `exact`.
            #[schema(schema_with = precision)]
            pub occurred_precision: Option<String>,
            /// Default: `other`.
            #[schema(schema_with = category)]
            pub category: Option<String>,
            /// In the store's own words.
            #[schema(schema_with = text::<100>)]
            pub subcategory: Option<String>,
            /// Each once.
            #[schema(schema_with = tags)]
            pub tags: Option<Vec<String>>,
            /// 1 nuisance to 5 critical; a death, a weapon, a fire and the like force 5. Default: 3.
            #[schema(schema_with = whole::<1, 5>)]
            pub severity: Option<u8>,
            /// Made from the description where there is none.
            #[schema(schema_with = text::<200>)]
            pub title: Option<String>,
            /// Where in or about the store.
            #[schema(schema_with = zone)]
            pub zone: Option<String>,
            /// The same in words.
            #[schema(schema_with = text::<500>)]
            pub location: Option<String>,
            /// Everybody in it.
            #[schema(max_items = 50)]
            pub people: Option<Vec<Person>>,
            /// Property.
            #[schema(max_items = 200)]
            pub items: Option<Vec<Item>>,
            /// Totals.
            pub loss: Option<Loss>,
            /// The police, where they were called.
            pub police: Option<Police>,
            /// Whether an ambulance came.
            pub ambulance: Option<bool>,
            /// Where it was filmed.
            pub cctv: Option<Cctv>,
            /// Username of whoever follows it up; managers assign.
            #[schema(schema_with = username)]
            pub assigned_to: Option<String>,
            /// Until when.
            #[schema(schema_with = time)]
            pub due_at: Option<String>,
            /// An incident of the same store that this one repeats.
            pub duplicate_of: Option<Uuid>,
            /// A company's own fields.
            #[schema(schema_with = custom)]
            pub custom: Option<Value>,
        }
    };
}

incident_request! {
    /// An incident to be. `description` is all it needs.
    NewIncident {
        /// Made by the client, so that a repeat is recognised; best a UUID of version 7.
        pub id: Option<Uuid>,
        /// At headquarters: whose store. A store's people leave it out, or name their own.
        #[schema(pattern = "^[A-Za-z0-9_-]{1,16}$")]
        pub store_code: Option<String>,
        /// Default: `submitted`.
        #[schema(schema_with = first_status)]
        pub status: Option<String>,
        /// What happened.
        #[schema(schema_with = filled::<20_000>)]
        pub description: String,
    }
}

incident_request! {
    /// What an incident becomes.
    IncidentPatch {
        /// Moves it on in its workflow.
        #[schema(schema_with = status, required = false)]
        pub status: Option<String>,
        /// Why the status changes; required for `void`.
        #[schema(schema_with = text::<2000>)]
        pub reason: Option<String>,
        /// What happened.
        #[schema(schema_with = filled::<20_000>, required = false)]
        pub description: Option<String>,
    }
}

/// Why nothing of an incident can be erased.
#[derive(Serialize, ToSchema)]
pub struct Hold {
    /// Username.
    pub by: String,
    /// Since when.
    #[schema(format = "date-time")]
    pub at: String,
    /// Why.
    pub reason: String,
}

/// What one order erased.
#[derive(Serialize, ToSchema)]
pub struct ErasedFields {
    /// When it was ordered.
    #[schema(format = "date-time")]
    pub at: String,
    /// Username.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Such as `description`, or `people.ID`.
    pub fields: Vec<String>,
}

/// An incident, as a list shows it.
#[derive(Serialize, ToSchema)]
pub struct IncidentItem {
    /// The incident.
    pub id: Uuid,
    /// Its store.
    pub store_code: String,
    /// Store, year, running number, two characters from the id.
    #[schema(example = "042-2026-000017-K7")]
    pub reference: String,
    /// When it happened, or began.
    #[schema(format = "date-time")]
    pub occurred_at: String,
    /// When it ended.
    #[schema(schema_with = time, required = true)]
    pub occurred_to: Option<String>,
    /// How well that is known.
    #[schema(schema_with = precision)]
    pub occurred_precision: String,
    /// When it was recorded, by the clock of the site where it was.
    #[schema(format = "date-time")]
    pub recorded_at: String,
    /// When headquarters had it; `null` until a node hears so.
    #[schema(schema_with = time, required = true)]
    pub received_at: Option<String>,
    /// Username.
    pub reported_by: String,
    /// Name, where the account is known here.
    #[schema(required = true)]
    pub reported_by_name: Option<String>,
    /// What it is.
    #[schema(schema_with = category)]
    pub category: String,
    /// In the store's own words.
    #[schema(required = true)]
    pub subcategory: Option<String>,
    /// Each once.
    pub tags: Vec<String>,
    /// 1 nuisance to 5 critical.
    #[schema(minimum = 1, maximum = 5)]
    pub severity: u8,
    /// Where it is in its workflow.
    #[schema(schema_with = status)]
    pub status: String,
    /// Made from the description where none was given.
    pub title: String,
    /// What happened.
    pub description: String,
    /// Where in or about the store.
    #[schema(schema_with = zone, required = true)]
    pub zone: Option<String>,
    /// The same in words.
    #[schema(required = true)]
    pub location: Option<String>,
    /// Everybody in it.
    pub people: Vec<Person>,
    /// Property.
    pub items: Vec<Item>,
    /// Totals.
    pub loss: Loss,
    /// The police, where they were called.
    pub police: Police,
    /// Whether an ambulance came.
    #[schema(required = true)]
    pub ambulance: Option<bool>,
    /// Where it was filmed.
    pub cctv: Cctv,
    /// Username of whoever follows it up.
    #[schema(required = true)]
    pub assigned_to: Option<String>,
    /// Until when.
    #[schema(schema_with = time, required = true)]
    pub due_at: Option<String>,
    /// An incident of the same store that this one repeats.
    #[schema(required = true)]
    pub duplicate_of: Option<Uuid>,
    /// A company's own fields.
    #[schema(schema_with = custom)]
    pub custom: Value,
    /// Whether it is deleted: where `deleted=true` asked for those too.
    pub deleted: bool,
    /// Who holds it, so that nothing of it is erased.
    #[schema(required = true)]
    pub hold: Option<Hold>,
    /// What was erased of it, and by whose order; left out where nothing was.
    pub erased: Option<Vec<ErasedFields>>,
    /// A digest of the merged state, the same at every site that holds the same.
    pub version: String,
    /// How many photos.
    pub photo_count: u64,
    /// How many comments.
    pub comment_count: u64,
    /// A small picture, where there is one.
    #[schema(required = true)]
    pub thumbnail_url: Option<String>,
}

/// A whole incident.
#[derive(Serialize, ToSchema)]
pub struct Incident {
    /// What a list shows of it.
    #[serde(flatten)]
    pub item: IncidentItem,
    /// Photos, oldest first.
    pub photos: Vec<crate::ledger::Photo>,
    /// Comments, oldest first.
    pub comments: Vec<crate::ledger::Comment>,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct IncidentPage {
    /// Newest first.
    pub items: Vec<IncidentItem>,
    /// For the next page; `null` at the end.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

// ---- accounts and problems ------------------------------------------------------------------------------------

/// A person who logs in.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// The account.
    pub id: Uuid,
    /// Lower case, lasting.
    pub username: String,
    /// What people see.
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// Their store; `null` at headquarters.
    #[schema(required = true)]
    pub store_code: Option<String>,
}

/// Whoever is logged in.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// The account.
    pub user: User,
}

/// An account.
#[derive(Serialize, ToSchema)]
pub struct Account {
    /// Whose.
    #[serde(flatten)]
    pub user: User,
    /// Whether it may log in.
    pub active: bool,
}

impl From<Actor> for User {
    fn from(actor: Actor) -> Self {
        let Actor { id, username, display_name, role, store_code } = actor;
        Self { id, username, display_name, role, store_code }
    }
}

impl From<actor::Account> for User {
    fn from(account: actor::Account) -> Self {
        Actor::from(account).into()
    }
}

impl From<actor::Account> for Account {
    fn from(account: actor::Account) -> Self {
        let active = account.active;
        Self { user: account.into(), active }
    }
}

/// What went wrong (RFC 9457).
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// What a program looks at.
    #[schema(example = "urn:aincident:problem:invalid")]
    pub r#type: String,
    /// What kind of problem.
    pub title: String,
    /// The status, again.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong this time, and what to do about it.
    pub detail: String,
    /// For 422: what is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
    /// Where it is the program's fault: what to look for in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What is wrong with a field.
#[derive(Serialize, ToSchema)]
pub struct ProblemField {
    /// Where: `people[0].name`; empty for the whole.
    pub field: String,
    /// What, in words.
    pub message: String,
}
