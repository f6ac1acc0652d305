//! `enroll` against a hub that misbehaves on request.

use std::path::{Path, PathBuf};

use aincident_node::config::EnrollConfig;
use aincident_node::enrolment::{self, EnrolError};
use aincident_node::site;
use chassis::folder::DataFolder;
use chassis::secret::Redacted;
use desk::Desk;
use desk::ledger::Identity;
use sync_protocol::message::path;
use tokio_util::sync::CancellationToken;

use crate::hub::{CODE, FakeHub, Mood, STORE};
use crate::machine::scratch;

fn config(folder: &Path, hub: &FakeHub) -> EnrollConfig {
    EnrollConfig {
        data_dir: folder.to_owned(),
        hub: hub.url.clone(),
        code: Redacted::new(CODE.to_owned()),
        ca: None,
        pins: Vec::new(),
        name: Some("till 1".into()),
        replace: false,
        plain_http: false,
    }
}

async fn enroll(config: EnrollConfig) -> Result<String, EnrolError> {
    enrolment::run(config, &mut Vec::new()).await
}

async fn open(folder: &PathBuf) -> (Desk, Identity) {
    site::open(&DataFolder::open(folder).unwrap(), CancellationToken::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_who_the_node_is_and_brings_the_accounts() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    for n in 0..3 {
        hub.add_account(&format!("ann{n}"));
    }
    let told = enroll(config(&folder, &hub)).await.unwrap();
    assert!(told.contains("store 042 (Downtown)") && told.contains("fetched 3 changes"), "{told}");
    let (desk, identity) = open(&folder).await;
    let Identity::Node(enrolment) = identity else {
        panic!("not enrolled")
    };
    assert_eq!((enrolment.store_code.as_str(), &enrolment.hub_url), (STORE, &hub.url));
    assert_eq!(desk.ledger().accounts(Some(STORE.into())).await.unwrap().len(), 3);
    let link = desk.ledger().link_state().await.unwrap();
    assert!(link.hub_reachable && link.pulled_changes == 3 && link.clock_offset_ms != 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_time_needs_a_word_and_begins_a_new_stream() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    enroll(config(&folder, &hub)).await.unwrap();
    let first = open(&folder).await.0.ledger().backlog().await.unwrap().origin;
    let refused = enroll(config(&folder, &hub)).await.unwrap_err().to_string();
    assert!(refused.contains("enrolled already") && refused.contains("--replace"), "{refused}");
    assert_eq!(hub.count(path::ENROL), 1, "the code was not touched");
    enroll(EnrollConfig { replace: true, ..config(&folder, &hub) }).await.unwrap();
    assert_ne!(open(&folder).await.0.ledger().backlog().await.unwrap().origin, first);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said_with_what_to_do_and_changes_nothing() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    let wrong = EnrollConfig { code: Redacted::new("NO".into()), ..config(&folder, &hub) };
    assert!(enroll(wrong).await.unwrap_err().to_string().contains("ask headquarters for a new one"));
    hub.once(path::ENROL, [Mood::Portal]);
    assert!(enroll(config(&folder, &hub)).await.unwrap_err().to_string().contains("login page"));
    hub.once(path::ENROL, [Mood::Lost]);
    assert!(enroll(config(&folder, &hub)).await.unwrap_err().to_string().contains("run the same again"));
    hub.once(path::ENROL, [Mood::Refuse(429, "too-many-attempts", Some(7))]);
    assert!(enroll(config(&folder, &hub)).await.unwrap_err().to_string().contains("try again in 7 s"));
    let nobody = EnrollConfig { hub: "http://127.0.0.1:1".into(), ..config(&folder, &hub) };
    assert!(enroll(nobody).await.unwrap_err().to_string().contains("the code is still good"));
    assert_eq!(open(&folder).await.1, Identity::Unenrolled);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_fails_leaves_a_folder_that_is_enrolled() {
    let (hub, folder) = (FakeHub::start().await, scratch());
    hub.add_account("ann");
    hub.once(path::PULL, [Mood::Lost, Mood::Portal]);
    enroll(config(&folder, &hub)).await.unwrap();
    hub.always(path::PULL, Mood::Refuse(403, "node-revoked", None));
    let incomplete = enroll(EnrollConfig { replace: true, ..config(&folder, &hub) }).await.unwrap_err();
    assert!(
        matches!(incomplete, EnrolError::Incomplete { .. }) && incomplete.to_string().contains("serve"),
        "{incomplete}"
    );
    assert!(matches!(open(&folder).await.1, Identity::Node(_)));
    std::fs::remove_dir_all(&folder).unwrap();
}
