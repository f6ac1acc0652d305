//! How a phone or a PC comes to trust a site that is its own authority: a page that tells how, with a code for phones to read, and
//! the authority's certificate. Both over plain HTTP too, for those who do not trust it yet; the page shows the certificate's
//! fingerprint, for those who want to compare it.

mod words;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, VARY};
use http::uri::Authority;
use http::{HeaderMap, Uri};

use super::plain::is_host;
use super::tls::{Tls, addresses};
use crate::outbound::Pin;
use crate::qr::{Code, Run};
use words::Words;

/// The routes, where the site is its own authority; none where it is not. They tell of the authority that there is when they are
/// asked: it may be made anew while the site serves.
pub fn routes(tls: &Arc<Tls>) -> Router {
    if tls.authority_pem().is_none() {
        return Router::new();
    }
    let (for_file, for_page) = (Arc::clone(tls), Arc::clone(tls));
    let headers = [
        (CONTENT_TYPE, "application/x-x509-ca-cert"),
        // Not `attachment`: an iPhone would put it among its files instead of offering to install it, and Firefox would not ask. What
        // keeps it as a file calls it so that Windows and Android know what it is.
        (CONTENT_DISPOSITION, "inline; filename=\"aincident-ca.crt\""),
        (CACHE_CONTROL, "no-store"),
    ];
    let pem = |tls: &Tls| tls.authority_pem().unwrap_or_default();
    Router::new().route("/ca.pem", get(move || async move { (headers, pem(&for_file)) })).route(
        "/trust",
        get(move |uri: Uri, asked: HeaderMap| async move {
            let fingerprint = Pin::of_pem(&pem(&for_page)).map(|pin| pin.to_string());
            told(&fingerprint.unwrap_or_default(), &uri, &asked)
        }),
    )
}

fn told(fingerprint: &str, uri: &Uri, asked: &HeaderMap) -> impl IntoResponse + use<> {
    let page = Html(page(Words::asked(asked), fingerprint, address(uri, asked).as_deref()));
    (
        [
            (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            (CACHE_CONTROL, "no-store"),
            (VARY, "accept-language"),
        ],
        page,
    )
}

/// Where a phone finds the site: as the client does that asks, or, where that is this machine itself, at its first address in the
/// network.
#[must_use]
pub fn address(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let seen = match uri.authority() {
        Some(seen) => seen.clone(),
        None => headers.get(HOST)?.to_str().ok()?.parse::<Authority>().ok()?,
    };
    let host = seen.host().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !is_here {
        return Some(seen.as_str().to_owned()).filter(|seen| is_host(seen));
    }
    let found = addresses::local().into_iter().find(|ip| ip.is_ipv4() && !ip.is_loopback())?;
    Some(seen.port().map_or_else(|| found.to_string(), |port| format!("{found}:{port}")))
}

fn page(words: &Words, fingerprint: &str, address: Option<&str>) -> String {
    let code = address.map_or_else(String::new, |address| {
        let link = format!("http://{address}/trust");
        let code = drawn(&link, words.code).unwrap_or_default();
        format!("<p>{} <b>{link}</b>:</p>\n{code}\n", words.on_phone)
    });
    let mut devices = String::new();
    for (device, steps) in words.devices {
        let _ = write!(devices, "<h2>{device}</h2>\n<ol>\n");
        for step in *steps {
            let _ = writeln!(devices, "<li>{}", step.replace('&', "&amp;"));
        }
        devices.push_str("</ol>\n");
    }
    let Words { lang, title, why, load, compare, .. } = words;
    format!(
        "<!doctype html>\n<html lang=\"{lang}\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<p>{why}</p>\n<p><a href=\"/ca.pem\">{load}</a></p>\n\
         <p>{compare}<br><code>{fingerprint}</code></p>\n{code}{devices}</html>\n"
    )
}

/// A code that leads to `text`, as a drawing; `named`: what that is, for who does not see it.
fn drawn(text: &str, named: &str) -> Option<String> {
    let code = Code::of(text)?;
    let mut path = String::new();
    for Run { x, y, length } in code.runs {
        let _ = write!(path, "M{x} {y}h{length}v1h-{length}z");
    }
    let size = code.size;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"240\" height=\"240\" viewBox=\"0 0 {size} {size}\" role=\"img\" \
         aria-label=\"{named} {text}\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(host: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(HOST, http::HeaderValue::from_static(host))]);
        address(&Uri::from_static("/trust"), &headers)
    }

    #[test]
    fn a_phone_is_sent_where_it_can_reach_the_site() {
        assert_eq!(seen("192.168.7.21:7710").as_deref(), Some("192.168.7.21:7710"));
        assert_eq!(seen("till.local:7710").as_deref(), Some("till.local:7710"));
        assert_eq!(seen("user@till.local"), None);
        if let Some(elsewhere) = seen("localhost:7710") {
            assert!(elsewhere.ends_with(":7710") && !elsewhere.contains("localhost"), "{elsewhere}");
        }
        let uri = Uri::from_static("https://10.0.0.1:7710/trust");
        assert_eq!(address(&uri, &HeaderMap::new()).as_deref(), Some("10.0.0.1:7710"));
    }

    #[test]
    fn the_page_has_the_fingerprint_and_a_code_and_does_without_an_address() {
        for (lang, named) in [("en", "QR code that opens"), ("es", "Código QR que abre")] {
            let asked = HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, http::HeaderValue::from_static(lang))]);
            let words = Words::asked(&asked);
            let told = page(words, "AB:CD", Some("10.0.0.1:7710"));
            let label = format!("aria-label=\"{named} http://10.0.0.1:7710/trust\"");
            for piece in [
                "AB:CD",
                "<svg",
                &label,
                &format!("<html lang=\"{lang}\">"),
                "iPhone",
                "Android",
                "Windows",
                "Firefox",
            ] {
                assert!(told.contains(piece), "{piece}: {told}");
            }
            assert!(!page(words, "AB:CD", None).contains("<svg"));
        }
        let print = Pin::of_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap().to_string();
        assert_eq!(print.len(), 95);
        assert!(print.starts_with("70:9E:80:C8"), "{print}");
    }
}
