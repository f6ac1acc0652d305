//! `/`: says what this is, how it stands with headquarters, and before enrolment how to get further.

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use chassis::http::Problem;
use desk::ledger::Identity;

use super::Site;
use crate::status;

/// The routes.
pub fn routes(site: Site) -> Router {
    Router::new().route("/", get(home)).with_state(site)
}

/// 200, a page that anyone may see: it says nothing about incidents.
async fn home(State(site): State<Site>) -> Result<Html<String>, Problem> {
    let ledger = site.desk.ledger();
    let said = match site.desk.identity().await? {
        Identity::Node(enrolment) => {
            let state = status::read(ledger, site.board.now().to_kept()).await?.state;
            format!(
                "<p>Store {} ({}).</p>\n<p>{}.</p>",
                escaped(&enrolment.store_name),
                escaped(&enrolment.store_code),
                escaped(&state)
            )
        }
        Identity::Hub { .. } | Identity::Unenrolled => ENROL.to_owned(),
    };
    Ok(Html(page(&said)))
}

const ENROL: &str = "<p>This machine belongs to no store yet.</p>\n\
    <ol>\n<li>Ask headquarters for a one-time enrolment code for this store.\n\
    <li>On this machine run <code>aincident-node enroll --data-dir DIR --hub URL --code CODE</code> with the folder this program serves.\n\
    </ol>\n<p>There is no need to restart anything: this page will change by itself.</p>";

fn page(said: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"refresh\" content=\"10\">\n<title>A.I.ncident</title>\n<h1>A.I.ncident</h1>\n{said}\n\
         <ul>\n<li><a href=\"/docs\">What the API answers</a>\n<li><a href=\"/readyz\">Whether it is ready</a>\n</ul>\n\
         <p>Version {version}</p>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
