//! This site as a code for phones: the address in the store's network, and how a phone comes to trust it.

use super::NodePages;
use crate::http::Reach;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::trust;
use chassis::qr::Code;
use desk::http::door::is_loopback;
use desk::http::reports::base_url;
use http::{HeaderMap, Uri};
use pages::http::{Oops, Person, html};
use pages::page::Page;

#[derive(Template)]
#[template(path = "on_phone.html")]
struct OnPhonePage {
    p: Page,
    /// Where a phone finds the site; none: nowhere.
    site: Option<Address>,
    /// Where it comes to trust it first, where that has to be.
    trust: Option<Address>,
}

struct Address {
    url: String,
    code: Option<Code>,
}

impl From<String> for Address {
    fn from(url: String) -> Self {
        Self { code: Code::of(&url), url }
    }
}

/// 200, for everybody who is logged in.
pub async fn page(
    State(state): State<NodePages>,
    uri: Uri,
    headers: HeaderMap,
    person: Person,
) -> Result<Response, Oops> {
    let (desk, reach) = (&state.site.desk, state.site.reach);
    let named = desk.house().public_url.is_some();
    let seen = base_url(desk, &headers, &uri);
    let near = || trust::address(&uri, &headers);
    let (site, trust) = addresses(reach, named, is_loopback(&headers, &uri), seen, near);
    html(&OnPhonePage { p: person.page, site: site.map(Address::from), trust: trust.map(Address::from) })
}

/// Where a phone finds the site, and where it comes to trust it: `seen` is how the client asks for it, or how the site is `named`;
/// `near` its address in the network, with the port.
fn addresses(
    reach: Reach,
    named: bool,
    by_itself: bool,
    seen: String,
    near: impl FnOnce() -> Option<String>,
) -> (Option<String>, Option<String>) {
    if named {
        // A proxy in front of it has a certificate that phones trust.
        return (Some(seen), None);
    }
    if !reach.secured {
        // On this machine over plain HTTP: nobody else reaches it like that.
        return (Some(seen).filter(|_| !by_itself), None);
    }
    let near = near();
    let trust = near.as_ref().filter(|_| reach.own_authority).map(|near| format!("http://{near}/trust"));
    (near.map(|near| format!("https://{near}")), trust)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_led_to_where_it_can_get() {
        let own = Reach { secured: true, own_authority: true };
        let near = || Some("192.168.7.21:7710".to_owned());
        let told = |reach, named, by_itself, seen: &str| addresses(reach, named, by_itself, seen.to_owned(), near);
        let (site, trust) = told(own, false, true, "http://127.0.0.1:7710");
        assert_eq!(site.as_deref(), Some("https://192.168.7.21:7710"));
        assert_eq!(trust.as_deref(), Some("http://192.168.7.21:7710/trust"));
        let companys = Reach { secured: true, own_authority: false };
        assert_eq!(told(companys, false, false, "https://till:7710").1, None);
        assert_eq!(told(Reach::default(), false, true, "http://127.0.0.1:7710"), (None, None));
        assert_eq!(told(Reach::default(), false, false, "https://proxy").0.as_deref(), Some("https://proxy"));
        assert_eq!(told(own, true, true, "https://named"), (Some("https://named".to_owned()), None));
        assert_eq!(addresses(own, false, true, String::new(), || None), (None, None));
    }
}
