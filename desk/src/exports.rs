//! Exports: every incident a filter lets through, page by page, never whole in memory.
//!
//! A page is asked for when the client has taken the one before. What goes wrong half-way breaks the transfer: a file
//! that ends cleanly is complete.

pub mod csv;

use crate::actor::Actor;
use crate::desk::Desk;
use crate::error::{Error, Refusal};
use crate::incidents::{answer, query, seen_by};
use crate::ledger::{Filter, Whole};
use crate::rules::{self, Act};
use bytes::Bytes;
use futures::Stream;
use uuid::Uuid;

/// Incidents read at once.
const PAGE: u32 = 500;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, UTF-8, a header row, one row an incident.
    Csv,
    /// An array of whole incidents.
    Json,
}

impl Format {
    /// The end of a file's name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
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
            _ => return Err("must be csv or json: other formats are not offered".to_owned()),
        };
        if format.replace(found).is_some() {
            Err("can be given once only".to_owned())
        } else {
            Ok(true)
        }
    })?;
    Ok((format.ok_or_else(|| Refusal::field("format", "is required: csv or json"))?, filter))
}

struct Export {
    desk: Desk,
    filter: Filter,
    format: Format,
    after: Option<(i64, Uuid)>,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Next,
    Done,
}

/// Writes the incidents that the filter lets through. The first page is read before this answers, so that a question
/// that cannot be answered is an error and not half a file.
///
/// # Errors
/// [`Refusal::Forbidden`]; what the ledger says.
pub async fn write(
    desk: &Desk,
    actor: &Actor,
    format: Format,
    filter: Filter,
) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
    desk.own_store().await?;
    rules::check(actor, Act::Export)?;
    let filter = seen_by(actor, filter)?;
    let export = Export { desk: desk.clone(), filter, format, after: None, part: Part::First };
    let (first, export) = export.page().await?;
    let rest = futures::stream::try_unfold(export, |export| async move {
        if export.part == Part::Done {
            return Ok(None);
        }
        let page = export.page().await;
        page.map(Some).inspect_err(|error| tracing::error!(%error, "an export broke off"))
    });
    Ok(futures::StreamExt::chain(futures::stream::once(std::future::ready(Ok(first))), rest))
}

impl Export {
    /// The next part of the file.
    async fn page(mut self) -> Result<(Bytes, Self), Error> {
        let rows = self.desk.ledger().incidents_whole(self.filter.clone(), self.after, PAGE).await?;
        let last = rows.len() < PAGE as usize;
        self.after = rows.last().map(|whole| (whole.row.occurred_at_ms, whole.row.id)).or(self.after);
        let bytes = match self.format {
            Format::Csv => csv::rows(&rows, self.part == Part::First)?,
            Format::Json => json(&rows, self.part == Part::First, last),
        };
        self.part = if last { Part::Done } else { Part::Next };
        Ok((bytes, self))
    }
}

/// A part of the array, with its brackets where it begins and ends.
fn json(rows: &[Whole], first: bool, last: bool) -> Bytes {
    let mut out = String::with_capacity(rows.iter().map(|whole| whole.row.doc.len() + 256).sum::<usize>() + 2);
    if first {
        out.push('[');
    }
    for (n, whole) in rows.iter().enumerate() {
        out.push_str(if first && n == 0 { "\n" } else { ",\n" });
        answer::push_whole(&mut out, whole);
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
                text.extend_from_slice(&json(&rows(*count), n == 0, n + 1 == parts.len()));
            }
            let array: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
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
            &[("format", "xlsx")],
            &[("format", "csv"), ("format", "json")],
            &[("format", "csv"), ("limit", "5")],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
