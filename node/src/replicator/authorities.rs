//! Headquarters that is its own certificate authority says which one it will be next. A node that believes it by the present one believes
//! the next one, too, from then on: the change locks nobody out.
//!
//! Only what the hub proves counts, over a connection that the present authority vouches for, and only where the node was given
//! that authority: who believes whatever public authorities vouch for needs nothing.

use chassis::outbound::{MAX_PINS, Pin};
use desk::ledger::Enrolment;
use sync_protocol::message::{HelloAnswer, MAX_AUTHORITIES};

use super::hub::{self, Trust};
use super::session::Session;

/// Longest certificate that is read of what is announced, in bytes of PEM.
const MOST_PEM_BYTES: usize = 8 * 1024;
/// Most bytes of authorities that are kept.
const MOST_CA_BYTES: usize = 64 * 1024;

/// Believes what is announced, durably. It is told again with every hello, so a failure costs time only. The session begins anew with it.
pub(super) async fn note(session: &Session, answer: &HelloAnswer) {
    let Some((pins, ca_pem)) = widened(&session.enrolment, &answer.authorities) else {
        return;
    };
    if let Err(error) = hub::outbound(Trust { ca_pem: ca_pem.as_deref(), pins: &pins }) {
        tracing::warn!(%error, "headquarters announces an authority that cannot be used");
        return;
    }
    let believed = if pins.is_empty() {
        ca_pem.as_deref().map(Pin::all_of_pem).unwrap_or_default()
    } else {
        pins.clone()
    };
    match session.desk.ledger().set_trust(pins, ca_pem).await {
        Ok(()) => tracing::info!(
            ?believed,
            "headquarters will have another authority of its own; it is believed by that one, too"
        ),
        Err(error) => tracing::warn!(%error, "the authority that headquarters announces could not be kept"),
    }
}

/// By what the hub is believed with all that is `announced`: pins, and authorities as PEM. `None` where nothing changes.
fn widened(enrolment: &Enrolment, announced: &[String]) -> Option<(Vec<Pin>, Option<String>)> {
    if !enrolment.hub_url.starts_with("https://") {
        return None;
    }
    let certificates: Vec<(Pin, &str)> = announced.iter().take(MAX_AUTHORITIES).filter_map(|pem| single(pem)).collect();
    let ((present, _), to_come) = certificates.split_first()?;
    let believed = enrolment.believed();
    if !believed.contains(present) {
        return None;
    }
    let fresh: Vec<_> = to_come.iter().filter(|(pin, _)| !believed.contains(pin)).collect();
    if fresh.is_empty() {
        return None;
    }
    if enrolment.pins.is_empty() {
        let mut ca_pem = enrolment.ca_pem.clone().unwrap_or_default();
        for (_, pem) in fresh {
            ca_pem.push('\n');
            ca_pem.push_str(pem);
        }
        return (ca_pem.len() <= MOST_CA_BYTES).then_some((Vec::new(), Some(ca_pem)));
    }
    let mut pins = enrolment.pins.clone();
    pins.extend(fresh.into_iter().map(|(pin, _)| *pin));
    // Those believed for longest go first, but never the present one.
    while pins.len() > MAX_PINS {
        let oldest = pins.iter().position(|pin| pin != present)?;
        pins.remove(oldest);
    }
    Some((pins, enrolment.ca_pem.clone()))
}

/// The one certificate that `pem` holds.
fn single(pem: &str) -> Option<(Pin, &str)> {
    let is_one = pem.len() <= MOST_PEM_BYTES && pem.matches("-----BEGIN").count() == 1;
    is_one.then(|| Pin::of_pem(pem)).flatten().map(|pin| (pin, pem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    /// Something that has a digest, as a certificate has.
    fn pem(text: &str) -> String {
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    fn enrolment(pins: &[Pin], ca_pem: Option<String>) -> Enrolment {
        Enrolment {
            hub_url: "https://hub.example.com".to_owned(),
            hub_id: Uuid::nil(),
            epoch: Uuid::nil(),
            node_id: Uuid::nil(),
            store_code: "042".to_owned(),
            store_name: "Downtown".to_owned(),
            scopes: Vec::new(),
            ca_pem,
            pins: pins.to_vec(),
        }
    }

    #[test]
    fn who_believes_the_present_authority_believes_the_next_one_too_and_nobody_else_does() {
        let (now, next, other) = (pem("AAAA"), pem("BBBB"), pem("CCCC"));
        let pin = |pem: &str| Pin::of_pem(pem).unwrap();
        let announced = [now.clone(), next.clone()];
        let pinned = enrolment(&[pin(&now)], None);
        assert_eq!(widened(&pinned, &announced), Some((vec![pin(&now), pin(&next)], None)));
        let given = enrolment(&[], Some(now.clone()));
        let (pins, ca_pem) = widened(&given, &announced).unwrap();
        assert!(pins.is_empty());
        assert_eq!(Pin::all_of_pem(&ca_pem.unwrap()), [pin(&now), pin(&next)]);
        // Once is enough.
        assert_eq!(widened(&enrolment(&[pin(&now), pin(&next)], None), &announced), None);
        assert_eq!(widened(&enrolment(&[], Some(format!("{now}\n{next}"))), &announced), None);
        // Another hub's, none, no TLS, nothing announced, two in one.
        assert_eq!(widened(&enrolment(&[pin(&other)], None), &announced), None);
        assert_eq!(widened(&enrolment(&[], None), &announced), None);
        let plain = Enrolment { hub_url: "http://127.0.0.1:1".to_owned(), ..pinned.clone() };
        assert_eq!(widened(&plain, &announced), None);
        assert_eq!(widened(&pinned, &[]), None);
        assert_eq!(widened(&pinned, &[now.clone(), format!("{next}{other}")]), None);
        assert_eq!(widened(&pinned, &[now, "x".repeat(MOST_PEM_BYTES)]), None);
    }

    #[test]
    fn of_too_many_pins_the_oldest_goes_and_never_the_one_in_use() {
        let pems: Vec<String> =
            ["AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF", "GGGG", "HHHH", "IIII"].map(pem).into();
        let pins: Vec<Pin> = pems.iter().map(|pem| Pin::of_pem(pem).unwrap()).collect();
        let full = enrolment(&pins[..MAX_PINS], None);
        let (kept, _) = widened(&full, &[pems[0].clone(), pems[8].clone()]).unwrap();
        assert_eq!(kept.len(), MAX_PINS);
        assert!(kept.contains(&pins[0]) && !kept.contains(&pins[1]) && kept.contains(&pins[8]));
    }
}
