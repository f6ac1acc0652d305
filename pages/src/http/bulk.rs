//! The same done to the incidents that were chosen in the list, and what came of each.

use super::answer::{Oops, go, html, html_or_wrong, mendable_line};
use super::form::Form;
use super::guest::Person;
use crate::page::{Page, Pages, query};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use desk::bulk::{self, Deed, MAX, Outcome};
use desk::reports::MAX_REPORTS;
use desk::rules::{self, Act};
use uuid::Uuid;

/// Formats that a choice can be taken out in.
const FORMATS: [&str; 4] = ["csv", "xlsx", "pdf", "zip"];

#[derive(Template)]
#[template(path = "bulk.html")]
struct BulkPage {
    p: Page,
    outcomes: Vec<Outcome>,
    done: u64,
    unchanged: u64,
    refused: u64,
    back: String,
    wrong: Option<String>,
}

/// 200 with what came of each; 303 to a file; 422 with what has to be mended.
pub async fn bulk(State(pages): State<Pages>, person: Person, form: Form) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let back = back(form.one("back"));
    let page = page.at(back.clone());
    let ids: Vec<Uuid> = form.all("id").filter_map(|id| Uuid::try_parse(id).ok()).collect();
    let what = form.one("do");
    let text = |name: &str| Some(form.one(name).trim().to_owned()).filter(|text| !text.is_empty());
    let again = |page: Page, wrong: String| {
        let view = BulkPage {
            outcomes: Vec::new(),
            done: 0,
            unchanged: 0,
            refused: 0,
            back: back.clone(),
            wrong: Some(wrong),
            p: page,
        };
        html_or_wrong(true, &view)
    };
    if ids.is_empty() {
        let wrong = page.t("bulk.none").to_owned();
        return again(page, wrong);
    }
    if ids.len() > MAX {
        let wrong = page.with("bulk.too_many", &MAX.to_string());
        return again(page, wrong);
    }
    if FORMATS.contains(&what) {
        rules::check(&actor, Act::Export)?;
        return Ok(go(&file(what, &ids)));
    }
    let deed = match what {
        // Without a name it would take them from everybody: nobody asks for that by leaving a field empty.
        "assign" => match text("assigned_to") {
            Some(name) => Deed::Assign(Some(name)),
            None => {
                rules::check(&actor, Act::Assign)?;
                let wrong = page.t("bulk.say_who").to_owned();
                return again(page, wrong);
            }
        },
        "close" => match text("reason") {
            Some(reason) => Deed::Close(Some(reason)),
            None => {
                let wrong = page.t("bulk.say_why").to_owned();
                return again(page, wrong);
            }
        },
        _ => {
            let wrong = page.t("bulk.choose").to_owned();
            return again(page, wrong);
        }
    };
    let outcomes = match bulk::run(&pages.desk, &actor, &ids, &deed).await {
        Ok(outcomes) => outcomes,
        Err(error) => return again(page, mendable_line(error)?),
    };
    let count = |wanted: &str| outcomes.iter().filter(|one| one.outcome == wanted).count() as u64;
    html(&BulkPage {
        done: count("done"),
        unchanged: count("unchanged"),
        refused: count("refused"),
        outcomes,
        back,
        wrong: None,
        p: page,
    })
}

/// The file of what was chosen. No more can be chosen than reports fit into one document.
fn file(format: &str, ids: &[Uuid]) -> String {
    const { assert!(MAX <= MAX_REPORTS) };
    let mut pairs = vec![query("format", format)];
    pairs.extend(ids.iter().map(|id| query("id", &id.hyphenated().to_string())));
    format!("/api/v1/incidents/export?{}", pairs.join("&"))
}

/// The list that one came from, with its filters: an address of this list and no other.
fn back(said: &str) -> String {
    let is_list = said == "/incidents" || said.starts_with("/incidents?");
    if is_list && said.bytes().all(|b| b.is_ascii_graphic()) {
        said.to_owned()
    } else {
        "/incidents".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_led_back_to_the_list_and_nowhere_else() {
        assert_eq!(back("/incidents?q=x&store=042"), "/incidents?q=x&store=042");
        for bad in [
            "",
            "//evil.example/incidents",
            "/incidents/../users",
            "https://evil",
            "/incidents?q=\r\nx",
            "/users",
        ] {
            assert_eq!(back(bad), "/incidents", "{bad}");
        }
    }

    #[test]
    fn a_file_of_a_whole_page_has_an_address_that_fits() {
        let ids = vec![Uuid::from_u128(u128::MAX); MAX];
        assert!(file("xlsx", &ids).len() < 16 * 1024);
    }
}
