//! Accounts.

use super::HubPages;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chassis::http::{Path, QueryPairs};
use desk::accounts::{self, AccountEdit, NewAccount};
use desk::actor::{Account, Role};
use desk::ledger::Store;
use desk::rules::{self, Act};
use desk::{Refusal, stores};
use pages::choice::{Choice, choices};
use pages::http::answer::{html_or_wrong, mendable};
use pages::http::form::Form;
use pages::http::{Oops, Person, go};
use pages::page::Page;
use sync_protocol::record::FieldError;
use sync_protocol::record::vocabulary::ACCOUNT_ROLES;
use uuid::Uuid;

/// Most accounts that are shown at once.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    p: Page,
    users: Vec<Account>,
    q: String,
    found: u64,
    roles: Vec<Choice>,
    stores: Vec<Store>,
    /// What was sent and cannot be taken: username, name, store.
    sent: [String; 3],
    wrong: Vec<FieldError>,
    said: bool,
    can_edit: bool,
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    p: Page,
    user: Account,
    roles: Vec<Choice>,
    wrong: Vec<FieldError>,
}

/// 200, for headquarters.
pub async fn page(State(state): State<HubPages>, person: Person, query: QueryPairs) -> Result<Response, Oops> {
    let q = query.one("q")?.unwrap_or_default().to_owned();
    let said = query.one("said")?.is_some();
    show(&state, person, Shown { q, said, role: "employee".to_owned(), ..Shown::default() }).await
}

#[derive(Default)]
struct Shown {
    q: String,
    role: String,
    sent: [String; 3],
    wrong: Vec<FieldError>,
    said: bool,
}

async fn show(state: &HubPages, person: Person, shown: Shown) -> Result<Response, Oops> {
    let Person { actor, page, .. } = person;
    let page = page.at("/users");
    rules::check(&actor, Act::SeeCompany)?;
    let mut users = accounts::list(&state.pages.desk, &actor).await?;
    let wanted = shown.q.trim().to_lowercase();
    users.retain(|user| {
        user.username.contains(&wanted)
            || user.display_name.to_lowercase().contains(&wanted)
            || user.store_code.as_ref().is_some_and(|code| code.to_lowercase() == wanted)
    });
    let found = users.len() as u64;
    users.truncate(MOST);
    let can_edit = rules::check(&actor, Act::Administer).is_ok();
    let is_wrong = !shown.wrong.is_empty();
    let view = UsersPage {
        users,
        q: shown.q,
        found,
        roles: choices(page.words, "role", ACCOUNT_ROLES, &[&shown.role]),
        stores: if can_edit {
            stores::list(&state.pages.desk, &actor).await?
        } else {
            Vec::new()
        },
        sent: shown.sent,
        wrong: shown.wrong,
        said: shown.said,
        can_edit,
        p: page,
    };
    html_or_wrong(is_wrong, &view)
}

/// 303 to the list with the account; 422 with the page again.
pub async fn add(State(state): State<HubPages>, person: Person, form: Form) -> Result<Response, Oops> {
    let sent = ["username", "display_name", "store_code"].map(|name| form.one(name).trim().to_owned());
    let [username, display_name, store_code] = sent.clone();
    let role = form.one("role").parse::<Role>().unwrap_or(Role::Employee);
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let new = NewAccount {
        username,
        display_name: filled(display_name),
        role,
        store_code: filled(store_code),
        password: form.one("password").to_owned(),
    };
    match accounts::add(&state.pages.desk, &person.actor, new).await {
        Ok(account) => Ok(go(&format!("/users?said=saved&{}", person.page.query("q", &account.username)))),
        Err(error) => {
            let wrong = mendable(error)?;
            show(&state, person, Shown { role: role.as_str().to_owned(), sent, wrong, ..Shown::default() }).await
        }
    }
}

async fn found(state: &HubPages, person: &Person, id: Uuid) -> Result<Account, Oops> {
    rules::check(&person.actor, Act::Administer)?;
    let users = accounts::list(&state.pages.desk, &person.actor).await?;
    users.into_iter().find(|user| user.id == id).ok_or_else(|| Refusal::NotFound.into())
}

fn user_page(person: Person, user: Account, wrong: Vec<FieldError>) -> Result<Response, Oops> {
    let page = person.page;
    // An account does not move between a store and headquarters.
    let fits: &[&str] = match user.role {
        Role::Employee | Role::Manager => &["employee", "manager"],
        Role::Hq | Role::Admin => &["hq", "admin"],
    };
    let roles = choices(page.words, "role", fits, &[user.role.as_str()]);
    html_or_wrong(!wrong.is_empty(), &UserPage { p: page, user, roles, wrong })
}

/// 200, for administrators.
pub async fn one(State(state): State<HubPages>, person: Person, Path(id): Path<Uuid>) -> Result<Response, Oops> {
    let user = found(&state, &person, id).await?;
    user_page(person, user, Vec::new())
}

/// 303 to the list; 422 with the page again.
pub async fn edit(
    State(state): State<HubPages>,
    person: Person,
    Path(id): Path<Uuid>,
    form: Form,
) -> Result<Response, Oops> {
    let user = found(&state, &person, id).await?;
    let name = form.one("display_name").trim();
    let edit = AccountEdit {
        display_name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        role: form.one("role").parse().ok(),
        store_code: None,
        active: Some(form.one("active") == "true"),
        password: Some(form.one("password").to_owned()).filter(|password| !password.is_empty()),
    };
    match accounts::edit(&state.pages.desk, &person.actor, id, edit).await {
        Ok(account) => Ok(go(&format!("/users?said=saved&{}", person.page.query("q", &account.username)))),
        Err(error) => user_page(person, user, mendable(error)?),
    }
}
