//! A hub that is its own authority: nodes that were told to trust it sync over TLS, others do not get as far as the code, and nobody is
//! locked out when it becomes another one. A certificate of the company's is taken anew while the hub serves.

use aincident_tests::http::plain_client;
use aincident_tests::{Hub, Node, Scratch, wait_until};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_told_whom_to_trust_syncs_over_tls_and_one_that_was_not_keeps_its_code() {
    let scratch = Scratch::new("tls");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.start().await;
    assert!(hub.url().starts_with("https://127.0.0.1:"), "{}", hub.url());
    let authority = hub.folder().join("tls/ca.pem");
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    let code = hub.node_code("042").await;
    let url = hub.url().to_owned();
    let line = node.run(&["enroll", "--hub", &url, "--code", &code]).await.refused(1, "a stranger's certificate");
    assert!(line.contains("certificate") && line.contains("the code is still good"), "{line}");
    node.run(&["enroll", "--hub", &url, "--code", &code, "--ca", authority.to_str().unwrap()])
        .await
        .ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "over TLS" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;
    hub.audit().await;
    // The authority outlives a restart, and so does the trust in it.
    let port = hub.daemon().port();
    hub.stop().await;
    hub.listen_on(&format!("127.0.0.1:{port}"));
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "meanwhile" })).await.expect(201);
    hub.start().await;
    node.drained(&manager, Duration::from_secs(60)).await;
}

/// What `doctor` tells of the hub's authority.
async fn fingerprint(hub: &Hub) -> String {
    let told = hub.run(&["doctor"]).await.ok("doctor");
    told.lines()
        .find_map(|line| line.split_once("SHA-256 ").map(|(_, pin)| pin.trim().to_owned()))
        .expect("a fingerprint")
}

/// A hub that speaks TLS here, too, and stays at its address; its URL.
async fn over_tls(scratch: &Scratch) -> (Hub, String) {
    let mut hub = Hub::with_stores(scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.start().await;
    let url = hub.url().to_owned();
    hub.listen_on(url.strip_prefix("https://").unwrap());
    (hub, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_pinned_certificate_talks_to_no_other_hub_until_it_is_told_to() {
    let scratch = Scratch::new("pins");
    let (mut hub, url) = over_tls(&scratch).await;
    let pin = fingerprint(&hub).await;
    let wrong = pin.replace(&pin[..2], if pin.starts_with("00") { "11" } else { "00" });
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    let code = hub.node_code("042").await;
    let enroll = |url: &str, pin: &str| {
        let words = ["enroll", "--hub", url, "--code", &code, "--fingerprint", pin].map(str::to_owned);
        words.to_vec()
    };
    let run = async |words: Vec<String>| node.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let line = run(enroll(&url, &wrong)).await.refused(1, "another certificate");
    assert!(
        line.contains("not the pinned one") && line.contains(&pin) && line.contains("the code is still good"),
        "{line}"
    );
    assert_eq!(run(enroll(&url, "AB:CD")).await.code, Some(2));
    let plain = url.replace("https", "http");
    assert!(run(enroll(&plain, &pin)).await.refused(1, "without TLS").contains("no certificate"));
    run(enroll(&url, &pin.to_lowercase().replace(':', ""))).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "pinned" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;

    // The hub's certificate is another one at every start; its authority is the same.
    hub.stop().await;
    hub.start().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "renewed" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;

    // Somebody else's authority, at the same address.
    hub.stop().await;
    std::fs::rename(hub.folder().join("tls"), scratch.join("tls-of-before")).unwrap();
    hub.start().await;
    let anew = fingerprint(&hub).await;
    assert_ne!(anew, pin);
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "waits" })).await.expect(201);
    wait_until("the node to say what differs", Duration::from_secs(60), async || {
        let said = node.status().await["last_error"].to_string();
        said.contains("not the pinned one") && said.contains(&anew)
    })
    .await;
    assert_eq!(manager.get("/api/v1/sync").await.expect(200)["pending_changes"], 1);
    let line = node.run(&["trust", "--fingerprint", &wrong]).await.refused(1, "a third one");
    assert!(line.contains("nothing was changed"), "{line}");
    node.run(&["trust", "--fingerprint", &format!("{pin},{anew}")]).await.ok("both");
    node.drained(&manager, Duration::from_secs(60)).await;
    assert!(
        node.run(&["trust", "--unpin"])
            .await
            .refused(1, "no authority vouches")
            .contains("nothing was changed")
    );
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_own_authority_becomes_another_one_tells_its_nodes_first_and_locks_none_out() {
    let scratch = Scratch::new("next-authority");
    let (mut hub, url) = over_tls(&scratch).await;
    let file = hub.folder().join("tls/ca.pem");
    let ca = || std::fs::read_to_string(&file).unwrap();
    let (pin, before) = (fingerprint(&hub).await, ca());
    let mut nodes = Vec::new();
    for (name, told) in [("pinned", ["--fingerprint", &pin]), ("given", ["--ca", file.to_str().unwrap()])] {
        let mut node = Node::new(&scratch, &hub, "042", name).await;
        node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "1000");
        let code = hub.node_code("042").await;
        node.run(&[&["enroll", "--hub", &url, "--code", &code], &told[..]].concat()).await.ok("enroll");
        node.start().await;
        nodes.push(node);
    }
    let managers = [nodes[0].manager().await, nodes[1].manager().await];
    for (node, manager) in nodes.iter().zip(&managers) {
        let _ = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
        node.drained(manager, Duration::from_secs(60)).await;
        assert_eq!(node.status().await["believes"], json!([pin]));
    }
    // One of them is away when the hub gets a name that its authority cannot vouch for: that one waits.
    nodes[1].stop().await;
    hub.stop().await;
    // It is told with `hello`, which is said after a cut, and else once a day. The node itself has to miss it, not a command.
    wait_until("the first node to miss the hub", Duration::from_secs(60), async || {
        managers[0].get("/api/v1/sync").await.expect(200)["hub_reachable"] == false
    })
    .await;
    hub.env("AINCIDENT_HUB_TLS_NAMES", "incidents.example.com");
    hub.start().await;
    wait_until("the first node to believe the next authority", Duration::from_secs(60), async || {
        nodes[0].status().await["believes"].as_array().is_some_and(|believed| believed.len() == 2)
    })
    .await;
    wait_until("the hub to hear of that", Duration::from_secs(60), async || {
        let told = hub.run(&["doctor"]).await.stdout;
        told.lines()
            .any(|line| line.contains("next authority") && line.contains("1 nodes have not heard of it"))
    })
    .await;
    assert_eq!(ca(), before);
    // It comes back, hears of it, and the hub changes by itself.
    nodes[1].start().await;
    wait_until("the hub to use the next authority", Duration::from_secs(120), async || ca() != before).await;
    let after = fingerprint(&hub).await;
    assert_ne!(after, pin);
    for node in &nodes {
        // One of them is at another address now.
        let manager = &node.manager().await;
        assert_eq!(node.status().await["believes"], json!([pin, after]));
        let _ = manager.post("/api/v1/incidents", &json!({ "description": "after" })).await.expect(201);
        node.drained(manager, Duration::from_secs(60)).await;
    }
    // By command: prepared, told, and used at once.
    let told = hub.run(&["tls", "prepare"]).await.ok("tls prepare");
    assert!(told.starts_with("prepared: SHA-256 "), "{told}");
    let third = told.split("SHA-256 ").nth(1).and_then(|rest| rest.split(';').next()).unwrap().to_owned();
    let told = hub.run(&["tls", "switch"]).await.ok("tls switch");
    assert!(told.contains(&third) && told.contains(&after), "{told}");
    assert_eq!(fingerprint(&hub).await, third);
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_carried_to_the_hubs_next_machine() {
    let scratch = Scratch::new("carried-authority");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let file = scratch.join("authority.carried");
    let file = file.to_str().unwrap();
    hub.run(&["tls", "export", "--to", file]).await.refused(1, "there is none");
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.start().await;
    let pin = fingerprint(&hub).await;
    let told = hub.run(&["tls", "export", "--to", file]).await.ok("tls export");
    assert!(told.contains(&pin), "{told}");
    hub.run(&["tls", "export", "--to", file]).await.refused(1, "it is there already");
    let mut next = Hub::over("next", &scratch);
    next.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    next.run(&["tls", "import", "--from", file]).await.ok("tls import");
    next.start().await;
    assert_eq!(fingerprint(&next).await, pin);
}

/// Whether the site at `url` shows `certificate`.
async fn shows(url: &str, certificate: &str) -> bool {
    // For what a client needs once in a program.
    drop(plain_client());
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    // A client of its own: a new handshake.
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_swapped_is_shown_at_once_and_a_bad_pair_changes_nothing_and_is_told() {
    let scratch = Scratch::new("swapped");
    let folder = scratch.join("certificates");
    std::fs::create_dir(&folder).unwrap();
    let make = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem())
    };
    // As certbot does it: the names are links, and the links are replaced.
    let link = |to: &str, name: &str| {
        let part = folder.join(format!("{name}.part"));
        std::os::unix::fs::symlink(to, &part).unwrap();
        std::fs::rename(&part, folder.join(name)).unwrap();
    };
    let put = |no: usize, (certificate, key): &(String, String)| {
        for (name, text) in [("cert", certificate), ("key", key)] {
            std::fs::write(folder.join(format!("{name}{no}.pem")), text).unwrap();
            link(&format!("{name}{no}.pem"), &format!("{name}.pem"));
        }
    };
    let (old, new, last) = (make(), make(), make());
    put(1, &old);
    let mut hub = Hub::new(&scratch);
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.env("AINCIDENT_HUB_TLS_CERT", folder.join("cert.pem").to_str().unwrap());
    hub.env("AINCIDENT_HUB_TLS_KEY", folder.join("key.pem").to_str().unwrap());
    hub.start().await;
    let url = hub.url().to_owned();
    assert!(shows(&url, &old.0).await && !shows(&url, &new.0).await);
    // Long before the look that comes once a minute.
    put(2, &new);
    wait_until("the new certificate to be shown", Duration::from_secs(20), async || shows(&url, &new.0).await).await;
    // Another's key: the one that is shown stays.
    put(3, &(last.0.clone(), old.1.clone()));
    wait_until("the hub to say that they do not fit", Duration::from_secs(20), async || {
        hub.daemon().log_tail(200).contains("key.pem holds no usable key for that certificate")
    })
    .await;
    assert!(shows(&url, &new.0).await && !shows(&url, &last.0).await);
    put(4, &last);
    wait_until("the last one to be shown", Duration::from_secs(20), async || shows(&url, &last.0).await).await;
}
