//! Exports: every incident a filter lets through, page by page, never whole in memory.
//!
//! A page is asked for when the client has taken the one before. What goes wrong half-way breaks the transfer: a file
//! that ends cleanly is complete.

pub mod archive;
pub mod csv;
pub mod workbook;

use crate::actor::Actor;
use crate::acts;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::{answer, query, seen_by};
use crate::ledger::acts::name;
use crate::ledger::{Filter, Whole};
use crate::reports::MAX_REPORTS;
use crate::reports::order::{self, Look};
use crate::rules::{self, Act};
use bytes::Bytes;
use chassis::clock::format_rfc3339;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

/// Most values of one filter that are noted.
const TOLD: usize = 20;
/// Incidents read at once.
const PAGE: u32 = 500;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, UTF-8, a header row, one row an incident.
    Csv,
    /// An array of whole incidents.
    Json,
    /// A spreadsheet (ECMA-376).
    Xlsx,
    /// One document of their reports.
    Pdf,
    /// Their reports, a document each, in an archive.
    Zip,
}

impl Format {
    /// The end of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Xlsx => "xlsx",
            Self::Pdf => "pdf",
            Self::Zip => "zip",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
        }
    }
}

/// Reads an export's query: `format`, which is required, and filters.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn read(pairs: &[(String, String)]) -> Result<(Format, Filter), Refusal> {
    let mut format = None;
    let filter = query::read(pairs, |name, value| {
        if name != "format" {
            return Ok(false);
        }
        let found = match value {
            "csv" => Format::Csv,
            "json" => Format::Json,
            "xlsx" => Format::Xlsx,
            "pdf" => Format::Pdf,
            "zip" => Format::Zip,
            _ => return Err("must be csv, json, xlsx, pdf or zip".to_owned()),
        };
        if format.replace(found).is_some() {
            Err("can be given once only".to_owned())
        } else {
            Ok(true)
        }
    })?;
    Ok((format.ok_or_else(|| Refusal::field("format", "is required: csv, json, xlsx, pdf or zip"))?, filter))
}

/// A file on its way.
pub type Streamed = BoxStream<'static, Result<Bytes, Error>>;

/// Writes the incidents that the filter lets through. The first page is read before this answers, so that a question
/// that cannot be answered is an error and not half a file. `look` is for reports.
///
/// # Errors
/// [`Refusal::Forbidden`]; [`Refusal::Invalid`] where there are more than the format takes; what the ledger says.
pub async fn write(desk: &Desk, actor: &Actor, format: Format, filter: Filter, look: Look) -> Result<Streamed, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::Export)?;
    let filter = seen_by(actor, filter)?;
    // What cannot be noted does not leave.
    let details = json!({ "format": format.extension(), "filter": told(&filter) });
    acts::note(desk, actor, name::EXPORTED, String::new(), details).await?;
    let pages = Pages { desk: desk.clone(), filter, after: None, done: false };
    match format {
        Format::Csv => text(pages, |rows, first, _| csv::rows(rows, first)).await,
        Format::Json => {
            let images = desk.house().images().to_owned();
            text(pages, move |rows, first, last| Ok(json(rows, first, last, &images))).await
        }
        Format::Xlsx => spreadsheet(pages).await,
        Format::Pdf => document(desk, pages, &look).await,
        Format::Zip => reports(desk, actor, pages, look).await,
    }
}

/// A filter as it is noted: which filters were set, and those values of them that are of a vocabulary or an id. Words that were
/// searched for, and names, may be personal and are not kept.
fn told(filter: &Filter) -> Value {
    let lists = [
        ("store", &filter.store),
        ("status", &filter.status),
        ("category", &filter.category),
        ("tag", &filter.tag),
        ("reported_by", &filter.reported_by),
    ];
    let mut told = Map::new();
    for (name, values) in lists {
        if !values.is_empty() {
            told.insert(name.to_owned(), values.iter().take(TOLD).cloned().collect());
        }
    }
    for (name, at) in [("from", filter.from_ms), ("to", filter.to_ms)] {
        told.extend(at.map(|ms| (name.to_owned(), Value::from(format_rfc3339(ms)))));
    }
    for (name, number) in [("severity_min", filter.severity_min), ("severity_max", filter.severity_max)] {
        told.extend(number.map(|number| (name.to_owned(), Value::from(number))));
    }
    let set = [("q", filter.q.is_some()), ("person", !filter.person.is_empty()), ("deleted", filter.deleted)];
    told.extend(set.into_iter().filter(|(_, set)| *set).map(|(name, set)| (name.to_owned(), Value::from(set))));
    if !filter.id.is_empty() {
        told.insert("ids".to_owned(), Value::from(filter.id.len()));
    }
    Value::Object(told)
}

/// The incidents, a page at a time.
struct Pages {
    desk: Desk,
    filter: Filter,
    after: Option<(i64, Uuid)>,
    done: bool,
}

impl Pages {
    /// The next page; the last one, which may be empty, makes it done.
    async fn next(&mut self) -> Result<Vec<Whole>, Error> {
        let rows = self.desk.ledger().incidents_whole(self.filter.clone(), self.after, PAGE).await?;
        self.done = rows.len() < PAGE as usize;
        self.after = rows.last().map(|whole| (whole.row.occurred_at_ms, whole.row.id)).or(self.after);
        Ok(rows)
    }
}

/// A file of text: `write` makes a part of a page, and is told whether it is the first and whether it is the last.
async fn text(
    mut pages: Pages,
    write: impl Fn(&[Whole], bool, bool) -> Result<Bytes, Error> + Send + 'static,
) -> Result<Streamed, Error> {
    let rows = pages.next().await?;
    let first = write(&rows, true, pages.done)?;
    let rest = futures::stream::try_unfold((pages, write), |(mut pages, write)| async move {
        if pages.done {
            return Ok(None);
        }
        let part = match pages.next().await {
            Ok(rows) => write(&rows, false, pages.done),
            Err(error) => Err(error),
        };
        let part = part.inspect_err(|error| tracing::error!(%error, "an export broke off"))?;
        Ok(Some((part, (pages, write))))
    });
    Ok(futures::stream::once(std::future::ready(Ok(first))).chain(rest).boxed())
}

fn too_many(most: u64, what: &str) -> Error {
    let message = format!("more incidents are found than {what} takes, at most {most}: narrow the filter");
    Refusal::field("format", message).into()
}

async fn spreadsheet(mut pages: Pages) -> Result<Streamed, Error> {
    let (to, from) = mpsc::channel(2);
    let writing = tokio::task::spawn_blocking(move || workbook::book(from));
    let mut rows = 0;
    while !pages.done {
        let page = pages.next().await?;
        rows += page.len() as u64;
        if rows > workbook::MAX_ROWS {
            return Err(too_many(workbook::MAX_ROWS, "a sheet"));
        }
        if to.send(page).await.is_err() {
            // The writer ended early; it says why.
            break;
        }
    }
    drop(to);
    let book = writing.await.map_err(|gone| Error::Fault(gone.to_string()))??;
    Ok(futures::stream::once(std::future::ready(Ok(book))).boxed())
}

async fn document(desk: &Desk, mut pages: Pages, look: &Look) -> Result<Streamed, Error> {
    let mut found = pages.next().await?;
    if !pages.done {
        found.extend(pages.next().await?);
    }
    if found.len() > MAX_REPORTS {
        return Err(too_many(MAX_REPORTS as u64, "one document"));
    }
    let pdf = order::of_many(desk, found, look).await?;
    Ok(futures::stream::once(std::future::ready(Ok(pdf))).boxed())
}

async fn reports(desk: &Desk, actor: &Actor, mut pages: Pages, look: Look) -> Result<Streamed, Error> {
    let mut found = pages.next().await?;
    if found.is_empty() {
        return Err(Refusal::field("format", "there is no incident to print: choose a filter that finds some").into());
    }
    let (entries, taken) = mpsc::channel(1);
    let (out, file) = mpsc::channel(16);
    let (desk, actor, failed) = (desk.clone(), actor.clone(), out.clone());
    let writing = tokio::task::spawn_blocking(move || archive::archive(taken, out));
    tokio::spawn(async move {
        let printing = async {
            loop {
                for whole in found {
                    let printed = match order::of_incident(&desk, &actor, whole.row.id, &look).await {
                        Ok(printed) => printed,
                        // Deleted since the page was read.
                        Err(Error::Refused(Refusal::Gone | Refusal::NotFound)) => continue,
                        Err(error) => return Err(error),
                    };
                    if entries.send((printed.name, printed.pdf)).await.is_err() {
                        return Ok(());
                    }
                }
                if pages.done {
                    return Ok(());
                }
                found = pages.next().await?;
            }
        };
        let printed = printing.await;
        if printed.is_err() {
            // An archive without its end is seen to be one.
            drop(failed.send(printed.map(|()| Bytes::new())).await);
        }
        drop(entries);
        if let Ok(Err(error)) = writing.await {
            tracing::debug!(%error, "an archive was not taken to its end");
        }
    });
    Ok(ReceiverStream::new(file).boxed())
}

/// A part of the array, with its brackets where it begins and ends.
fn json(rows: &[Whole], first: bool, last: bool, images: &str) -> Bytes {
    let mut out = String::with_capacity(rows.iter().map(|whole| whole.row.doc.len() + 256).sum::<usize>() + 2);
    if first {
        out.push('[');
    }
    for (n, whole) in rows.iter().enumerate() {
        out.push_str(if first && n == 0 { "\n" } else { ",\n" });
        answer::push_whole(&mut out, whole, images);
    }
    if last {
        out.push_str("\n]\n");
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::answer::tests::row;

    #[test]
    fn the_parts_of_an_array_make_one_array() {
        let rows = |count| vec![Whole { row: row(), comments: Vec::new(), photos: Vec::new() }; count];
        for parts in [vec![0], vec![1], vec![2, 0], vec![2, 2, 1]] {
            let mut text = Vec::new();
            for (n, count) in parts.iter().enumerate() {
                text.extend_from_slice(&json(&rows(*count), n == 0, n + 1 == parts.len(), ""));
            }
            let array: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert_eq!(array.len(), parts.iter().sum::<usize>());
        }
    }

    #[test]
    fn a_format_has_to_be_named_and_be_one_there_is() {
        let read = |query: &[(&str, &str)]| {
            let pairs: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            read(&pairs).map(|(format, _)| format)
        };
        assert_eq!(read(&[("format", "csv"), ("store", "042")]), Ok(Format::Csv));
        for bad in [
            &[][..],
            &[("format", "docx")],
            &[("format", "csv"), ("format", "json")],
            &[("format", "csv"), ("limit", "5")],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
