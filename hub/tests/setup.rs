//! The first account of a hub, made at its pages by whoever can read its folder.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]

#[path = "support/mod.rs"]
mod support;

use aincident_hub::http::pages;
use aincident_hub::setup::{FILE, Setup};
use aincident_hub::site;
use axum::Router;
use axum::body::{Body, to_bytes};
use chassis::folder::DataFolder;
use desk::Desk;
use http::{Request, StatusCode};
use std::os::unix::fs::PermissionsExt as _;
use support::Scratch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

struct Empty {
    desk: Desk,
    app: Router,
    folder: DataFolder,
    _scratch: Scratch,
}

async fn empty() -> Empty {
    let scratch = Scratch::new();
    let folder = DataFolder::open(&scratch.0).unwrap();
    let (desk, _) = site::open(&folder, CancellationToken::new()).await.unwrap();
    let setup = Setup::prepare(desk.clone(), &folder).await.unwrap();
    let authority = std::sync::Arc::new(|| "0f".repeat(32).parse().ok());
    Empty {
        app: pages::routes(desk.clone(), setup, authority),
        desk,
        folder,
        _scratch: scratch,
    }
}

impl Empty {
    fn code(&self) -> String {
        std::fs::read_to_string(self.folder.join(FILE)).unwrap().trim().to_owned()
    }

    async fn get(&self, path: &str, cookie: &str) -> (StatusCode, String, String) {
        let request = Request::get(path)
            .header("host", "127.0.0.1")
            .header("cookie", cookie)
            .header("accept", "text/html");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, from: &str, body: String) -> (StatusCode, String, String) {
        let request = Request::post(path)
            .header("host", "127.0.0.1")
            .header("sec-fetch-site", from)
            .header("accept", "text/html")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Status, text, and the cookie that was set or where it leads to.
    async fn send(&self, request: Request<Body>) -> (StatusCode, String, String) {
        let answer = self.app.clone().oneshot(request).await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let said = header("set-cookie").or_else(|| header("location")).unwrap_or_default();
        let status = answer.status();
        let text = String::from_utf8(to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        (status, text, said)
    }
}

fn form(code: &str, username: &str, password: &str) -> String {
    format!("code={code}&username={username}&password={}", password.replace(' ', "+"))
}

#[tokio::test]
async fn the_first_account_needs_the_code_in_the_folder_which_is_good_once() {
    let hub = empty().await;
    let mode = std::fs::metadata(hub.folder.join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(hub.get("/login", "").await.2, "/setup");
    assert!(hub.get("/setup", "").await.1.contains("name=\"code\""));
    let code = hub.code();
    let (status, text, _) = hub.post("/setup", "same-origin", form("AAAA-BBBB-CCCC", "ada", "correct horse")).await;
    assert!(status == 422 && text.contains("is not the one in the file"), "{text}");
    let (status, text, _) = hub.post("/setup", "same-origin", form(&code, "ada", "short")).await;
    assert!(status == 422 && text.contains("must be 8 to 200 characters"), "{text}");
    assert_eq!(hub.post("/setup", "cross-site", form(&code, "ada", "correct horse")).await.0, 403);
    let (status, _, cookie) = hub.post("/setup", "same-origin", form(&code, "Ada", "correct horse")).await;
    assert!(status == 303 && cookie.starts_with("aincident_session="), "{cookie}");
    assert!(!hub.folder.join(FILE).exists());
    // Logged in, and shown what comes next.
    let (status, text, _) = hub.get("/", cookie.split(';').next().unwrap()).await;
    assert!(status == 200 && text.contains("Add the first store"), "{text}");
    let (status, _, to) = hub.post("/setup", "same-origin", form(&code, "eve", "correct horse")).await;
    assert_eq!((status.as_u16(), to.as_str()), (303, "/login"));
    assert_eq!(hub.get("/setup", "").await.2, "/login");
    assert_eq!(hub.desk.ledger().accounts(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hub_that_is_its_own_authority_tells_a_new_node_whom_to_trust_and_links_to_what_it_counts() {
    let hub = empty().await;
    let (_, _, cookie) = hub.post("/setup", "same-origin", form(&hub.code(), "ada", "correct horse")).await;
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ada = desk::actor::Actor::system("cli");
    let new = desk::stores::NewStore { code: "042".to_owned(), name: "Downtown".to_owned(), timezone: None };
    desk::stores::add(&hub.desk, &ada, new).await.unwrap();
    let request = Request::post("/stores/042/enrol")
        .header("host", "127.0.0.1")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", &cookie);
    let (status, text, _) = hub.send(request.body(Body::empty()).unwrap()).await;
    assert!(
        status == 200 && text.contains("--fingerprint 0F:0F:") && text.contains("its own certificate authority"),
        "{text}"
    );
    // The page is an answer to a form, and another language is chosen at the list.
    assert!(text.contains("name=\"next\" value=\"/stores\""), "{text}");
    let body = serde_json::json!({"description": "x", "severity": 2, "store_code": "042"});
    let body = body.as_object().unwrap().clone();
    desk::incidents::draft::create(&hub.desk, &ada, body, None).await.unwrap();
    let (_, text, _) = hub.get("/", &cookie).await;
    assert!(text.contains("severity_min=2") && text.contains("severity_max=2"), "{text}");
}

#[tokio::test]
async fn an_account_that_was_made_at_the_prompt_ends_the_setup_too() {
    let hub = empty().await;
    let code = hub.code();
    let new = desk::accounts::NewAccount {
        username: "ada".to_owned(),
        display_name: None,
        role: desk::actor::Role::Admin,
        store_code: None,
        password: "correct horse".to_owned(),
    };
    desk::accounts::add(&hub.desk, &desk::actor::Actor::system("cli"), new).await.unwrap();
    assert_eq!(hub.post("/setup", "same-origin", form(&code, "eve", "correct horse")).await.2, "/login");
    assert!(!hub.folder.join(FILE).exists());
    assert!(hub.get("/login", "").await.1.contains("name=\"password\""));
    let again = Setup::prepare(hub.desk.clone(), &hub.folder).await.unwrap();
    assert!(!again.is_due().await.unwrap() && !hub.folder.join(FILE).exists());
}
