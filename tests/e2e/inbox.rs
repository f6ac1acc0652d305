//! The drop folder: what a camera or a scanner leaves there becomes a file of its incident, whole and once.

use aincident_tests::pictures::noisy_jpeg;
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_becomes_a_file_of_its_incident() {
    let mut rng = Rng::announced("inbox");
    let scratch = Scratch::new("inbox");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let made = manager.post("/api/v1/incidents", &json!({ "description": "a broken window" })).await.expect(201);
    let (id, reference) = (made["id"].as_str().unwrap(), made["reference"].as_str().unwrap());
    let inbox = scratch.join("node-042").join("inbox");
    wait_until("the drop folder", PATIENCE, async || inbox.join("failed").is_dir()).await;

    // By name, by folder, half-written for a while, and nobody's; a link to somewhere else; a bomb; litter.
    fs::write(inbox.join(format!("{reference} door.jpg")), noisy_jpeg(&mut rng, 640, 480)).unwrap();
    fs::create_dir(inbox.join(id)).unwrap();
    let whole = noisy_jpeg(&mut rng, 800, 600);
    let mut slow = fs::File::create(inbox.join(id).join("scan.jpg")).unwrap();
    slow.write_all(&whole[..whole.len() / 2]).unwrap();
    let nobodys = noisy_jpeg(&mut rng, 320, 240);
    fs::write(inbox.join("IMG_0001.jpg"), &nobodys).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", inbox.join("passwd.txt")).unwrap();
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\x01\0\0\0\x01\0\0\x08\x03\0\0\0".to_vec();
    bomb.extend([0; 64]);
    fs::write(inbox.join(format!("{reference} bomb.png")), &bomb).unwrap();
    fs::write(inbox.join(".hidden.jpg"), b"x").unwrap();

    let photos = async || {
        let incident = manager.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
        incident["photos"].as_array().unwrap().clone()
    };
    let waiting = async || {
        let list = manager.get("/api/v1/inbox").await.expect(200);
        list["items"].as_array().unwrap().clone()
    };
    wait_until("the first file in its incident", PATIENCE, async || photos().await.len() == 1).await;
    // Open for longer than a file at rest would be waited for: the bomb, put there after it, is judged meanwhile.
    wait_until("the bomb set aside", PATIENCE, async || {
        inbox.join(format!("failed/{reference} bomb.png.reason.txt")).exists()
    })
    .await;
    assert!(photos().await.len() == 1 && inbox.join(id).join("scan.jpg").exists());
    slow.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(slow);
    wait_until("both files in their incident", PATIENCE, async || photos().await.len() == 2).await;
    wait_until("the other file on the list", PATIENCE, async || waiting().await.len() == 1).await;
    let names: Vec<Value> = photos().await.iter().map(|photo| photo["filename"].clone()).collect();
    assert!(
        names.contains(&json!(format!("{reference} door.jpg"))) && names.contains(&json!("scan.jpg")),
        "{names:?}"
    );
    assert_eq!(fs::read(inbox.join("done").join(id).join("scan.jpg")).unwrap(), whole);
    assert!(inbox.join("passwd.txt").is_symlink() && inbox.join(".hidden.jpg").exists());

    // A person says where the other one belongs.
    let item = waiting().await[0].clone();
    assert_eq!(item["filename"], "IMG_0001.jpg");
    let path = format!("/api/v1/inbox/{}", item["id"].as_str().unwrap());
    let filed = manager.post(&path, &json!({ "incident_id": id, "caption": "from the camera" })).await.expect(201);
    assert_eq!(filed["caption"], "from the camera");
    assert!(waiting().await.is_empty() && photos().await.len() == 3);
    let employee = node.employee().await;
    let _ = employee.get("/api/v1/inbox").await.problem(403);

    // What was dropped while nothing ran is found at start; the same content again adds nothing.
    node.stop().await;
    fs::write(inbox.join(format!("{reference} late.jpg")), noisy_jpeg(&mut rng, 400, 300)).unwrap();
    fs::write(inbox.join(id).join("again.jpg"), &whole).unwrap();
    node.start().await;
    let manager = manager.at(node.url());
    wait_until("the late file", PATIENCE, async || {
        let incident = manager.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
        incident["photo_count"] == 4 && inbox.join("done").join(id).join("again.jpg").exists()
    })
    .await;
}
