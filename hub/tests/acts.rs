//! Acts that are no changes: what is done to rules of notifications, to jobs and to the folder itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod support;

use chassis::backup::PassphraseFrom;
use chassis::folder::DataFolder;
use chassis::ids::Ids;
use chassis::webhooks::WebhookLayer;
use desk::actor::Role;
use desk::backup::{self, Program, Restore};
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{ActQuery, Acts as _};
use desk::notifications::Notifier;
use serde_json::json;
use support::person::Person;
use support::{Hub, NOW_MS, Scratch};

#[tokio::test]
async fn rules_jobs_backups_and_restores_are_acts_that_tell_no_address_no_secret_and_no_path() {
    let hub = Hub::start().await;
    let webhooks = WebhookLayer::default().settle().unwrap();
    hub.desk.set_notifier(Notifier::new(None, webhooks, Box::new(pages::Letters)).unwrap());
    let ada = Person::new(&hub, "ada", Role::Admin, None).await;
    let url = "https://hooks.example.com/services/T0/s3cr3t";
    let rule = json!({"name": "Call Anna", "channel": "webhook", "url": url, "severity_min": 4});
    let made = ada.ask("POST", "/api/v1/notifications", Some(rule)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/notifications/{id}");
    assert_eq!(ada.ask("PATCH", &path, Some(json!({"name": "Anna", "severity_min": 5}))).await.status, 200);
    let renewed = ada.ask("POST", &format!("{path}/secret"), None).await.json();
    assert_eq!(ada.ask("POST", &format!("{path}/test"), None).await.status, 202);
    // Set aside, again, together, given up.
    let bury = async || {
        let job = hub.desk.jobs().take("notify", NOW_MS + 1, &[]).await.unwrap().unwrap();
        hub.desk.jobs().bury(job.no, "refused".to_owned()).await.unwrap();
        job.no
    };
    let no = bury().await;
    assert_eq!(ada.ask("POST", &format!("/api/v1/jobs/{no}/retry"), None).await.status, 204);
    bury().await;
    assert_eq!(ada.ask("POST", "/api/v1/notifications/dead/retry", None).await.json()["count"], 1);
    assert_eq!(ada.ask("POST", "/api/v1/notifications/dead/retry", None).await.json()["count"], 0);
    bury().await;
    assert_eq!(ada.ask("DELETE", &format!("/api/v1/jobs/{no}"), None).await.status, 204);
    assert_eq!(ada.ask("DELETE", &path, None).await.status, 204);
    assert_eq!(ada.ask("DELETE", &path, None).await.status, 404);
    let (folder, file) = (DataFolder::open(&hub.folder.0).unwrap(), hub.folder.0.join("annas.backup"));
    backup::make(&hub.desk, &folder, (Program::Hub, "1"), file.clone(), PassphraseFrom::default(), |_| ())
        .await
        .unwrap();

    let acts = ada.ask("GET", "/api/v1/acts", None).await.json();
    let told: Vec<(&str, &str)> = acts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| (act["act"].as_str().unwrap(), act["subject"].as_str().unwrap()))
        .take(9)
        .collect();
    let number = no.to_string();
    assert_eq!(
        told,
        [
            ("backed_up", ""),
            ("notification_removed", id),
            ("job_discarded", &number),
            ("jobs_retried", ""),
            ("job_retried", &number),
            ("notification_tested", id),
            ("notification_secret_renewed", id),
            ("notification_changed", id),
            ("notification_added", id),
        ]
    );
    assert_eq!(acts["items"][0]["by"], "system:cli");
    assert_eq!(acts["items"][3]["details"], json!({"jobs": 1}));
    assert_eq!(acts["items"][7]["details"]["fields"], json!(["name", "severity_min"]));
    assert_eq!(acts["items"][8]["details"]["receiver"], "https://hooks.example.com:443");
    let text = acts.to_string();
    for secret in ["s3cr3t", "Anna", "annas", made["secret"].as_str().unwrap(), renewed["secret"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let page = ada.page("/acts", 200).await;
    assert!(page.contains("Webhook&#39;s secret renewed") || page.contains("Webhook's secret renewed"), "{page}");
    assert!(page.contains("Backup made") && page.contains("All messages sent again"), "{page}");

    // Whoever puts it back is in the list of what was put back.
    let other = Scratch::new();
    let restored = DataFolder::open(&other.0).unwrap();
    let what = Restore { from: file, passphrase: PassphraseFrom::default(), replace: false };
    backup::restore(&restored, Program::Hub, what, &Ids::system(), NOW_MS + 1000).await.unwrap();
    let ledger = SqliteLedger::open(&restored.database(), Ids::system()).unwrap();
    let last = ledger.acts(ActQuery::default(), 1).await.unwrap().remove(0);
    assert_eq!((last.act.as_str(), last.by.as_str(), last.at_ms), ("restored", "system:cli", NOW_MS + 1000));
    hub.stop().await;
}
