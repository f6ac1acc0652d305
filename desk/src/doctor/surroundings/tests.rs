use super::*;
use chassis::ids::Ids;
use std::os::unix::fs::PermissionsExt as _;

/// A data folder of its own, removed with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("aincident-around-{:016x}", Ids::system().random_u64())))
    }

    fn folder(&self) -> DataFolder {
        DataFolder::open(&self.0).unwrap()
    }

    /// A file in it with `mode`.
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        set_mode(&path, mode);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn layer<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    Some(chassis::config::parse(text).unwrap())
}

fn of(found: &[Finding], check: &str) -> Finding {
    found
        .iter()
        .find(|one| one.check == check)
        .unwrap_or_else(|| panic!("no {check} in {found:?}"))
        .clone()
}

#[test]
fn what_others_may_read_is_told_with_the_command_that_ends_it() {
    let scratch = Scratch::new();
    let folder = scratch.folder();
    let config = scratch.file("node.toml", "code = 'X'\n", 0o640);
    let password = scratch.file("password", "secret", 0o640);
    let mail =
        format!("host = 'mail'\nfrom = 'a@example.com'\nusername = 'a'\npassword_file = '{}'", password.display());
    let around = Surroundings::of(Some(config.clone()), true, layer(&mail), None, None, None, None);
    assert_eq!(around.access(folder.path()).state, Health::Ok, "{:?}", around.access(folder.path()));
    set_mode(folder.path(), 0o755);
    set_mode(&config, 0o644);
    set_mode(&password, 0o604);
    let found = around.access(folder.path());
    assert_eq!(found.state, Health::Warn);
    for told in [
        format!("(mode 755): chmod 700 {}", folder.path().display()),
        format!("chmod o= {}", config.display()),
        format!("chmod o= {}", password.display()),
    ] {
        assert!(found.detail.contains(&told), "no {told} in {}", found.detail);
    }
    std::fs::remove_file(&password).unwrap();
    let found = around.access(folder.path());
    assert!(found.state == Health::Fail && found.detail.contains("cannot be read"), "{}", found.detail);
    // A file without a secret is everybody's to read.
    let around = Surroundings::of(Some(config), false, None, None, None, None, None);
    set_mode(folder.path(), 0o700);
    assert_eq!(around.access(folder.path()).state, Health::Ok);
}

#[test]
fn a_certificate_of_the_companys_is_told_of_three_weeks_before_its_end_and_fails_after_it() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let scratch = Scratch::new();
    let folder = scratch.folder();
    // Made once, good until 2035-01-01T00:00:00Z.
    let cert = scratch.file("cert.pem", include_str!("cert.pem"), 0o644);
    let until_ms = 2_051_222_400_000;
    let at = |now_ms: i64| certificate(&cert, now_ms);
    assert_eq!(at(until_ms - 22 * DAY_MS).state, Health::Ok);
    let soon = at(until_ms - 20 * DAY_MS);
    assert!(
        soon.state == Health::Warn && soon.detail.contains("only until 2035-01-01T00:00:00"),
        "{}",
        soon.detail
    );
    let ended = at(until_ms);
    assert!(ended.state == Health::Fail && ended.detail.contains("no longer good"), "{}", ended.detail);
    let none = scratch.file("none.pem", "none", 0o644);
    assert_eq!(certificate(&none, 0).state, Health::Fail);
    // And it is looked at where the configuration names it; so is the authority of webhooks.
    let tls = TlsLayer { cert: Some(cert.clone()), ..TlsLayer::default() };
    let webhooks = |ca: &Path| layer(&format!("ca = '{}'", ca.display()));
    let found =
        Surroundings::of(None, false, None, webhooks(&cert), Some(tls), None, None).look(folder.path(), until_ms);
    assert_eq!(of(&found, "certificate").state, Health::Fail);
    assert_eq!(of(&found, "webhooks").state, Health::Ok);
    let found = Surroundings::of(None, false, None, webhooks(&none), None, None, None).look(folder.path(), 0);
    let told = of(&found, "webhooks");
    assert!(told.state == Health::Fail && told.detail.contains("webhooks.ca"), "{}", told.detail);
}

#[tokio::test]
async fn a_mail_server_is_asked_whether_it_would_and_nothing_is_sent() {
    let scratch = Scratch::new();
    let password = scratch.folder().join("password");
    std::fs::write(&password, "wrong").unwrap();
    set_mode(&password, 0o600);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(talk(listener));
    let config = |more: &str| {
        let text = format!("host = '127.0.0.1'\nport = {port}\ntls = 'none'\nfrom = 'a@example.com'\n{more}");
        let around = Surroundings::of(None, false, layer(&text), None, None, None, None);
        around.mail.unwrap()
    };
    let well = try_mail(&config("")).await;
    assert!(well.state == Health::Ok && well.detail.contains("nothing was sent"), "{}", well.detail);
    let account = format!("username = 'a'\npassword_file = '{}'\n", password.display());
    let refused = try_mail(&config(&account)).await;
    assert!(refused.state == Health::Fail && refused.detail.contains("not you"), "{}", refused.detail);
    // A password that only the service has is nobody's fault.
    let elsewhere = try_mail(&config("username = 'a'\n")).await;
    assert!(elsewhere.state == Health::Ok && elsewhere.detail.contains("not tried"), "{}", elsewhere.detail);
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled(), "it was sent something");
    let gone = try_mail(&config("")).await;
    assert!(gone.state == Health::Fail && gone.detail.contains(&port.to_string()), "{}", gone.detail);
}

/// A server of mail that lets nobody log in, and panics when somebody would send.
async fn talk(listener: tokio::net::TcpListener) {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    while let Ok((stream, _)) = listener.accept().await {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 mail.test\r\n").await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            assert!(!line.starts_with("MAIL") && !line.starts_with("DATA"), "{line}");
            let answer = match line.get(..4) {
                Some("EHLO") => "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n",
                Some("AUTH") => "535 not you\r\n",
                _ => "250 fine\r\n",
            };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
            line.clear();
        }
    }
}

#[test]
fn settings_that_cannot_be_used_are_a_finding_and_no_reason_to_find_nothing() {
    let disk = DiskLayer { reserve_mib: Some(5000), ..DiskLayer::default() };
    let backup = ScheduleLayer { folder: Some("nightly".into()), ..ScheduleLayer::default() };
    let around = Surroundings::of(None, false, layer("host = 'mail'"), None, None, Some(backup), Some(disk));
    assert!(around.mail.is_none() && around.faults[0].contains("mail.from"));
    assert!(around.backups.is_none() && around.faults[1].contains("backup.folder"));
    assert!(around.disk == Bounds::default() && around.faults[2].contains("disk.reserve_mib"));
}
