//! What the site does by itself.

use super::photos::{jpeg, post, until};
use super::site::Site;
use serde_json::json;

#[tokio::test]
async fn what_could_not_be_done_is_seen_tried_again_or_given_up() {
    let hub = Site::hub().await;
    let node = Site::node(&hub).await;
    let (kim, mia) = (node.login("kim").await, node.login("mia").await);
    let (incident, _) = node.incident(&kim, json!({"description": "a broken window"})).await;
    let photo = post(&node, &kim, &incident, &[("file", Some("a.jpg"), &jpeg(800, 600))]).await.json();
    let id = photo["items"][0]["id"].as_str().unwrap().to_owned();
    let other = node.set_aside("report", "nothing");

    node.get(&kim, "/api/v1/jobs").await.problem(403);
    let jobs = node.get(&mia, "/api/v1/jobs").await.expect(200);
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (jobs["items"][0]["no"].as_i64(), jobs["items"][0]["error"].as_str()),
        (Some(other), Some("in vain"))
    );
    assert_eq!(jobs["counts"][0]["kind"], "derive");
    assert_eq!(
        (jobs["counts"][0]["state"].as_str(), jobs["counts"][0]["count"].as_u64()),
        (Some("waiting"), Some(1))
    );

    // The photo's own job fails for good: it is marked, and can be shown again once it is tried anew.
    let queue = node.desk.jobs();
    let job = queue.take("derive", i64::MAX, &[]).await.unwrap().unwrap();
    queue.bury(job.no, "no memory".to_owned()).await.unwrap();
    let running = tokio::spawn(node.desk.clone().work());
    let status = format!("/api/v1/photos/{id}");
    until(async || node.get(&kim, &status).await.expect(200)["state"] == "undecodable").await;
    let retry = format!("/api/v1/jobs/{}/retry", job.no);
    node.ask("POST", &retry).token(&kim).send().await.problem(403);
    node.ask("POST", &retry).token(&mia).send().await.expect(204);
    until(async || node.get(&kim, &status).await.expect(200)["state"] == "ready").await;
    node.ask("POST", &retry).token(&mia).send().await.problem(404);

    let discard = format!("/api/v1/jobs/{other}");
    node.ask("DELETE", &discard).token(&mia).send().await.expect(204);
    node.ask("DELETE", &discard).token(&mia).send().await.problem(404);
    assert_eq!(node.get(&mia, "/api/v1/jobs").await.expect(200)["items"], json!([]));

    // Headquarters' jobs are about every store: not for the manager of one.
    hub.get(&hub.login("mia").await, "/api/v1/jobs").await.problem(403);
    hub.get(&hub.login("hana").await, "/api/v1/jobs").await.expect(200);
    node.stop.cancel();
    running.abort();
}

#[tokio::test]
async fn a_closed_incident_has_its_report_before_anybody_asks() {
    let hub = Site::hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    let (incident, _) = hub.incident(&kim, json!({"description": "a broken window"})).await;
    hub.patch(&mia, &incident, &json!({"status": "in_review"})).await.expect(200);
    hub.patch(&mia, &incident, &json!({"status": "closed"})).await.expect(200);
    let running = tokio::spawn(hub.desk.runner().run(hub.stop.clone()));
    until(async || hub.desk.jobs().counts().await.unwrap().is_empty()).await;
    // From here on whoever reads it fails.
    hub.break_documents();
    let report = hub.get(&mia, &format!("{incident}/report.pdf")).await;
    assert_eq!((report.status.as_u16(), &report.bytes[..4]), (200, b"%PDF".as_slice()));
    hub.stop.cancel();
    running.await.unwrap();
}
