//! `PROTOCOL.md` lists every field with its limits; here the rules themselves say what it must list.

use super::super::{ACCOUNT, COMMENT, ERASURE, INCIDENT, PHOTO, SETTINGS, SETTLEMENT, STEP, STORE, parts};
use super::{Part, Rule};

fn words(rule: &Rule) -> String {
    match rule {
        Rule::Text(most) => format!("text ≤ {most}"),
        Rule::Filled(most) => format!("text ≤ {most}, not blank"),
        Rule::OneOf(words) => format!("one of {}", words.join(", ")),
        Rule::SomeOf(words) => format!("list, at least one, each once, of {}", words.join(", ")),
        Rule::Texts(count, most) => format!("list of ≤ {count} texts ≤ {most}, none blank"),
        Rule::Whole(least, most) => format!("whole number {least} … {most}"),
        Rule::Flag => "true or false".to_owned(),
        Rule::Time => "time".to_owned(),
        Rule::Id => "id".to_owned(),
        Rule::Digest => "SHA-256, hexadecimal".to_owned(),
        Rule::Blake3 => "BLAKE3, hexadecimal".to_owned(),
        Rule::Username => "username".to_owned(),
        Rule::StoreCode => "store code".to_owned(),
        Rule::Currency => "currency".to_owned(),
        Rule::Scalar(most) => format!("text ≤ {most}, number, or true or false"),
        Rule::Object(_) => "object, see below".to_owned(),
        Rule::Deletion => "deletion".to_owned(),
        Rule::ChangeId => "change id".to_owned(),
        Rule::Any => "any, judged where it is applied".to_owned(),
        Rule::ChangeIds(most) => format!("list of ≤ {most} change ids"),
    }
}

fn rows(of: &str, fields: &[(&str, Part)], out: &mut Vec<String>) {
    for (name, part) in fields {
        let required = if part.required { " **required**" } else { "" };
        out.push(format!("| {of} | `{name}` | {}{required} |", words(&part.rule)));
    }
    for (name, part) in fields {
        if let Rule::Object(members) = part.rule {
            rows(&format!("{of} {name}").replace("/*", ""), members, out);
        }
    }
}

#[test]
fn the_protocol_document_lists_every_field_as_it_is_checked() {
    let mut wanted = Vec::new();
    for kind in [INCIDENT, COMMENT, PHOTO, STEP, SETTLEMENT, STORE, ACCOUNT, ERASURE, SETTINGS] {
        rows(kind, parts(kind), &mut wanted);
    }
    let document = include_str!("../../../PROTOCOL.md");
    let listed: Vec<&str> = document.lines().filter(|line| wanted.iter().any(|row| row == line)).collect();
    let missing: Vec<&String> = wanted.iter().filter(|row| !listed.contains(&row.as_str())).collect();
    assert!(missing.is_empty(), "PROTOCOL.md lacks these rows:\n{}", wanted.join("\n"));
}
