//! That a node is found in its network: looked for by an implementation that is not ours, in a network that the test makes.

use aincident_tests::process::{Ran, binary, run};
use aincident_tests::{Hub, Node, Scratch};
use serde_json::Value;
use std::process::Command;

/// Looks for the service in the network 192.168.77.0/24, tells what it finds, ends the node, and waits until it is taken back.
const READER: &str = r#"
import json, os, signal, sys, threading
from zeroconf import IPVersion, ServiceBrowser, ServiceListener, Zeroconf

kind, pid = "_aincident._tcp.local.", int(sys.argv[1])
added, removed = threading.Event(), threading.Event()

class Listener(ServiceListener):
    def add_service(self, zc, kind, name):
        self.name = name
        added.set()
    def update_service(self, zc, kind, name):
        pass
    def remove_service(self, zc, kind, name):
        removed.set()

zc = Zeroconf(interfaces=["192.168.77.6"], ip_version=IPVersion.V4Only)
listener = Listener()
ServiceBrowser(zc, kind, listener)
if not added.wait(15):
    sys.exit("nothing was found")
info = zc.get_service_info(kind, listener.name, timeout=10000)
if info is None:
    sys.exit("it does not say where it is")
texts = {k.decode(): v.decode() for k, v in info.properties.items()}
print(json.dumps({"name": info.name, "port": info.port, "server": info.server, "addresses": info.parsed_addresses(), "texts": texts}))
os.kill(pid, signal.SIGTERM)
if not removed.wait(15):
    sys.exit("it was not taken back")
zc.close()
"#;

/// A network of its own with two addresses (on the one interface that every kernel has), a node that serves it, and whoever looks for it. Python of the system: what the
/// package brings belongs to it.
const SCRIPT: &str = r#"
set -e
ip link set lo up
ip link set lo multicast on
ip address add 192.168.77.5/24 dev lo
ip address add 192.168.77.6/24 dev lo
ip route add 224.0.0.0/4 dev lo
"$1" serve --data-dir "$2" --listen 0.0.0.0:7710 $4 >"$2/serves" 2>"$2/log" &
node=$!
tries=200
until [ -s "$2/serves" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] && kill -0 "$node" || { cat "$2/log" >&2; exit 1; }
    sleep 0.1
done
/usr/bin/python3 -c "$3" "$node" || { kill -KILL "$node"; exit 1; }
wait "$node"
"#;

async fn looked_for(node: &Node, options: &str) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", SCRIPT, "sh"]);
    command.arg(binary("aincident-node")).arg(node.folder()).args([READER, options]);
    run(command, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_found_by_others_in_its_network_and_taken_back_when_it_ends() {
    let scratch = Scratch::new("announced");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::new(&scratch, &hub, "042", "node").await;
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    let told = looked_for(&node, "").await.ok("looking for it");
    let told: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(told["port"], 7710, "{told}");
    assert!(told["texts"]["store"] == "042" && told["texts"]["scheme"] == "https", "{told}");
    assert!(told["addresses"].as_array().unwrap().contains(&"192.168.77.5".into()), "{told}");
    assert!(told["name"].as_str().unwrap().starts_with("A.I.ncident 042 ("), "{told}");

    // Switched off, nobody finds it.
    let ran = looked_for(&node, "--mdns=false").await;
    assert!(ran.code == Some(1) && ran.stderr.contains("nothing was found"), "{}\n{}", ran.stdout, ran.stderr);
}
