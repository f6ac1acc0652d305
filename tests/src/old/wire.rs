//! The bytes of version 1.

use serde_json::Value;

/// The media type of a batch.
pub(super) const BATCH: &str = "application/vnd.aincident.batch+zstd";

/// 64 lower-case hexadecimal characters.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The link before a stream's first change.
pub(super) fn start(origin: &str) -> [u8; 32] {
    *blake3::hash(format!("aincident origin v1\n{origin}").as_bytes()).as_bytes()
}

/// The link after a change.
pub(super) fn extend(link: &[u8; 32], body: &str) -> [u8; 32] {
    let mut bytes = link.to_vec();
    bytes.extend_from_slice(&digest(body));
    *blake3::hash(&bytes).as_bytes()
}

/// Of the body, or of the whole that it says it is left of.
fn digest(body: &str) -> [u8; 32] {
    let of_whole = serde_json::from_str::<Value>(body).ok();
    let of_whole = of_whole.as_ref().and_then(|body| body["erased"].as_str()).filter(|text| text.len() == 64);
    match of_whole.and_then(|text| blake3::Hash::from_hex(text).ok()) {
        Some(hash) => *hash.as_bytes(),
        None => *blake3::hash(body.as_bytes()).as_bytes(),
    }
}

/// The proof of an answer.
pub(super) fn proof(secret: &str, nonce: &str, status: u16, body: &[u8]) -> String {
    let key = blake3::derive_key("aincident 2026-11 node credential: proof", secret.as_bytes());
    let mut proven = format!("{nonce}\n{status:03}\n").into_bytes();
    proven.extend_from_slice(body);
    blake3::keyed_hash(&key, &proven).to_hex().to_string()
}

/// Lines as one frame.
pub(super) fn pack(lines: &[String]) -> Vec<u8> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    zstd::bulk::compress(text.as_bytes(), 3).expect("a frame")
}

/// The lines of a frame.
pub(super) fn unpack(bytes: &[u8]) -> Vec<String> {
    let text = zstd::bulk::decompress(bytes, 64 << 20).expect("one zstd frame");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.ends_with('\n'), "the last line is not ended");
    text.lines().map(str::to_owned).collect()
}

/// Refuses members that version 1 did not have: a program of its time would have let them pass, but a hub that serves
/// version 1 does not send them.
pub(super) fn only(what: &str, value: &Value, members: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{what} is no object: {value}"));
    for name in object.keys() {
        assert!(members.contains(&name.as_str()), "{what} has {name}, which version 1 did not have: {value}");
    }
}
