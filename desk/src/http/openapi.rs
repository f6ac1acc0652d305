//! The OpenAPI document: what handlers say of themselves, and what is true of all of them.

use super::door::COOKIE_NAME;
use super::schema::Problem;
use std::collections::btree_map::Entry;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, HeaderBuilder, Info, License, OpenApi, Ref, RefOr, Required, Tag};
use utoipa::{PartialSchema, ToSchema};

const ABOUT: &str = "Incident reports of a company's stores: the same calls on a store's node and at headquarters' hub. \
Times are RFC 3339 UTC, ids are UUIDs, money is minor units and an ISO 4217 code. Errors are `application/problem+json`. Where it is \
counted how often one asks, `RateLimit-Policy` and `RateLimit` say how much is left; on the site's own machine it is not, unless \
`limits.loopback` says so.";

/// Tags in the order in which they are read.
const TAGS: [(&str, &str); 10] = [
    ("session", "Logging in and out"),
    ("incidents", "Recording, changing, finding and exporting incidents"),
    ("photos", "Photos of incidents"),
    ("settings", "What headquarters sets for its nodes"),
    ("stores", "Stores"),
    ("users", "Accounts"),
    ("events", "What changes, as it changes"),
    ("sync", "How a node stands with its hub, and what could not be taken"),
    ("fleet", "Headquarters' nodes"),
    ("site", "What a site does by itself"),
];

/// Finishes the document that the routes of a site make.
#[must_use]
pub fn complete(mut api: OpenApi) -> OpenApi {
    let mut info = Info::new("A.I.ncident", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    api.info = info;
    api.security = Some(vec![
        SecurityRequirement::new("bearer", [] as [&str; 0]),
        SecurityRequirement::new("cookie", [] as [&str; 0]),
    ]);
    for (path, item) in &mut api.paths.paths {
        if path.starts_with("/api/v1/") {
            for (method, operation) in operations(item) {
                add_problems(path, method, operation);
            }
        }
    }
    // A handler's description can say it of a type alone, which then may be null.
    let begins = api.paths.paths.get_mut("/api/v1/uploads").and_then(|item| item.post.as_mut());
    if let Some(RefOr::T(body)) = begins.and_then(|operation| operation.request_body.as_mut()) {
        body.required = Some(Required::False);
    }
    add_health(&mut api);
    let used =
        |tag: &str| api.paths.paths.values().any(|item| methods(item).any(|operation| is_tagged(operation, tag)));
    let tags = TAGS.iter().filter(|(name, _)| used(name)).map(|(name, about)| {
        let mut tag = Tag::new(*name);
        tag.description = Some((*about).to_owned());
        tag
    });
    api.tags = Some(tags.collect());
    add_components(api.components.get_or_insert_with(Components::new));
    api
}

fn is_tagged(operation: &Operation, tag: &str) -> bool {
    operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|name| name == tag))
}

fn methods(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.post, &item.patch, &item.put, &item.delete, &item.head, &item.options]
        .into_iter()
        .flatten()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("put", &mut item.put),
        ("delete", &mut item.delete),
        ("head", &mut item.head),
        ("options", &mut item.options),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// Calls without any parameter, which refuse those that are sent all the same.
const WITHOUT_PARAMETERS: [&str; 4] =
    ["/api/v1/users", "/api/v1/stores", "/api/v1/nodes/refused", "/api/v1/forks/{no}"];

/// What can contradict what is there, though no body says anything.
const CAN_CONTRADICT: [(&str, &str); 3] = [
    ("post", "/api/v1/notifications/{id}/secret"),
    ("delete", "/api/v1/incidents/{id}"),
    ("post", "/api/v1/incidents/{id}/restore"),
];

/// The problems that a call can end in follow from what it is: said once, for all of them. Where a handler says of one what it means
/// there, its words stay.
fn add_problems(path: &str, method: &str, operation: &mut Operation) {
    let writes = matches!(method, "post" | "patch" | "put" | "delete");
    let is_known = method != "options";
    let takes_body = operation.request_body.is_some();
    let takes_parameters = operation.parameters.as_ref().is_some_and(|all| all.iter().any(is_no_path_parameter));
    let refuses_parameters = method == "get" && WITHOUT_PARAMETERS.contains(&path);
    let of_incident = path.starts_with("/api/v1/incidents/{id}");
    let is_login = path == "/api/v1/login";
    let contradicts = takes_body || path.ends_with("}/retry") || CAN_CONTRADICT.contains(&(method, path));
    let problems = [
        (400, takes_body || takes_parameters || refuses_parameters, "The request cannot be understood"),
        (
            401,
            is_known,
            if is_login {
                "The username or the password is wrong"
            } else {
                "Nobody is logged in, or no longer"
            },
        ),
        (403, is_known, "Whoever is logged in may not do this"),
        (404, path.contains('{'), "There is no such thing, or none that one may see"),
        (409, writes && contradicts && !is_login, "It contradicts what is there"),
        (
            410,
            (of_incident && !path.ends_with("/restore")) || path.starts_with("/api/v1/photos/"),
            "The incident was deleted",
        ),
        (412, is_conditional(operation), "It was changed meanwhile"),
        (413, takes_body, "The body is too large"),
        (415, takes_body, "This kind of content is not read here"),
        (422, takes_body || takes_parameters || refuses_parameters, "Fields that cannot be taken, by name"),
        (
            429,
            true,
            if is_login {
                "Too many failures, of this name or from this address: wait"
            } else {
                "The account or the address asks too often"
            },
        ),
        (
            503,
            true,
            "Not at the moment; `not-enrolled` at a node that belongs to no store yet, `damaged` until what the disk has spoiled is mended",
        ),
        (
            507,
            writes,
            "`disk-full`: nothing can be written any more. Before that, `disk-low` for photos and files: reports are still taken",
        ),
    ];
    let told = &mut operation.responses.responses;
    for (status, applies, about) in problems {
        match told.entry(status.to_string()) {
            _ if !applies => {}
            Entry::Vacant(none) => {
                none.insert(RefOr::T(Response::new(about)));
            }
            Entry::Occupied(mut own) => {
                // It is a limit more, and not another one.
                if let (429, RefOr::T(own)) = (status, own.get_mut()) {
                    own.description = format!("{}. Also: {about}", own.description);
                }
            }
        }
    }
    for (status, response) in told {
        let (Ok(status @ 400..), RefOr::T(response)) = (status.parse(), response) else {
            continue;
        };
        if response.content.is_empty() {
            *response = problem(status, std::mem::take(&mut response.description));
        }
    }
}

fn is_conditional(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name.eq_ignore_ascii_case("if-match"),
        RefOr::Ref(_) => false,
    })
}

fn is_no_path_parameter(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
    match parameter {
        RefOr::T(parameter) => parameter.parameter_in != utoipa::openapi::path::ParameterIn::Path,
        RefOr::Ref(_) => true,
    }
}

fn problem(status: u16, about: String) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new().description(about).content("application/problem+json", content);
    if matches!(status, 429 | 503 | 507) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        response = response.header("Retry-After", header(seconds, "Seconds until the next try makes sense"));
    }
    if status == 429 {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        response = response
            .header("RateLimit-Policy", header(text(), "How much one may ask, where it is counted"))
            .header("RateLimit", header(text(), "How much of it is left, and until when it is whole again"));
    }
    response.build()
}

fn header(schema: ObjectBuilder, about: &str) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
}

/// What watches a site asks for: it needs no login, and is never refused for want of room.
fn add_health(api: &mut OpenApi) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let told = |states: &[&str]| {
        let state = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(states.iter().copied()));
        ObjectBuilder::new().property("status", state).required("status")
    };
    let by_name = |about: &str| {
        let reasons = ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(text()));
        reasons.description(Some(about)).build()
    };
    let notes = "What wants somebody's eye and keeps nobody from being served, by its name";
    let ready = told(&["ready"]).property("notes", by_name(notes));
    let not_ready = told(&["not ready"])
        .property("notes", by_name(notes))
        .property("failing", by_name("Why, by the name of what fails"))
        .required("failing");
    let json = |status: &str, about: &str, schema: ObjectBuilder| {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        (
            status.to_owned(),
            ResponseBuilder::new().description(about).content("application/json", content).build(),
        )
    };
    let figures = ContentBuilder::new().schema(Some(text())).build();
    let figures = ResponseBuilder::new()
        .description("The text format of Prometheus")
        .content("text/plain", figures)
        .build();
    let all = [
        (
            "/healthz",
            "is_alive",
            "Whether the program answers",
            vec![json("200", "It does", told(&["alive"]))],
        ),
        (
            "/readyz",
            "is_ready",
            "Whether the site can be used",
            vec![json("200", "It can", ready), json("503", "It cannot, at the moment", not_ready)],
        ),
        ("/metrics", "get_metrics", "What is measured", vec![("200".to_owned(), figures)]),
    ];
    for (path, id, summary, answers) in all {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag("site")
            .summary(Some(summary))
            .securities(Some([SecurityRequirement::default()]))
            .responses(ResponsesBuilder::new().responses_from_iter(answers));
        api.paths.add_path_operation(path, vec![HttpMethod::Get], operation.build());
    }
}

fn add_components(components: &mut Components) {
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    let mut parts = Vec::new();
    Problem::schemas(&mut parts);
    components.schemas.extend(parts);
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some("The `token` of a login".to_owned());
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    let cookie = ApiKeyValue::with_description(
        COOKIE_NAME,
        "Set by a login, for pages of this site; on the machine that serves it is called `aincident_session_PORT`",
    );
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
}
