//! Whether two sites hold the same: incident by incident, field by field.

use serde_json::Value;
use std::collections::BTreeMap;

/// What two sites may rightly show differently: when the hub received it is known at a node only after the answer,
/// and pictures have addresses of their own at each site.
const OWN: [&str; 2] = ["received_at", "thumbnail_url"];

/// Where `left` and `right` differ, as `path: left | right`; empty when they hold the same.
#[must_use]
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", left, right, &mut found);
    found
}

fn walk(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let mut names: Vec<&String> = l.keys().chain(r.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                if OWN.contains(&name.as_str()) {
                    continue;
                }
                match (l.get(name), r.get(name)) {
                    (Some(left), Some(right)) => walk(&format!("{path}/{name}"), left, right, found),
                    (left, right) => found.push(format!("{path}/{name}: {left:?} | {right:?}")),
                }
            }
        }
        (Value::Array(l), Value::Array(r)) if l.len() == r.len() => {
            for (n, (left, right)) in l.iter().zip(r).enumerate() {
                walk(&format!("{path}/{n}"), left, right, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {left} | {right}")),
    }
}

/// The incidents by id.
///
/// # Panics
/// When one has no id or one id is there twice.
#[must_use]
pub fn by_id(items: Vec<Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for item in items {
        let id = item["id"].as_str().unwrap_or_else(|| panic!("no id: {item}")).to_owned();
        assert!(all.insert(id.clone(), item).is_none(), "{id} is there twice");
    }
    all
}

/// Whether everything that `sent` said stands in `shown`: members that `sent` does not name do not matter, `null`
/// in `sent` means nothing, and collections may have got ids.
#[must_use]
pub fn lacks(sent: &Value, shown: &Value) -> Vec<String> {
    let mut found = Vec::new();
    covers("", sent, shown, &mut found);
    found
}

fn covers(path: &str, sent: &Value, shown: &Value, found: &mut Vec<String>) {
    match (sent, shown) {
        (Value::Null, _) => {}
        (Value::Object(sent), Value::Object(shown)) => {
            for (name, value) in sent {
                covers(&format!("{path}/{name}"), value, shown.get(name).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(sent), Value::Array(shown)) if sent.len() == shown.len() => {
            for (n, (sent, shown)) in sent.iter().zip(shown).enumerate() {
                covers(&format!("{path}/{n}"), sent, shown, found);
            }
        }
        _ if sent == shown || same_moment(sent, shown) => {}
        _ => found.push(format!("{path}: sent {sent}, shown {shown}")),
    }
}

/// One moment may be written with an offset or in UTC.
fn same_moment(sent: &Value, shown: &Value) -> bool {
    let moment = |value: &Value| value.as_str().and_then(chassis::clock::parse_rfc3339);
    moment(sent).is_some() && moment(sent) == moment(shown)
}
