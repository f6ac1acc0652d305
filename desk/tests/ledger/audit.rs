use crate::site::{T0, TestSite};
use chassis::ids::Ids;
use chassis::sqlite::rusqlite::Connection;
use desk::ledger::sqlite::SqliteLedger;
use desk::ledger::{Replication as _, Site as _};
use serde_json::json;

/// A node with some history; what `sql` does to its closed file must be told by the audit.
async fn faults_after(sql: &str) -> Vec<String> {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 30).await;
    let id = node.incident("kim", T0, json!({"description": "a ladder fell", "tags": ["ladder"]})).await;
    node.incident("kim", T0 + 1, json!({"description": "another one"})).await;
    node.edit("kim", T0 + 2, id, json!({"zone": "stockroom"})).await;
    node.child("kim", T0 + 3, "comment", id, json!({"body": "nobody hurt"})).await;
    node.child("lee", T0 + 4, "step", id, json!({"from": "submitted", "to": "closed"})).await;
    assert_eq!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    let TestSite { ledger, folder, .. } = node;
    drop(ledger);
    let path = folder.0.join("ledger.sqlite");
    let db = Connection::open(&path).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "the tampering has to hit something");
    drop(db);
    let ledger = SqliteLedger::open(&path, Ids::seeded(1)).unwrap();
    assert!(ledger.is_writable().await);
    ledger.audit().await.unwrap().faults
}

#[tokio::test]
async fn an_altered_change_is_found() {
    let faults =
        faults_after("UPDATE changes SET body = replace(body, 'ladder fell', 'ladder sang') WHERE seq = 1").await;
    assert!(faults.iter().any(|fault| fault.contains("altered")), "{faults:?}");
}

#[tokio::test]
async fn a_missing_change_is_found() {
    let faults = faults_after("DELETE FROM changes WHERE seq = 3").await;
    assert!(faults.iter().any(|fault| fault.contains("missing")), "{faults:?}");
}

#[tokio::test]
async fn a_cut_off_end_is_found() {
    let faults = faults_after("DELETE FROM changes WHERE seq = 5").await;
    assert!(faults.iter().any(|fault| fault.contains("its head says 5")), "{faults:?}");
}

#[tokio::test]
async fn a_table_that_says_something_else_than_the_changes_is_found() {
    for sql in [
        "UPDATE incidents SET status = 'void' WHERE status = 'closed'",
        "UPDATE documents SET doc = replace(doc, 'ladder', 'letter')",
        "UPDATE comments SET body = 'nobody knows'",
        "UPDATE records SET state = replace(state, 'stockroom', 'office')",
        "DELETE FROM documents",
        "DELETE FROM comments",
        "DELETE FROM incident_tags",
        "UPDATE incident_tags SET tag = 'letter'",
        "UPDATE incident_tags SET occurred_at_ms = 1",
        "INSERT INTO incident_values SELECT 'subcategory', 'x', occurred_at_ms, incident_id, incident_no FROM incident_tags",
        "DELETE FROM incident_words",
        "DELETE FROM incident_words_data WHERE id > 10",
    ] {
        let faults = faults_after(sql).await;
        assert!(!faults.is_empty(), "not noticed: {sql}");
    }
}
