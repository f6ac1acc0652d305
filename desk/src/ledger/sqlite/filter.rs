//! A list's filter as SQL that walks an index in the list's order.
//!
//! At a node one index is walked, the list's order with every filter's column in it. At a hub one filter *drives*: its
//! index gives the rows in order (newest first by time, then id), and the others are looked at row by row. Either way the
//! walk stops at the limit. Several values of the driving filter are one walk
//! each, merged by SQLite (`UNION ALL … ORDER BY` over sorted parts), so that no page is ever sorted. Only words and
//! names, which come from a text index in no order, are sorted.

use super::incidents::{COLUMNS, JOINS};
use crate::ledger::Filter;
use crate::search;
use chassis::sqlite::rusqlite::types::Value as Sql;
use uuid::Uuid;

/// Most walks merged into one page; a filter with more values than that is looked at row by row.
const MAX_WALKS: usize = 8;

/// From how many incidents on a word is common.
pub(super) const MANY: i64 = 1_000;

/// Which indexes the file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexes {
    /// A node's: the list's order, with every filter's column in it.
    Order,
    /// A hub's: one for each filter besides.
    EachFilter,
}

/// A statement and its values.
pub(super) struct Lookup {
    pub(super) sql: String,
    pub(super) values: Vec<Sql>,
}

/// Values by number: each is bound once, however often the statement names it.
#[derive(Default)]
struct Values(Vec<Sql>);

impl Values {
    fn bind(&mut self, value: impl Into<Sql>) -> String {
        self.0.push(value.into());
        format!("?{}", self.0.len())
    }

    fn bind_all(&mut self, values: &[String]) -> String {
        let names: Vec<String> = values.iter().map(|value| self.bind(value.clone())).collect();
        names.join(", ")
    }
}

/// The filter that drives.
enum Driver {
    /// No filter has an index of its own: the list's order.
    Order,
    /// Ids: a few rows, looked up and sorted.
    Ids,
    /// A column with an index (name, values).
    Column(&'static str, Vec<String>),
    /// One tag.
    Tag(String),
    /// One value of the company's own: its name and the value.
    Own(String, String),
    /// Words, as an FTS5 query.
    Words(String),
    /// Parts of names, as an FTS5 query of at least three characters each.
    Names(String),
}

/// Whether a page costs no more than its own rows: one index gives them in order and nothing else is asked of them.
pub(super) fn is_straight(filter: &Filter) -> bool {
    let asked = [
        filter.sight.is_some() || !filter.store.is_empty(),
        !filter.status.is_empty(),
        !filter.category.is_empty(),
        filter.severity_min.is_some() || filter.severity_max.is_some(),
        !filter.reported_by.is_empty(),
        !filter.tag.is_empty(),
        !filter.own.is_empty(),
    ];
    filter.q.is_none()
        && filter.id.is_empty()
        && filter.person.is_empty()
        && filter.tag.len() <= 1
        && filter.own.values().map(Vec::len).sum::<usize>() <= 1
        && asked.into_iter().filter(|asked| *asked).count() <= 1
}

/// How many incidents have all the words of `filter`, counted up to [`MANY`]: `SELECT count(*) …`; `None` where it has none.
pub(super) fn count_words(filter: &Filter) -> Option<Lookup> {
    let query = words_query(filter)??;
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM incident_words WHERE incident_words MATCH ?1 LIMIT {MANY})");
    Some(Lookup { sql, values: vec![Sql::from(query)] })
}

/// The page of `filter` after a position; `None` when nothing can match. `common`: the words are so common that the list's
/// order is walked past those that have them, which ends soon, instead of sorting them all.
pub(super) fn page(
    filter: &Filter,
    after: Option<(i64, Uuid)>,
    limit: u32,
    common: bool,
    indexes: Indexes,
) -> Option<Lookup> {
    let mut values = Values::default();
    let driver = driver(filter, common, indexes)?;
    let mut parts = Vec::new();
    match &driver {
        Driver::Column(column, either) => {
            for value in either {
                let bound = if *column == "severity" {
                    values.bind(value.parse::<i64>().unwrap_or(0))
                } else {
                    values.bind(value.clone())
                };
                let from = format!("incidents i INDEXED BY {} {JOINS}", index_of(column));
                parts.push(walk(&from, &[format!("i.{column} = {bound}")], filter, &driver, after, &mut values)?);
            }
        }
        Driver::Order => parts.push(walk(
            &format!("incidents i INDEXED BY incidents_order {JOINS}"),
            &[],
            filter,
            &driver,
            after,
            &mut values,
        )?),
        Driver::Tag(tag) => {
            let bound = values.bind(tag.clone());
            let from = format!("incident_tags t CROSS JOIN incidents i ON i.incident_no = t.incident_no {JOINS}");
            parts.push(walk(&from, &[format!("t.tag = {bound}")], filter, &driver, after, &mut values)?);
        }
        Driver::Own(name, value) => {
            let first = format!("t.name = {} AND t.value = {}", values.bind(name.clone()), values.bind(value.clone()));
            let from = format!("incident_values t CROSS JOIN incidents i ON i.incident_no = t.incident_no {JOINS}");
            parts.push(walk(&from, &[first], filter, &driver, after, &mut values)?);
        }
        Driver::Words(query) => {
            let bound = values.bind(query.clone());
            let from = "incident_words w CROSS JOIN incidents i ON i.incident_no = w.rowid".to_owned();
            parts.push(walk(&from, &[format!("w.incident_words MATCH {bound}")], filter, &driver, after, &mut values)?);
        }
        Driver::Ids => {
            let named = ids(filter, &mut values);
            parts.push(walk(IDS, &[named], filter, &driver, after, &mut values)?);
        }
        Driver::Names(query) => {
            let bound = values.bind(query.clone());
            let from = "incident_names n CROSS JOIN incidents i ON i.incident_no = n.rowid".to_owned();
            parts.push(walk(&from, &[format!("n.incident_names MATCH {bound}")], filter, &driver, after, &mut values)?);
        }
    }
    let limit = values.bind(i64::from(limit));
    if let (Driver::Words(_) | Driver::Names(_) | Driver::Ids, [only]) = (&driver, parts.as_slice()) {
        // Only the keys are sorted; what is shown is looked up for the rows of the page alone.
        return Some(Lookup {
            sql: format!(
                "SELECT {COLUMNS} FROM ({only} ORDER BY i.occurred_at_ms DESC, i.incident_id DESC LIMIT {limit}) k \
                 CROSS JOIN incidents i ON i.incident_no = k.incident_no {JOINS} ORDER BY k.occurred_at_ms DESC, k.incident_id DESC"
            ),
            values: values.0,
        });
    }
    let order = match (&driver, parts.len()) {
        (Driver::Tag(_) | Driver::Own(..), _) => "ORDER BY t.occurred_at_ms DESC, t.incident_id DESC",
        (_, 1) => "ORDER BY i.occurred_at_ms DESC, i.incident_id DESC",
        // By the columns' places, as a compound statement wants it: occurred_at_ms and incident_id.
        _ => "ORDER BY 11 DESC, 1 DESC",
    };
    let sql = format!("{} {order} LIMIT {limit}", parts.join(" UNION ALL "));
    Some(Lookup { sql, values: values.0 })
}

/// The counts' source: `FROM … WHERE …` over `incidents i` and `joins`, in no order; `None` when nothing can match.
pub(super) fn scan(filter: &Filter, joins: &str) -> Option<Lookup> {
    let mut values = Values::default();
    let words = words_query(filter)?;
    let (from, mut conditions, driver) = match words {
        _ if !filter.id.is_empty() => (IDS.to_owned(), vec![ids(filter, &mut values)], Driver::Ids),
        Some(query) => {
            let bound = values.bind(query);
            (
                "incident_words w CROSS JOIN incidents i ON i.incident_no = w.rowid".to_owned(),
                vec![format!("w.incident_words MATCH {bound}")],
                Driver::Words(String::new()),
            )
        }
        // Everything that is counted is in this index; the table has what nobody asks for here.
        None => ("incidents i INDEXED BY incidents_order".to_owned(), Vec::new(), Driver::Order),
    };
    conditions.extend(conditions_of(filter, &driver, &mut values)?);
    let sql = format!(
        "FROM {from} {joins} WHERE {}",
        if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") }
    );
    Some(Lookup { sql, values: values.0 })
}

/// Where ids are looked up.
const IDS: &str = "records r CROSS JOIN incidents i ON i.incident_no = r.record_no";

fn ids(filter: &Filter, values: &mut Values) -> String {
    let names: Vec<String> = filter.id.iter().map(|id| values.bind(id.as_bytes().to_vec())).collect();
    format!("r.record_id IN ({})", names.join(", "))
}

fn index_of(column: &str) -> &'static str {
    match column {
        "store_code" => "incidents_store",
        "status" => "incidents_status",
        "category" => "incidents_category",
        "severity" => "incidents_severity",
        _ => "incidents_reporter",
    }
}

/// Words drive before anything else, then whatever usually leaves fewest rows.
fn driver(filter: &Filter, common: bool, indexes: Indexes) -> Option<Driver> {
    if !filter.id.is_empty() {
        return Some(Driver::Ids);
    }
    if let Some(query) = words_query(filter)?
        && !common
    {
        return Some(Driver::Words(query));
    }
    if let Some(query) = names_query(filter) {
        return Some(Driver::Names(query));
    }
    if let [tag] = filter.tag.as_slice() {
        return Some(Driver::Tag(tag.clone()));
    }
    if filter.own.len() == 1
        && let Some((name, [value])) = filter.own.iter().next().map(|(name, values)| (name, values.as_slice()))
    {
        return Some(Driver::Own(name.clone(), value.clone()));
    }
    if indexes == Indexes::Order {
        return stores(filter).map(|_| Driver::Order);
    }
    let (least, greatest) = (filter.severity_min.unwrap_or(1), filter.severity_max.unwrap_or(5));
    let severities: Vec<String> = (least..=greatest).map(|severity| severity.to_string()).collect();
    // Severity 1 and up is everything, which no index narrows.
    let severities = if severities.len() > 3 { Vec::new() } else { severities };
    for (column, either) in [
        ("reported_by", &filter.reported_by),
        ("status", &filter.status),
        ("category", &filter.category),
        ("severity", &severities),
        ("store_code", &stores(filter)?),
    ] {
        let mut either = either.clone();
        either.sort_unstable();
        either.dedup();
        if (1..=MAX_WALKS).contains(&either.len()) {
            return Some(Driver::Column(column, either));
        }
    }
    Some(Driver::Order)
}

/// The stores asked for that the asker may see; `None` when that leaves none.
fn stores(filter: &Filter) -> Option<Vec<String>> {
    match &filter.sight {
        None => Some(filter.store.clone()),
        Some(own) if filter.store.is_empty() || filter.store.contains(own) => Some(vec![own.clone()]),
        Some(_) => None,
    }
}

/// `q` as an FTS5 query; the outer `None` when it has no word at all and so matches nothing.
fn words_query(filter: &Filter) -> Option<Option<String>> {
    let Some(q) = &filter.q else { return Some(None) };
    let words = search::words(q);
    let last = words.len().checked_sub(1)?;
    let terms: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(at, word)| if at == last { format!("\"{word}\"*") } else { format!("\"{word}\"") })
        .collect();
    Some(Some(terms.join(" ")))
}

/// The parts of names as an FTS5 query, where every one is long enough for the index.
fn names_query(filter: &Filter) -> Option<String> {
    let parts: Vec<String> = filter.person.iter().map(|part| search::fold(part.trim())).collect();
    if parts.is_empty() || parts.iter().any(|part| part.chars().count() < 3) {
        return None;
    }
    let terms: Vec<String> = parts.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    Some(terms.join(" OR "))
}

/// One ordered walk: `SELECT … FROM from WHERE first AND the rest`.
fn walk(
    from: &str,
    first: &[String],
    filter: &Filter,
    driver: &Driver,
    after: Option<(i64, Uuid)>,
    values: &mut Values,
) -> Option<String> {
    let mut conditions = first.to_vec();
    let time = if matches!(driver, Driver::Tag(_) | Driver::Own(..)) { "t" } else { "i" };
    if let Some((ms, id)) = after {
        let ms = values.bind(ms);
        let id = values.bind(id.as_bytes().to_vec());
        conditions.push(format!("({time}.occurred_at_ms, {time}.incident_id) < ({ms}, {id})"));
    }
    conditions.extend(conditions_of(filter, driver, values)?);
    let condition = if conditions.is_empty() { "1".to_owned() } else { conditions.join(" AND ") };
    let columns = match driver {
        Driver::Words(_) | Driver::Names(_) | Driver::Ids => "i.incident_no, i.occurred_at_ms, i.incident_id",
        Driver::Order | Driver::Column(..) | Driver::Tag(_) | Driver::Own(..) => COLUMNS,
    };
    Some(format!("SELECT {columns} FROM {from} WHERE {condition}"))
}

/// Every condition but the driver's own.
fn conditions_of(filter: &Filter, driver: &Driver, values: &mut Values) -> Option<Vec<String>> {
    let drives = |column: &str| matches!(driver, Driver::Column(driving, _) if *driving == column);
    let mut conditions = Vec::new();
    let time = if matches!(driver, Driver::Tag(_) | Driver::Own(..)) { "t" } else { "i" };
    if let Some(from_ms) = filter.from_ms {
        conditions.push(format!("{time}.occurred_at_ms >= {}", values.bind(from_ms)));
    }
    if let Some(to_ms) = filter.to_ms {
        conditions.push(format!("{time}.occurred_at_ms < {}", values.bind(to_ms)));
    }
    let stores = stores(filter)?;
    for (column, either) in [
        ("store_code", &stores),
        ("status", &filter.status),
        ("category", &filter.category),
        ("reported_by", &filter.reported_by),
    ] {
        if !either.is_empty() && !drives(column) {
            // The plus keeps SQLite from leaving the ordered walk for this column's index.
            conditions.push(format!("+i.{column} IN ({})", values.bind_all(either)));
        }
    }
    if let Some(least) = filter.severity_min
        && !drives("severity")
    {
        conditions.push(format!("+i.severity >= {}", values.bind(i64::from(least))));
    }
    if let Some(greatest) = filter.severity_max
        && !drives("severity")
    {
        conditions.push(format!("+i.severity <= {}", values.bind(i64::from(greatest))));
    }
    if !filter.deleted {
        conditions.push("i.deleted = 0".to_owned());
    }
    if !filter.tag.is_empty() && !matches!(driver, Driver::Tag(_)) {
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM incident_tags x WHERE x.incident_no = i.incident_no AND x.tag IN ({}))",
            values.bind_all(&filter.tag)
        ));
    }
    for (name, either) in filter.own.iter().filter(|_| !matches!(driver, Driver::Own(..))) {
        let name = values.bind(name.clone());
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM incident_values x WHERE x.incident_no = i.incident_no AND x.name = {name} AND x.value IN ({}))",
            values.bind_all(either)
        ));
    }
    if let Some(query) = words_query(filter)?
        && !matches!(driver, Driver::Words(_))
    {
        // The plus keeps the order's walk in front; what has the words is gathered once.
        conditions.push(format!(
            "+i.incident_no IN (SELECT w.rowid FROM incident_words w WHERE w.incident_words MATCH {})",
            values.bind(query)
        ));
    }
    if !filter.person.is_empty() && !matches!(driver, Driver::Names(_)) {
        let either: Vec<String> = filter
            .person
            .iter()
            .map(|part| format!("instr(i.people, {}) > 0", values.bind(search::fold(part.trim()))))
            .collect();
        conditions.push(format!("({})", either.join(" OR ")));
    }
    Some(conditions)
}
