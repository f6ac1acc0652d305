//! The words that fields are chosen from, in the order in which a form offers them.

/// What an incident is, by its `category`.
pub const CATEGORIES: &[&str] = &[
    "theft",
    "fraud",
    "robbery",
    "burglary",
    "assault",
    "threat",
    "trespass",
    "vandalism",
    "weapon",
    "suspicious_activity",
    "employee_misconduct",
    "customer_complaint",
    "customer_injury",
    "employee_injury",
    "property_damage",
    "hazard",
    "near_miss",
    "emergency",
    "other",
];

/// Where an incident is in its workflow; [`super::step_allowed`] says what follows what.
pub const STATUSES: &[&str] = &["draft", "submitted", "in_review", "needs_info", "closed", "void"];

/// Where in or about the store it happened.
pub const ZONES: &[&str] = &[
    "entrance",
    "sales_floor",
    "aisle",
    "fitting_room",
    "checkout",
    "self_checkout",
    "service_desk",
    "restroom",
    "stockroom",
    "receiving",
    "office",
    "parking",
    "sidewalk",
    "off_site",
    "online",
];

/// How well `occurred_at` is known. A range ends at `occurred_to`.
pub const PRECISIONS: &[&str] = &["exact", "approximate", "range", "unknown"];

/// What a person was to an incident; one person may have several.
pub const PERSON_ROLES: &[&str] = &[
    "suspect",
    "victim",
    "witness",
    "customer",
    "employee",
    "manager_on_duty",
    "first_aider",
    "police",
    "other",
];

/// How an injury was treated.
pub const TREATMENTS: &[&str] = &["none", "first_aid", "medical", "emergency_room", "in_patient"];

/// What became of a piece of property.
pub const ITEM_OUTCOMES: &[&str] = &["stolen", "damaged", "recovered", "attempted"];

/// What an account may do, from least to most.
pub const ACCOUNT_ROLES: &[&str] = &["employee", "manager", "hq", "admin"];

/// A remark, or a fact that came to light after the report was submitted.
pub const COMMENT_KINDS: &[&str] = &["comment", "addendum"];

/// The NIBRS offence codes that a category can be reported under; none where NIBRS has no such offence.
#[must_use]
pub fn nibrs(category: &str) -> &'static [&'static str] {
    match category {
        "theft" => &["23C", "23F", "23H"],
        "robbery" => &["120"],
        "burglary" => &["220"],
        "fraud" => &["26A"],
        "assault" => &["13A", "13B"],
        "threat" => &["13C"],
        "weapon" => &["520"],
        "vandalism" => &["290"],
        "trespass" => &["90J"],
        _ => &[],
    }
}

/// What stands after a person decided between edits that met: what stood, a value that was lost, or another one.
pub const KEPT: &[&str] = &["standing", "lost", "value"];

/// What a person decides about a change in quarantine.
pub const DECISIONS: &[&str] = &["discard", "edit"];
