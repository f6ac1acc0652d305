//! Reports made for the tests. The pictures were drawn for them.

use desk::ledger::HistoryItem;
use desk::reports::{Photo, PhotoState, Report, Store};
use serde_json::{Value, json};

pub const LANDSCAPE: &[u8] = include_bytes!("landscape.jpg");
/// Progressive.
pub const PORTRAIT: &[u8] = include_bytes!("portrait.jpg");
pub const GREY: &[u8] = include_bytes!("grey.jpg");
pub const CMYK: &[u8] = include_bytes!("cmyk.jpg");

/// An incident of which only the description was given.
pub fn minimal() -> Report {
    Report {
        company: "Cedar & Sons".to_owned(),
        store: Store {
            code: "042".to_owned(),
            name: "Downtown".to_owned(),
            timezone: "America/Chicago".to_owned(),
        },
        incident: json!({
            "id": "0198b4c0-0000-7000-8000-000000000001",
            "store_code": "042",
            "reference": "042-2026-000017-K7",
            "occurred_at": "2026-11-22T20:03:00Z",
            "occurred_to": null,
            "occurred_precision": "exact",
            "recorded_at": "2026-11-22T20:10:42Z",
            "received_at": null,
            "reported_by": "kim",
            "reported_by_name": "Kim O'Hara",
            "category": "other",
            "subcategory": null,
            "tags": [],
            "severity": 3,
            "status": "submitted",
            "title": "Somebody left a trolley in the fire exit",
            "description": "Somebody left a trolley in the fire exit",
            "zone": null,
            "location": null,
            "people": [],
            "items": [],
            "loss": { "amount_minor": null, "recovered_minor": null, "currency": null },
            "police": { "agency": null, "officer": null, "report_number": null },
            "ambulance": false,
            "cctv": { "camera": null, "clip": null },
            "assigned_to": null,
            "due_at": null,
            "duplicate_of": null,
            "custom": {},
            "deleted": false,
            "version": "0123456789abcdef0123456789abcdef",
            "photos": [],
            "comments": [],
        }),
        history: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        photos: Vec::new(),
        chain: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        printed_at_ms: 1_795_435_200_000,
        url: "https://node.example/incidents/0198b4c0-0000-7000-8000-000000000001".to_owned(),
    }
}

/// What a reader must find in [`full`].
pub const FULL_WORDS: &[&str] = &[
    "Kunde stürzte, während Ware entwendet wurde",
    "Customer injury · Slip and fall",
    "Severity 5 of 5: Critical",
    "Occurred from",
    "Sales floor",
    "Between aisle 4 and the freezers",
    "Kim O'Hara (kim)",
    "Received at headquarters",
    "Assigned to morgan",
    "wet floor, repeat offender",
    "1. Nguyễn Thị Hồng Ánh – Victim, Customer",
    "2. Name not known – Suspect",
    "In-patient (hospital stay)",
    "Manager on duty",
    "Days away from work 12",
    "Left wrist",
    "Grey Kia, plate ends in 77",
    "I saw the bottle fall",
    "Extra virgin olive oil, 1 l",
    "EUR 19.98",
    "Recovered as reported EUR 4.50",
    "Loss as reported EUR 1,249.80",
    "Springfield PD",
    "26-11-4471",
    "Ambulance Yes",
    "CAM-07",
    "Register no 4",
    "Workflow",
    "Needs information",
    "Please add the witness's phone number",
    "morgan (headquarters)",
    "Addendum by kim",
    "The bottle was found under the shelf",
    "Photo 1: The shelf after the fall",
    "Taken 22 Nov 2026, 14:05 UTC-06:00",
    "Changes since it was recorded",
    "Severity 3 of 5: Moderate 5 of 5: Critical",
    "did not stand",
    "About this report",
    "kept as evidence",
];

/// An incident of which everything is known.
pub fn full() -> Report {
    let mut report = minimal();
    let filled = json!({
        "occurred_to": "2026-11-22T20:20:00Z",
        "occurred_precision": "range",
        "received_at": "2026-11-22T20:11:03Z",
        "category": "customer_injury",
        "subcategory": "Slip and fall",
        "tags": ["wet floor", "repeat offender"],
        "severity": 5,
        "status": "in_review",
        "title": "Kunde stürzte, während Ware entwendet wurde",
        "description": DESCRIPTION,
        "zone": "sales_floor",
        "location": "Between aisle 4 and the freezers",
        "people": [
            {
                "id": "1",
                "name": "Nguyễn Thị Hồng Ánh",
                "roles": ["victim", "customer"],
                "contact": "+1 312 555 0142, anh.nguyen@example.com",
                "description": "Woman, about 60, blue rain coat",
                "statement": "I saw the bottle fall and stepped aside, and then my foot slid away on the oil. I put out my hand.\nA young man came at once and told me not to move.",
                "injury": {
                    "body_part": "Left wrist",
                    "nature": "Fracture",
                    "object": "Floor, olive oil",
                    "activity": "Walking",
                    "treatment": "in_patient",
                    "days_away": 12,
                    "days_restricted": 20,
                },
            },
            { "id": "2", "roles": ["suspect"], "description": "Man, 20 to 30, red cap, black back pack", "vehicle": "Grey Kia, plate ends in 77" },
            { "id": "3", "name": "Jarosław Święcki", "roles": ["manager_on_duty", "first_aider"] },
            { "id": "4", "name": "李明", "roles": ["witness"], "contact": "Ящик 12, Київ" },
        ],
        "items": [
            { "id": "1", "description": "Extra virgin olive oil, 1 l", "sku": "00420", "quantity": 2, "value_minor": 1998, "outcome": "damaged" },
            { "id": "2", "description": "Single malt whisky, 12 years, gift box", "sku": "88171-G", "quantity": 14, "value_minor": 122_982, "outcome": "stolen" },
            { "id": "3", "description": "Lip balm", "quantity": 1, "value_minor": 450, "outcome": "recovered" },
        ],
        "loss": { "amount_minor": 124_980, "recovered_minor": 450, "currency": "EUR" },
        "police": { "agency": "Springfield PD", "officer": "Sgt. D. Reyes", "report_number": "26-11-4471" },
        "ambulance": true,
        "cctv": { "camera": "CAM-07", "clip": "2026-11-22 14:00-14:30" },
        "assigned_to": "morgan",
        "due_at": "2026-11-25T23:00:00Z",
        "custom": { "register_no": 4, "floor_dry": false, "insurer_reference": "HX-99/2026" },
        "comments": [
            { "id": "1", "kind": "comment", "author": "morgan", "created_at": "2026-11-22T21:00:00Z", "body": "Called the customer's daughter. Surgery tomorrow at 9." },
            { "id": "2", "kind": "addendum", "author": "kim", "created_at": "2026-11-23T15:30:00Z", "body": "The bottle was found under the shelf, its cap had been opened.\n\nThe seal is kept in the office safe." },
        ],
    });
    for (name, value) in filled.as_object().unwrap() {
        report.incident[name] = value.clone();
    }
    report.history = history("Please add the witness's phone number");
    report.photos =
        vec![photo("IMG_2041.jpg", LANDSCAPE), photo("IMG_2042.jpg", PORTRAIT), photo("cam07-still.jpg", GREY)];
    report.photos[0].caption = Some("The shelf after the fall, seen from the freezers".to_owned());
    report.photos[0].taken_at = Some("2026-11-22T20:05:00Z".to_owned());
    let mut broken = photo("clip-1400.h264", &[]);
    broken.state = PhotoState::Undecodable;
    report.photos.push(broken);
    report
}

const DESCRIPTION: &str = "At about two in the afternoon a man with a red cap took fourteen boxes of whisky from the shelf at the \
    end of aisle 4 and put them into a back pack. When Jarosław spoke to him he ran towards the freezers and pushed over a stack of \
    olive oil. Two bottles broke.\n\nA customer, Nguyễn Thị Hồng Ánh, slipped on the oil and fell on her left hand. Jarosław gave \
    first aid and called an ambulance at 14:09; it came at 14:21. The man left by the main entrance. The floor was closed off until \
    it was dry, at 15:10.";

/// A file of an incident; its hash is made from its name, so that each has its own.
pub fn photo(filename: &str, jpeg: &[u8]) -> Photo {
    Photo {
        jpeg: jpeg.into(),
        width: 320,
        height: 240,
        caption: None,
        taken_at: None,
        uploaded_at: "2026-11-22T20:12:30Z".to_owned(),
        sha256: blake3::hash(filename.as_bytes()).to_hex().to_string(),
        filename: filename.to_owned(),
        state: PhotoState::Ready,
    }
}

/// Steps and edits; the words stand wherever there are words.
pub fn history(words: &str) -> Vec<HistoryItem> {
    let item =
        |at: &str, actor: &str, site: &str, kind: &str, field: Option<&str>, from: Value, to: Value| HistoryItem {
            at: at.to_owned(),
            actor: actor.to_owned(),
            site: site.to_owned(),
            kind: kind.to_owned(),
            field: field.map(ToOwned::to_owned),
            from,
            to,
            clock_off: false,
            lost: false,
            reason: None,
            erased: None,
            id: None,
        };
    let step =
        |at: &str, from: &str, to: &str| item(at, "morgan", "hub", "step", Some("status"), from.into(), to.into());
    let mut asked = step("2026-11-22T21:02:00Z", "submitted", "needs_info");
    asked.reason = Some(words.to_owned());
    let mut lost = item("2026-11-22T21:03:00Z", "kim", "042", "edited", Some("location"), Value::Null, words.into());
    lost.lost = true;
    vec![
        item("2026-11-22T20:10:42Z", "kim", "042", "created", None, Value::Null, Value::Null),
        item("2026-11-22T20:40:00Z", "kim", "042", "edited", Some("severity"), json!(3), json!(5)),
        item(
            "2026-11-22T20:41:00Z",
            "kim",
            "042",
            "edited",
            Some("loss/amount_minor"),
            Value::Null,
            json!(124_980),
        ),
        asked,
        lost,
        item(
            "2026-11-22T21:10:00Z",
            "kim",
            "042",
            "edited",
            Some("people/1"),
            Value::Null,
            json!({ "name": words, "roles": ["victim"] }),
        ),
        item("2026-11-22T21:10:30Z", "kim", "042", "comment", None, Value::Null, words.into()),
        step("2026-11-22T21:20:00Z", "needs_info", "submitted"),
        step("2026-11-23T14:00:00Z", "submitted", "in_review"),
    ]
}
