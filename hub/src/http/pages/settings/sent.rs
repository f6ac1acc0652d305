//! Forms of the page of settings as merge patches. Pure.

use desk::incidents::body::Body;
use desk::search::fold;
use desk::settings::catalogue::{SINGLE, Shape};
use desk::settings::put;
use pages::http::form::Form;
use serde_json::{Map, Value, json};

/// Longest key that is made of a name, in characters.
const MAX_KEY: usize = 40;

/// A patch of one member of a group.
pub(super) fn nested(group: &str, member: &str, value: Value) -> Body {
    let inner = Map::from_iter([(member.to_owned(), value)]);
    Map::from_iter([(group.to_owned(), Value::Object(inner))])
}

/// The values that a node has one of; one that is left empty is taken away.
pub(super) fn values(form: &Form) -> Body {
    let mut patch = Body::new();
    for (field, shape) in SINGLE {
        let name = field.replace('/', ".");
        if !form.has(&name) {
            continue;
        }
        let text = form.one(&name).trim();
        let value = match shape {
            _ if text.is_empty() => Value::Null,
            // What is no number is refused as what it is.
            Shape::Whole(..) => text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
            Shape::Originals if text == "window" => {
                Value::from(format!("{}-{}", form.one("photos.from").trim(), form.one("photos.to").trim()))
            }
            Shape::LogLevel | Shape::Originals => Value::from(text),
        };
        put(&mut patch, &name, value);
    }
    patch
}

/// What becomes of an element whose form says only what is to be done with it; `None` where it says more.
fn done(form: &Form, stands: Option<&Value>) -> Option<Value> {
    let retired = match form.one("do") {
        "remove" => return Some(Value::Null),
        "retire" => true,
        "offer" => false,
        _ => return None,
    };
    // Whole, for a store may have taken it from the company.
    let mut element = stands.and_then(Value::as_object).cloned().unwrap_or_default();
    element.insert("retired".to_owned(), Value::from(retired));
    Some(Value::Object(element))
}

/// A category as its form says it.
pub(super) fn category(form: &Form, stands: Option<&Value>) -> Value {
    done(form, stands)
        .unwrap_or_else(|| json!({"label": form.one("label").trim(), "category": form.one("category").trim()}))
}

/// A field as its form says it. Choices stand on lines of their own.
pub(super) fn field(form: &Form, stands: Option<&Value>) -> Value {
    if let Some(done) = done(form, stands) {
        return done;
    }
    let mut element = stands.and_then(Value::as_object).cloned().unwrap_or_default();
    element.insert("label".to_owned(), Value::from(form.one("label").trim()));
    if form.has("type") {
        element.insert("type".to_owned(), Value::from(form.one("type")));
    }
    let choices: Vec<&str> = form.one("choices").lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_choice = element.get("type").and_then(Value::as_str) == Some("choice");
    if is_choice || !choices.is_empty() {
        element.insert("choices".to_owned(), json!(choices));
    }
    element.insert("required".to_owned(), Value::from(form.one("required") == "true"));
    Value::Object(element)
}

/// A key made of a name, that is not taken.
pub(super) fn key_for(label: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut key = String::new();
    for c in fold(label).chars() {
        match c {
            'a'..='z' | '0'..='9' => key.push(c),
            _ if key.ends_with('_') || key.is_empty() => {}
            _ => key.push('_'),
        }
    }
    let key: String = key.trim_end_matches('_').chars().take(MAX_KEY).collect();
    let key = if key.is_empty() { "own".to_owned() } else { key };
    let numbered = (2..).map(|number| format!("{key}_{number}"));
    std::iter::once(key.clone()).chain(numbered).find(|key| !is_taken(key)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_form_says_what_every_setting_becomes_and_what_is_left_empty_is_taken_away() {
        let sent = form(&[
            ("log_level", "debug"),
            ("photos.originals", "window"),
            ("photos.from", "22:00"),
            ("photos.to", "06:00"),
            ("photos.max_kbit_s", ""),
            ("drafts.keep_days", "seven"),
        ]);
        let wanted = json!({
            "log_level": "debug", "photos": {"originals": "22:00-06:00", "max_kbit_s": null}, "drafts": {"keep_days": "seven"},
        });
        assert_eq!(Value::Object(values(&sent)), wanted);
    }

    #[test]
    fn an_element_is_made_changed_retired_or_removed() {
        let new = form(&[("label", " Gift card "), ("category", "fraud")]);
        let made = category(&new, None);
        assert_eq!(made, json!({"label": "Gift card", "category": "fraud"}));
        let retired = category(&form(&[("key", "gift"), ("do", "retire")]), Some(&made));
        assert_eq!(retired, json!({"label": "Gift card", "category": "fraud", "retired": true}));
        assert_eq!(category(&form(&[("do", "remove")]), Some(&made)), Value::Null);
        let shift =
            form(&[("label", "Shift"), ("type", "choice"), ("choices", "early\n late\n\n"), ("required", "true")]);
        let made = field(&shift, None);
        assert_eq!(made, json!({"label": "Shift", "type": "choice", "choices": ["early", "late"], "required": true}));
        let renamed = field(&form(&[("label", "Shift of"), ("choices", "early\nlate\nnight")]), Some(&made));
        assert_eq!(
            renamed,
            json!({"label": "Shift of", "type": "choice", "choices": ["early", "late", "night"], "required": false})
        );
    }

    #[test]
    fn a_key_is_made_of_a_name_and_none_is_given_twice() {
        let free = |_: &str| false;
        assert_eq!(key_for("Gift card", free), "gift_card");
        assert_eq!(key_for("  Año — 2026! ", free), "ano_2026");
        assert_eq!(key_for("日本", free), "own");
        assert_eq!(key_for("Gift card", |key| key == "gift_card"), "gift_card_2");
        assert!(key_for(&"x".repeat(200), free).len() <= MAX_KEY);
    }
}
