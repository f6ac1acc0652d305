//! What a list may be asked for: filters, limit, cursor, from a query's pairs.

use crate::error::Refusal;
use crate::ledger::Filter;
use chassis::clock::parse_rfc3339;
use chassis::secret::{from_base64url, to_base64url};
use sync_protocol::record::vocabulary::{CATEGORIES, STATUSES};
use sync_protocol::record::{self, FieldError, INCIDENT};
use uuid::Uuid;

/// Items of a page where the request does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most items of a page.
pub const MAX_LIMIT: u32 = 200;
/// Most values of one filter.
pub const MAX_VALUES: usize = 50;
/// Most ids.
pub const MAX_IDS: usize = 200;
/// Most fields of the company's own in one question.
const MAX_CUSTOM: usize = 10;
/// Longest value of one filter, in characters.
pub const MAX_VALUE: usize = 200;

/// A list as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Which incidents.
    pub filter: Filter,
    /// At most how many, 1 to 200.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Reads a list's query.
///
/// # Errors
/// [`Refusal::Invalid`] that names every parameter that is unknown or cannot be taken.
pub fn list(pairs: &[(String, String)]) -> Result<ListQuery, Refusal> {
    let mut query = ListQuery { filter: Filter::default(), limit: DEFAULT_LIMIT, cursor: None };
    let mut limit = None;
    query.filter = read(pairs, |name, value| {
        match name {
            "limit" => once(&mut limit, whole(value, 1, MAX_LIMIT)?)?,
            "cursor" => once(&mut query.cursor, value.to_owned())?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    query.limit = limit.unwrap_or(DEFAULT_LIMIT);
    Ok(query)
}

/// Reads filters alone.
///
/// # Errors
/// As [`list`].
pub fn filter(pairs: &[(String, String)]) -> Result<Filter, Refusal> {
    read(pairs, |_, _| Ok(false))
}

/// Reads filters; `more` takes the parameters that are none, or answers `false` for what it does not know.
///
/// # Errors
/// As [`list`].
pub fn read(
    pairs: &[(String, String)],
    mut more: impl FnMut(&str, &str) -> Result<bool, String>,
) -> Result<Filter, Refusal> {
    let mut filter = Filter::default();
    let mut errors: Vec<FieldError> = Vec::new();
    let mut deleted = None;
    for (name, value) in pairs {
        let taken = if value.chars().count() > MAX_VALUE {
            Err(format!("must be at most {MAX_VALUE} characters"))
        } else {
            match one(&mut filter, &mut deleted, name, value) {
                Ok(true) => Ok(()),
                Ok(false) => more(name, value)
                    .and_then(|known| if known { Ok(()) } else { Err("there is no such parameter".to_owned()) }),
                Err(message) => Err(message),
            }
        };
        if let Err(message) = taken
            && !errors.iter().any(|error| error.field == *name)
        {
            errors.push(FieldError { field: name.clone(), message });
        }
    }
    filter.deleted = deleted.unwrap_or(false);
    // An empty search box asks for nothing in particular.
    filter.q = filter.q.filter(|q| !q.trim().is_empty());
    if errors.is_empty() { Ok(filter) } else { Err(Refusal::Invalid(errors)) }
}

/// Takes one filter; `false` where it is none.
fn one(filter: &mut Filter, deleted: &mut Option<bool>, name: &str, value: &str) -> Result<bool, String> {
    match name {
        "id" => named(&mut filter.id, value)?,
        "store" => either(&mut filter.store, value)?,
        "status" => either(&mut filter.status, word(value, STATUSES)?)?,
        "category" => either(&mut filter.category, word(value, CATEGORIES)?)?,
        "tag" => either(&mut filter.tag, value)?,
        "subcategory" => either(filter.own.entry(name.to_owned()).or_default(), filled(value)?)?,
        custom if custom.starts_with("custom.") => {
            let field = custom.replacen('.', "/", 1);
            if !record::knows(INCIDENT, &field) {
                return Ok(false);
            }
            if filter.own.len() >= MAX_CUSTOM && !filter.own.contains_key(&field) {
                return Err("too many fields are asked for".to_owned());
            }
            either(filter.own.entry(field).or_default(), filled(value)?)?;
        }
        "reported_by" => either(&mut filter.reported_by, &value.to_lowercase())?,
        "person" => either(&mut filter.person, filled(value)?)?,
        // Either of two least severities is the lesser one, of two greatest ones the greater one.
        "severity_min" => filter.severity_min = Some(whole(value, 1, 5)? as u8).min(filter.severity_min.or(Some(5))),
        "severity_max" => filter.severity_max = Some(whole(value, 1, 5)? as u8).max(filter.severity_max),
        "from" => once(&mut filter.from_ms, time(value)?)?,
        "to" => once(&mut filter.to_ms, time(value)?)?,
        "q" => once(&mut filter.q, value.to_owned())?,
        "deleted" => once(deleted, flag(value)?)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn either(values: &mut Vec<String>, value: &str) -> Result<(), String> {
    if values.len() >= MAX_VALUES {
        return Err(format!("can be given at most {MAX_VALUES} times"));
    }
    values.push(value.to_owned());
    Ok(())
}

fn named(ids: &mut Vec<Uuid>, value: &str) -> Result<(), String> {
    if ids.len() >= MAX_IDS {
        return Err(format!("can be given at most {MAX_IDS} times"));
    }
    ids.push(Uuid::try_parse(value).map_err(|_| "must be a UUID".to_owned())?);
    Ok(())
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() {
        Err("can be given once only".to_owned())
    } else {
        Ok(())
    }
}

fn word<'a>(value: &'a str, words: &[&str]) -> Result<&'a str, String> {
    if words.contains(&value) {
        Ok(value)
    } else {
        Err(format!("must be one of {}", words.join(", ")))
    }
}

fn filled(value: &str) -> Result<&str, String> {
    if value.trim().is_empty() {
        Err("must not be blank".to_owned())
    } else {
        Ok(value)
    }
}

/// A whole number from `least` to `most`, in digits.
///
/// # Errors
/// What is wrong, in words.
pub fn whole(value: &str, least: u32, most: u32) -> Result<u32, String> {
    let digits = (1..=9).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    match value.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {least} to {most}")),
    }
}

fn flag(value: &str) -> Result<bool, String> {
    value.parse().map_err(|_| "must be true or false".to_owned())
}

fn time(value: &str) -> Result<i64, String> {
    // The plus of an offset is a space in a query that was not encoded.
    parse_rfc3339(&value.replace(' ', "+")).ok_or_else(|| {
        "must be an RFC 3339 time with an offset, such as 2026-01-02T03:04:05Z, between the years 1900 and 2199"
            .to_owned()
    })
}

// ---- cursor ---------------------------------------------------------------------------------------------------

const CURSOR_VERSION: u8 = 1;
const CURSOR_BYTES: usize = 1 + 8 + 16 + 8;

/// The position after `(occurred_at_ms, id)` in the list that `filter` makes, opaque to clients.
#[must_use]
pub fn cursor((occurred_at_ms, id): (i64, Uuid), filter: &Filter) -> String {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES);
    bytes.push(CURSOR_VERSION);
    bytes.extend_from_slice(&occurred_at_ms.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    bytes.extend_from_slice(&digest(filter));
    to_base64url(&bytes)
}

/// The position that a cursor of the same filter stands for.
///
/// # Errors
/// [`Refusal::Invalid`] where it is none, or one of another filter.
pub fn open_cursor(text: &str, filter: &Filter) -> Result<(i64, Uuid), Refusal> {
    let wrong = || Refusal::field("cursor", "is not a cursor of this list: begin again without one");
    let bytes: [u8; CURSOR_BYTES] = from_base64url(text).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
    let [version, rest @ ..] = bytes;
    let (ms, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    let (id, seal) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
    if version != CURSOR_VERSION || seal != digest(filter) {
        return Err(wrong());
    }
    Ok((i64::from_be_bytes(*ms), Uuid::from_bytes(*id)))
}

/// Tells filters apart; the order of values makes no difference, nor does saying one twice.
fn digest(filter: &Filter) -> [u8; 8] {
    let Filter {
        sight,
        id,
        store,
        status,
        category,
        tag,
        severity_min,
        severity_max,
        reported_by,
        person,
        from_ms,
        to_ms,
        q,
        deleted,
        own,
    } = filter;
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for values in [store, status, category, tag, reported_by, person] {
        let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
        values.sort_unstable();
        values.dedup();
        part(&(values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| part(value.as_bytes()));
    }
    for (name, values) in own {
        part(name.as_bytes());
        let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
        values.sort_unstable();
        values.dedup();
        part(&(values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| part(value.as_bytes()));
    }
    let mut ids = id.clone();
    ids.sort_unstable();
    ids.dedup();
    part(&(ids.len() as u64).to_le_bytes());
    ids.iter().for_each(|id| part(id.as_bytes()));
    for text in [sight, q] {
        part(&[u8::from(text.is_some())]);
        part(text.as_deref().unwrap_or_default().as_bytes());
    }
    for ms in [from_ms, to_ms] {
        part(&[u8::from(ms.is_some())]);
        part(&ms.unwrap_or_default().to_le_bytes());
    }
    part(&[severity_min.unwrap_or(0), severity_max.unwrap_or(0), u8::from(*deleted)]);
    let mut seal = [0; 8];
    hasher.finalize_xof().fill(&mut seal);
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn complaints(query: &[(&str, &str)]) -> Vec<String> {
        match list(&pairs(query)) {
            Err(Refusal::Invalid(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repeated_key_means_either() {
        let query = list(&pairs(&[
            ("store", "042"),
            ("store", "007"),
            ("store", "042"),
            ("severity_min", "4"),
            ("severity_min", "2"),
        ]))
        .unwrap();
        assert_eq!(query.filter.store, ["042", "007", "042"]);
        assert_eq!(query.filter.severity_min, Some(2));
        assert_eq!(query.limit, DEFAULT_LIMIT);
        assert!(!query.filter.deleted);
    }

    #[test]
    fn every_parameter_that_cannot_be_taken_is_named() {
        assert_eq!(
            complaints(&[("limit", "0"), ("colour", "red"), ("severity_min", "6")]),
            ["limit", "colour", "severity_min"]
        );
        for bad in ["201", "-1", "+5", "5.0", "", "five"] {
            assert_eq!(complaints(&[("limit", bad)]), ["limit"], "{bad}");
        }
        assert_eq!(complaints(&[("status", "open")]), ["status"]);
        assert_eq!(complaints(&[("from", "2026-01-02")]), ["from"]);
        assert_eq!(complaints(&[("deleted", "1")]), ["deleted"]);
        assert_eq!(complaints(&[("q", "a"), ("q", "b")]), ["q"]);
        assert_eq!(complaints(&[("q", &"x".repeat(201))]), ["q"]);
    }

    #[test]
    fn times_are_taken_with_any_offset_even_one_that_was_not_encoded() {
        let query = list(&pairs(&[("from", "2026-01-02T05:04:05 02:00"), ("to", "2026-01-02T03:04:05Z")])).unwrap();
        assert_eq!(query.filter.from_ms, query.filter.to_ms);
    }

    #[test]
    fn a_cursor_comes_back_and_fits_its_own_filter_only() {
        let here = Filter { store: vec!["042".to_owned(), "007".to_owned()], ..Filter::default() };
        let same = Filter {
            store: vec!["007".to_owned(), "042".to_owned(), "007".to_owned()],
            ..Filter::default()
        };
        let at = (-5, Uuid::from_u128(7));
        let text = cursor(at, &here);
        assert_eq!(open_cursor(&text, &same), Ok(at));
        let others = [
            Filter::default(),
            Filter { sight: Some(String::new()), ..here.clone() },
            Filter { from_ms: Some(0), ..here.clone() },
            Filter { to_ms: Some(0), ..here.clone() },
            Filter { q: Some("x".to_owned()), ..here.clone() },
            Filter { deleted: true, ..here.clone() },
            Filter { severity_max: Some(4), ..here.clone() },
            Filter { id: vec![Uuid::from_u128(1)], ..here.clone() },
            Filter { status: here.store.clone(), store: vec![], ..Filter::default() },
        ];
        for other in &others {
            assert!(open_cursor(&text, other).is_err(), "{other:?}");
        }
        for bad in ["", "x", "AAAA", &text[1..], &format!("{text}A"), &text.replace('A', "B")] {
            assert!(open_cursor(bad, &here).is_err(), "{bad}");
        }
    }
}
