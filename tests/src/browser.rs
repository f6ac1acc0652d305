//! Debian's Chromium, driven over WebDriver: what a person does at a page, and what they see there.

use crate::http::plain_client;
use crate::{Scratch, wait_for, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a page may take to show what is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// What WebDriver calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Whether what has the focus is that, what it is, and whether it can be seen that it has it: by an outline of itself, or of what stands
/// for a control that is not drawn; a part of the browser's own, such as the button of a calendar, shows itself.
const FOCUS: &str = "const it = document.activeElement; const seen = (of) => of && getComputedStyle(of).outlineStyle !== 'none' \
    && parseFloat(getComputedStyle(of).outlineWidth) >= 2 && of.getBoundingClientRect().height > 0; \
    const inner = !it.matches(':focus'); \
    return [it.matches(arguments[0]), it.outerHTML.slice(0, 160), !!(inner || seen(it) || seen(it.nextElementSibling) || seen(it.parentElement))];";

/// WebDriver's program.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends a process without warning.
fn end(pid: u64) {
    // The shell's own `kill`: it is there where procps is not.
    let _ = Command::new("sh").arg("-c").arg(format!("kill -KILL {pid} 2>/dev/null")).status();
}

/// A browser.
pub struct Browser {
    _driver: Driver,
    client: reqwest::Client,
    session: String,
    pid: u64,
    /// What it keeps from one start to the next.
    pub profile: PathBuf,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is ended leaves its browser behind.
        end(self.pid);
    }
}

impl Browser {
    /// Starts a browser that keeps things in the scratch folder, as large as a desk's screen.
    ///
    /// # Panics
    /// When Chromium or its driver is not there (`make test` installs both) or does not start.
    pub async fn start(scratch: &Scratch) -> Self {
        Self::with_profile(&scratch.join("chromium")).await
    }

    /// Like [`Browser::start`], with what an earlier one kept.
    ///
    /// # Panics
    /// As [`Browser::start`].
    pub async fn with_profile(profile: &Path) -> Self {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: `make test` installs it");
        let mut driver = Driver(driver);
        let mut lines = BufReader::new(driver.0.stdout.take().expect("its output is piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver says its port");
        // It goes on writing, and would stand still if nobody read.
        std::thread::spawn(move || lines.for_each(drop));
        let client = plain_client();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--window-size=1440,900".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let base = format!("http://127.0.0.1:{port}");
        let made = send(client.post(format!("{base}/session")).json(&wanted)).await.expect("a session");
        let id = made["sessionId"].as_str().expect("a session's id");
        let pid = made["capabilities"]["goog:processID"].as_u64().expect("the browser's process");
        Self {
            _driver: driver,
            session: format!("{base}/session/{id}"),
            client,
            pid,
            profile: profile.to_owned(),
        }
    }

    /// Kills the browser, as a phone does that needs its memory: nothing is closed in order.
    pub fn kill(self) {
        end(self.pid);
    }

    async fn call(&self, path: &str, body: Value) -> Result<Value, String> {
        send(self.client.post(format!("{}/{path}", self.session)).json(&body)).await
    }

    /// Opens an address.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn go(&self, url: &str) {
        self.call("url", json!({ "url": url })).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// What a script answers.
    ///
    /// # Panics
    /// When it fails.
    pub async fn js(&self, script: &str, args: &[Value]) -> Value {
        let answer = self.call("execute/sync", json!({ "script": script, "args": args })).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A command of Chromium's own protocol.
    ///
    /// # Panics
    /// When it fails.
    pub async fn cdp(&self, command: &str, params: Value) -> Value {
        let answer = self.call("goog/cdp/execute", json!({ "cmd": command, "params": params })).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// As large as a phone's or a desk's screen.
    pub async fn size(&self, width: u32, height: u32) {
        let params = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.cdp("Emulation.setDeviceMetricsOverride", params).await;
    }

    /// Whether there is a network.
    pub async fn online(&self, is: bool) {
        self.cdp("Network.enable", json!({})).await;
        let params = json!({"offline": !is, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.cdp("Network.emulateNetworkConditions", params).await;
    }

    /// The screen, as a PNG.
    ///
    /// # Panics
    /// When it cannot be taken.
    pub async fn picture(&self) -> Vec<u8> {
        let taken = self.cdp("Page.captureScreenshot", json!({})).await;
        let data = taken["data"].as_str().expect("a picture").replace('+', "-").replace('/', "_");
        chassis::secret::from_base64url(data.trim_end_matches('=')).expect("a picture")
    }

    async fn find(&self, css: &str) -> String {
        let what = format!("{css} on {}", self.url().await);
        let found = wait_for(&what, PATIENCE, async || {
            self.call("element", json!({"using": "css selector", "value": css})).await.ok()
        })
        .await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Clicks on it, as soon as it is there and can be.
    ///
    /// # Panics
    /// When it cannot be clicked in time.
    pub async fn click(&self, css: &str) {
        wait_until(&format!("{css} to be clicked"), PATIENCE, async || {
            let id = self.find(css).await;
            self.call(&format!("element/{id}/click"), json!({})).await.is_ok()
        })
        .await;
    }

    /// Types into it, key by key; for a file field: the file's path.
    ///
    /// # Panics
    /// When it takes nothing.
    pub async fn keys(&self, css: &str, text: &str) {
        let id = self.find(css).await;
        let answer = self.call(&format!("element/{id}/value"), json!({ "text": text })).await;
        answer.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses keys where the focus is.
    ///
    /// # Panics
    /// When nothing has it.
    pub async fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.call("actions", body).await.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    /// Presses a key while another one is held.
    ///
    /// # Panics
    /// When nothing has the focus.
    pub async fn press_with(&self, held: char, key: char) {
        let stroke = |kind: &str, key: char| json!({"type": kind, "value": key});
        let strokes = [stroke("keyDown", held), stroke("keyDown", key), stroke("keyUp", key), stroke("keyUp", held)];
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.call("actions", body).await.unwrap_or_else(|error| panic!("{key:?}: {error}"));
    }

    /// Presses Tab until what has the focus is `css`, at most `most` times; everything on the way shows that it has it.
    ///
    /// # Panics
    /// When it is not reached, or somebody who does not point could not see where they are.
    pub async fn tab_to(&self, css: &str, most: usize) {
        let mut on_the_way = Vec::new();
        for _ in 0..most {
            self.press("\u{e004}").await;
            let seen = self.js(FOCUS, &[json!(css)]).await;
            let what = seen[1].as_str().unwrap_or_default().to_owned();
            assert_eq!(seen[2], json!(true), "nothing shows that {what} has the focus");
            if seen[0] == json!(true) {
                return;
            }
            on_the_way.push(what);
        }
        panic!("{css} is not reached by {most} times Tab: {on_the_way:#?}");
    }

    /// The text that is read in it.
    pub async fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? null";
        self.js(script, &[json!(css)]).await.as_str().unwrap_or_default().to_owned()
    }

    /// How many there are.
    pub async fn count(&self, css: &str) -> u64 {
        self.js("return document.querySelectorAll(arguments[0]).length", &[json!(css)])
            .await
            .as_u64()
            .unwrap_or(0)
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.js("return location.href", &[]).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says so.
    pub async fn says(&self, words: &str) {
        let script = "return document.body?.innerText.includes(arguments[0]) ?? false";
        wait_until(&format!("a page that says {words:?}"), PATIENCE, async || {
            self.js(script, &[json!(words)]).await == json!(true)
        })
        .await;
    }

    /// Waits until the address has that in it.
    pub async fn is_at(&self, part: &str) {
        wait_until(&format!("an address with {part}"), PATIENCE, async || self.url().await.contains(part)).await;
    }

    /// Logs in at the login page of the site at `base`.
    pub async fn log_in(&self, base: &str, username: &str, password: &str) {
        self.go(&format!("{base}/login")).await;
        self.keys("input[name=username]", username).await;
        self.keys("input[name=password]", password).await;
        self.click("form[action='/login'] button").await;
        wait_until("to be logged in", PATIENCE, async || !self.url().await.contains("/login")).await;
    }

    /// What the page and the browser complained about so far, warnings and errors alone.
    ///
    /// # Panics
    /// When that cannot be read.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.call("se/log", json!({"type": "browser"})).await.expect("the browser's log");
        let lines = log.as_array().cloned().unwrap_or_default();
        let grave = lines.into_iter().filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        grave.filter_map(|line| line["message"].as_str().map(ToOwned::to_owned)).collect()
    }
}

async fn send(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.timeout(Duration::from_secs(60)).send().await.map_err(|error| error.to_string())?;
    let good = answer.status().is_success();
    let body: Value = answer.json().await.map_err(|error| error.to_string())?;
    let value = body["value"].clone();
    if good {
        Ok(value)
    } else {
        Err(value["message"].as_str().unwrap_or("no word why").to_owned())
    }
}
