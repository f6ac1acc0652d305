//! Every page and state of both programs, as people who do not see or point look at it (axe-core), on a desk's and a phone's screen, light
//! and dark, in both languages; and what it costs to open one on a slow machine. `make axe` runs it; `target/debug/axe AXE.JS`.
//!
//! What axe-core calls serious or critical fails the run, as do a page that is wider than its screen, whatever a page or the browser
//! complains about, and what is over its budget (`budget`). What is moderate or minor is told. `--pictures FOLDER` keeps a picture of
//! each, to be looked at; `--only TEXT`, as often as wanted, looks at what has that in its name alone; `--budget` measures and nothing else,
//! `--looks` looks and measures nothing.

mod budget;
mod pages;
mod sites;

use aincident_tests::{Browser, Scratch, tell, wait_until};
use pages::{Deed, Visit};
use serde_json::{Value, json};
use sites::Sites;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Screens, schemes and languages, so that each is met by each other.
const LOOKS: [Look; 4] = [
    Look { width: 1440, height: 900, dark: false, lang: "en" },
    Look { width: 360, height: 740, dark: true, lang: "es" },
    Look { width: 360, height: 740, dark: false, lang: "en" },
    Look { width: 1440, height: 900, dark: true, lang: "es" },
];
/// Pixels of the longest page that is looked at as a whole.
const MOST_HIGH: u32 = 12_000;
/// How long a page may take to come back after a form was sent.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a page is looked at.
#[derive(Clone, Copy)]
struct Look {
    width: u32,
    height: u32,
    dark: bool,
    lang: &'static str,
}

impl Look {
    fn named(self) -> String {
        format!("{} {} {}", self.width, if self.dark { "dark" } else { "light" }, self.lang)
    }
}

/// What the run is asked for.
struct Plan {
    axe: String,
    pictures: Option<PathBuf>,
    only: Vec<String>,
    measures: bool,
    looks: bool,
}

fn plan() -> Result<Plan, String> {
    let mut words = std::env::args().skip(1);
    let axe = words.next().ok_or("name axe-core's axe.min.js: make axe does it")?;
    let axe = std::fs::read_to_string(&axe).map_err(|error| format!("{axe}: {error}; make axe installs it"))?;
    let mut plan = Plan { axe, pictures: None, only: Vec::new(), measures: true, looks: true };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--pictures" => plan.pictures = Some(PathBuf::from(words.next().ok_or("--pictures wants a folder")?)),
            "--only" => plan.only.push(words.next().ok_or("--only wants a part of a name")?),
            "--budget" => plan.looks = false,
            "--looks" => plan.measures = false,
            _ => {
                return Err(format!(
                    "unknown option {word}; there are --pictures FOLDER, --only TEXT, --budget and --looks"
                ));
            }
        }
    }
    Ok(plan)
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("axe: {wrong}");
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = &plan.pictures {
        std::fs::create_dir_all(folder).expect("a folder for pictures");
    }
    let mut sites = Sites::start().await;
    let scratch = Scratch::new("axe-browser");
    let browser = Browser::start(&scratch).await;
    let over = match plan.measures {
        true => budget::measure(&browser, &sites, &plan.only).await,
        false => Vec::new(),
    };
    let mut found = Found::default();
    if plan.looks {
        let visits = pages::visits(&sites);
        found.all(&browser, &sites, &plan, &visits).await;
        sites.cut().await;
        let visits = pages::cut_off(&sites);
        found.all(&browser, &sites, &plan, &visits).await;
        found.tell();
    }
    for line in &over {
        tell(&format!("  over: {line}"));
    }
    sites.end().await;
    if found.grave.is_empty() && over.is_empty() {
        tell("nothing serious, and everything within its budget");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Faults, and on which pages in which looks they are.
#[derive(Default)]
struct Found {
    grave: BTreeMap<String, Vec<String>>,
    slight: BTreeMap<String, Vec<String>>,
    looked: usize,
}

impl Found {
    async fn all(&mut self, browser: &Browser, sites: &Sites, plan: &Plan, visits: &[Visit]) {
        for look in LOOKS {
            for visit in visits {
                if visit.is_among(&plan.only) {
                    self.one(browser, sites, plan, visit, look).await;
                }
            }
        }
    }

    async fn one(&mut self, browser: &Browser, sites: &Sites, plan: &Plan, visit: &Visit, look: Look) {
        browser.size(look.width, look.height).await;
        let scheme =
            json!({"features": [{"name": "prefers-color-scheme", "value": if look.dark { "dark" } else { "light" }}]});
        browser.cdp("Emulation.setEmulatedMedia", scheme).await;
        open(browser, sites, visit, look.lang).await;
        self.looked += 1;
        let at = format!("{} [{}]", visit.name, look.named());
        let wide = browser.js("return document.documentElement.scrollWidth", &[]).await;
        if wide.as_u64() > Some(u64::from(look.width)) {
            self.grave.entry("wider than its screen".to_owned()).or_default().push(format!("{at}: {wide}"));
        }
        // All of it at once: what is not in sight is not drawn.
        let high = browser.js("return document.documentElement.scrollHeight", &[]).await.as_u64().unwrap_or_default();
        browser
            .size(look.width, u32::try_from(high).unwrap_or(look.height).clamp(look.height, MOST_HIGH))
            .await;
        if let Some(folder) = &plan.pictures {
            let name: String = at.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            std::fs::write(folder.join(format!("{name}.png")), browser.picture().await).expect("a picture");
        }
        for complaint in browser.complaints().await {
            // An answer that says no is one that the browser notes.
            if !complaint.contains("the server responded with a status of") {
                self.grave.entry(complaint).or_default().push(at.clone());
            }
        }
        for (is_grave, fault) in look_with_axe(browser, &plan.axe).await {
            let all = if is_grave { &mut self.grave } else { &mut self.slight };
            all.entry(fault).or_default().push(at.clone());
        }
    }

    fn tell(&self) {
        tell(&format!("axe-core: {} pages, states and looks", self.looked));
        for (grave, all) in [("", &self.grave), ("slight: ", &self.slight)] {
            for (fault, at) in all {
                tell(&format!("  {grave}{fault}\n    {} times, such as {}", at.len(), at[0]));
            }
        }
    }
}

/// Opens the page as whoever looks at it, and does what is done first.
async fn open(browser: &Browser, sites: &Sites, visit: &Visit, lang: &str) {
    browser.cdp("Network.clearBrowserCookies", json!({})).await;
    let mut cookies = vec![json!({"name": "aincident_lang", "value": lang, "url": visit.url})];
    if let Some(token) = sites.tokens.get(visit.who) {
        cookies.push(json!({"name": "aincident_session", "value": token, "url": visit.url, "httpOnly": true, "sameSite": "Strict"}));
    }
    browser.cdp("Network.setCookies", json!({ "cookies": cookies })).await;
    browser.go(&visit.url).await;
    for deed in &visit.deeds {
        match deed {
            Deed::Click(css) => {
                let script = "document.querySelector(arguments[0]).click()";
                browser.js(script, &[json!(css)]).await;
            }
            Deed::Type(css, text) => {
                let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1]; \
                    field.dispatchEvent(new Event('input', { bubbles: true }))";
                browser.js(script, &[json!(css), json!(text)]).await;
            }
            Deed::Send(css) => {
                let script = "window.before = true; const it = document.querySelector(arguments[0]); it.form.noValidate = true; \
                    it.form.requestSubmit(it.matches('button') ? it : undefined)";
                browser.js(script, &[json!(css)]).await;
                wait_until(&format!("what is sent by {css} to be answered"), PATIENCE, async || {
                    browser.js("return !window.before && document.readyState === 'complete'", &[]).await == json!(true)
                })
                .await;
            }
        }
    }
}

/// What axe-core finds on the page that is open, everything folded open; and whether it is serious or critical.
async fn look_with_axe(browser: &Browser, axe: &str) -> Vec<(bool, String)> {
    // Past the page's own policy, which lets no script in: as a developer's tool does.
    browser.cdp("Runtime.evaluate", json!({ "expression": axe })).await;
    let run = "(async () => { for (const d of document.querySelectorAll('details')) d.open = true; \
        const found = await axe.run(document, { resultTypes: ['violations'] }); \
        return JSON.stringify(found.violations.map((v) => [['serious', 'critical'].includes(v.impact), v.id, v.help, \
          v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))])); })()";
    let answer = browser
        .cdp("Runtime.evaluate", json!({ "expression": run, "awaitPromise": true, "returnByValue": true }))
        .await;
    let Some(text) = answer["result"]["value"].as_str() else {
        return vec![(true, format!("axe-core did not run: {answer}"))];
    };
    let found: Vec<(bool, String, String, Vec<String>)> = serde_json::from_str(text).unwrap_or_default();
    found
        .into_iter()
        .map(|(grave, id, help, nodes)| (grave, format!("{id}: {help}: {}", nodes.join(" | "))))
        .collect()
}

/// A number of an answer.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}
