//! Receivers of messages: away for weeks, and refusing for good. With real ones, and a clock that is set.

use super::notifications::{Bare, DAY, RULES, look, rule, waiting};
use super::photos::until;
use super::site::{Site, T0};
use axum::Router;
use chassis::http::serve;
use chassis::outbound::BreakerConfig;
use chassis::shutdown::Shutdown;
use chassis::webhooks::WebhookLayer;
use desk::notifications::Notifier;
use desk::notifications::follow::Follower;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// A receiver of webhooks at `address`: what it gets, by its id.
async fn receiver(address: SocketAddr, answer: StatusCode) -> (SocketAddr, Arc<Mutex<Vec<String>>>, Shutdown) {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (came, shutdown) = (Arc::new(Mutex::new(Vec::new())), Shutdown::manual());
    let kept = Arc::clone(&came);
    let take = move |headers: HeaderMap| async move {
        kept.lock().unwrap().push(headers["webhook-id"].to_str().unwrap().to_owned());
        answer
    };
    tokio::spawn(serve(listener, Router::new().fallback(take), shutdown.clone()));
    (address, came, shutdown)
}

/// The site may send webhooks to these, and asks as often as it is told to.
fn telling(site: &Site, receivers: &[SocketAddr]) {
    let allow = Some(receivers.iter().map(|address| format!("http://{address}")).collect());
    let webhooks = WebhookLayer { allow, ca: None }.settle().unwrap();
    // The breaker's time is real, and this test's is not.
    let breaker = BreakerConfig { failures: u32::MAX, ..BreakerConfig::default() };
    site.desk
        .set_notifier(Notifier::new(None, webhooks, Box::new(Bare)).unwrap().with_breaker_config(breaker));
}

/// An address where nobody is.
async fn nowhere() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn hook(address: SocketAddr) -> Value {
    json!({"name": "hook", "channel": "webhook", "url": format!("http://{address}/")})
}

#[tokio::test]
async fn a_receiver_that_was_away_for_twenty_days_gets_everything_once() {
    let hub = Site::hub().await;
    let away = nowhere().await;
    telling(&hub, &[away]);
    rule(&hub, &hub.login("ada").await, &hook(away)).await;
    let mut follower = Follower::new(T0);
    let running = tokio::spawn(hub.desk.runner().run(hub.stop.clone()));
    let at_rest = async || hub.desk.jobs().counts().await.unwrap().iter().all(|count| count.state != "running");
    let tried_at = async || hub.desk.ledger().notification_rules(false).await.unwrap()[0].last_ms;
    for day in 0..20 {
        hub.clock.set(T0 + day * DAY);
        let mia = hub.login("mia").await;
        hub.incident(&mia, json!({"description": format!("day {day}")})).await;
        look(&hub, &mut follower).await;
        until(async || tried_at().await == Some(T0 + day * DAY) && at_rest().await).await;
    }
    assert_eq!(waiting(&hub).await, (20, 0));
    assert!(hub.desk.jobs().dead(10).await.unwrap().is_empty());

    let (_, came, shutdown) = receiver(away, StatusCode::NO_CONTENT).await;
    hub.clock.advance(10 * 60_000);
    hub.incident(&hub.login("mia").await, json!({"description": "the last"})).await;
    look(&hub, &mut follower).await;
    until(async || waiting(&hub).await == (0, 0)).await;
    let mut ids = came.lock().unwrap().clone();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), came.lock().unwrap().len()), (21, 21));
    shutdown.begin();
    hub.stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_a_receiver_refuses_for_good_is_set_aside_at_once_with_its_reason() {
    let hub = Site::hub().await;
    let (address, came, shutdown) = receiver("127.0.0.1:0".parse().unwrap(), StatusCode::NOT_FOUND).await;
    telling(&hub, &[address]);
    let (ada, mia) = (hub.login("ada").await, hub.login("mia").await);
    rule(&hub, &ada, &hook(address)).await;
    hub.incident(&mia, json!({"description": "x"})).await;
    look(&hub, &mut Follower::new(T0)).await;
    let running = tokio::spawn(hub.desk.runner().run(hub.stop.clone()));
    until(async || hub.get(&ada, RULES).await.expect(200)["dead_count"] == 1).await;
    let list = hub.get(&ada, RULES).await.expect(200);
    assert_eq!((list["dead"][0]["attempts"].as_u64(), came.lock().unwrap().len()), (Some(1), 1));
    assert!(list["dead"][0]["error"].as_str().unwrap().contains("404"), "{list}");
    shutdown.begin();
    hub.stop.cancel();
    running.await.unwrap();
}
