//! Every page and state that there is, who looks at it, and what they do before they look.

use crate::sites::Sites;

/// What is done on a page before it is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// Clicks on it.
    Click(&'static str),
    /// Types into it.
    Type(&'static str, &'static str),
    /// Sends its form, by this button where it is one, whatever the browser itself would say of it.
    Send(&'static str),
}

/// A page, who looks at it, and in which state.
pub struct Visit {
    /// What it is called in the report.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whose session; empty: nobody's.
    pub who: &'static str,
    /// What is done first.
    pub deeds: Vec<Deed>,
}

impl Visit {
    /// Whether its name has any of these in it; where there are none, it is.
    pub fn is_among(&self, names: &[String]) -> bool {
        names.is_empty() || names.iter().any(|name| self.name.contains(name.as_str()))
    }
}

/// Visits of one site, gathered.
struct Of<'a> {
    site: &'static str,
    base: &'a str,
    who: &'static str,
    sites: &'a Sites,
    visits: Vec<Visit>,
}

impl Of<'_> {
    fn see(&mut self, path: &str) {
        self.after(path, "", &[]);
    }

    fn all(&mut self, paths: &[&str]) {
        paths.iter().for_each(|path| self.see(path));
    }

    /// `{incident}` and the like stand for ids, of no use in a report.
    fn after(&mut self, path: &str, state: &str, deeds: &[Deed]) {
        let mut at = path.to_owned();
        for (key, id) in &self.sites.ids {
            at = at.replace(&format!("{{{key}}}"), id);
        }
        let state = if state.is_empty() { String::new() } else { format!(", {state}") };
        let who = if self.who.is_empty() { "nobody" } else { self.who };
        self.visits.push(Visit {
            name: format!("{} {path}{state} ({who})", self.site),
            url: format!("{}{at}", self.base),
            who: self.who,
            deeds: deeds.to_vec(),
        });
    }
}

/// Pages that both programs have, with something on them.
const COMMON: &[&str] = &[
    "/incidents",
    "/incidents?severity_min=4&status=in_review",
    "/incidents?q=nothing+like+that",
    "/incidents?from=soon",
    "/incidents?deleted=true",
    "/incidents/new",
    "/incidents/{incident}",
    "/incidents/{plain}",
    "/incidents/{incident}/edit",
    "/incidents/{incident}/delete",
    "/incidents/{deleted}",
    "/reviews",
    "/reviews?settled=true",
    "/quarantine",
    "/quarantine?settled=true",
    "/drafts",
    "/nothing-here",
];
/// Headquarters' own.
const CONSOLE: &[&str] = &[
    "/",
    "/?from=soon",
    "/?from=2024-01-01",
    "/?store=042",
    "/fleet",
    "/fleet?alarms=true",
    "/fleet?q=nothing+like+that",
    "/fleet/{node}",
    "/fleet/{silent}",
    "/settings",
    "/settings?store=042",
    "/stores",
    "/stores?q=nothing+like+that",
    "/users",
    "/users?q=nothing+like+that",
    "/users/{user}",
    "/erasures",
    "/erasures/new",
    "/erasures/new?q=Zieli",
    "/erasures/new?incident={incident}",
    "/erasures/new?incident={plain}",
    "/notifications",
    "/notifications/{rule}",
    "/acts",
    "/acts?by=nobody",
];
/// A store's own.
const STORE: &[&str] = &[
    "/",
    "/sync",
    "/trends",
    "/trends?from=soon",
    "/inbox",
    "/notifications",
    "/on-phone",
    "/switch",
    "/pin",
    "/offline",
];
/// What an empty headquarters shows.
const EMPTY: &[&str] = &[
    "/",
    "/incidents",
    "/reviews",
    "/quarantine",
    "/drafts",
    "/fleet",
    "/settings",
    "/stores",
    "/users",
    "/erasures",
    "/notifications",
    "/acts",
];

/// Every visit there is while the line to headquarters is whole.
pub fn visits(sites: &Sites) -> Vec<Visit> {
    let of = |site, base, who| Of { site, base, who, sites, visits: Vec::new() };
    let mut fresh = of("first run", sites.fresh.url(), "");
    fresh.see("/setup");
    let wrong = [
        Deed::Type("input[name=code]", "AAAA-BBBB-CCCC"),
        Deed::Type("input[name=username]", "ada"),
        Deed::Type("input[name=password]", "correct horse battery"),
        Deed::Send("form[action='/setup'] input"),
    ];
    fresh.after("/setup", "with a wrong code", &wrong);
    let mut unenrolled = of("unenrolled", sites.unenrolled.url(), "");
    unenrolled.see("/");
    let mut empty = of("first day", sites.empty.url(), "first day");
    empty.all(EMPTY);
    let mut nobody = of("node", sites.node.url(), "");
    nobody.see("/login");
    let wrong = [
        Deed::Type("input[name=username]", "nobody"),
        Deed::Type("input[name=password]", "wrong horse"),
        Deed::Send("form[action='/login'] input"),
    ];
    nobody.after("/login", "with a wrong password", &wrong);
    let mut hub = of("hub", sites.hub.url(), "ada");
    hub.all(COMMON);
    hub.all(CONSOLE);
    bulk(&mut hub);
    hub.after("/stores", "an enrolment code", &[Deed::Send("form[action='/stores/042/enrol'] button")]);
    let wrong = [
        Deed::Type("input[name=code]", "4 2"),
        Deed::Type("input[name=name]", "x"),
        Deed::Send("input[name=code]"),
    ];
    hub.after("/stores", "with a code that is none", &wrong);
    hub.after(
        "/fleet/{silent}",
        "revoked without a reason",
        &[Deed::Send("form[action$='/revoke'] [name=reason]")],
    );
    hub.after("/incidents", "the menu", &[Deed::Click(".top-end details.drop summary")]);
    let mut guest = of("hub", sites.hub.url(), "lukasz at headquarters");
    guest.all(&["/incidents", "/fleet"]);
    let mut manager = of("node", sites.node.url(), "lukasz");
    manager.all(COMMON);
    manager.all(STORE);
    bulk(&mut manager);
    let field = "form.sheet textarea[name=description]";
    let differ = [
        Deed::Type("input[name=pin]", "2580"),
        Deed::Type("input[name=again]", "2581"),
        Deed::Type("input[name=password]", "x"),
        Deed::Send("input[name=pin]"),
    ];
    manager.after("/pin", "two that differ", &differ);
    manager.after("/incidents/{incident}/edit", "with a wrong amount", &wrong_amount());
    let mut employee = of("node", sites.node.url(), "ngoc");
    employee.all(&["/", "/incidents", "/incidents/{incident}", "/incidents/{plain}", "/trends", "/drafts"]);
    let typed = [
        Deed::Click("[name=category][value=hazard] + span"),
        Deed::Type(field, "A shelf came down in aisle 4"),
    ];
    employee.after("/", "something typed", &typed);
    [fresh, unenrolled, empty, nobody, hub, guest, manager, employee]
        .into_iter()
        .flat_map(|of| of.visits)
        .collect()
}

/// What is seen once the line is cut.
pub fn cut_off(sites: &Sites) -> Vec<Visit> {
    let mut cut = Of {
        site: "cut off",
        base: sites.node.url(),
        who: "lukasz",
        sites,
        visits: Vec::new(),
    };
    cut.all(&["/sync", "/incidents"]);
    cut.who = "ngoc";
    cut.all(&["/", "/sync"]);
    cut.visits
}

fn bulk(of: &mut Of<'_>) {
    let first = "li.row:nth-of-type(2) .choose input";
    of.after("/incidents", "one chosen", &[Deed::Click(first)]);
    let assign = [
        Deed::Click(first),
        Deed::Type(".bulk [name=assigned_to]", "lukasz"),
        Deed::Send(".bulk button[value=assign]"),
    ];
    of.after("/incidents", "one assigned", &assign);
    of.after("/incidents", "views", &[Deed::Click(".own-views > summary")]);
}

fn wrong_amount() -> Vec<Deed> {
    vec![Deed::Type("[name='loss.amount']", "a lot"), Deed::Send("[name='loss.amount']")]
}
