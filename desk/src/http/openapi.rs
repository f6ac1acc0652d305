//! The OpenAPI document: what handlers say of themselves, and what is true of all of them.

use super::door::COOKIE_NAME;
use super::schema::Problem;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, HeaderBuilder, Info, License, OpenApi, Ref, RefOr, Tag};
use utoipa::{PartialSchema, ToSchema};

const ABOUT: &str = "Incident reports of a company's stores: the same calls on a store's node and at headquarters' hub. \
Times are RFC 3339 UTC, ids are UUIDs, money is minor units and an ISO 4217 code. Errors are `application/problem+json`. Where it is \
counted how often one asks, `RateLimit-Policy` and `RateLimit` say how much is left; on the site's own machine it is not.";

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
    [&item.get, &item.post, &item.patch, &item.put, &item.delete, &item.head].into_iter().flatten()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("put", &mut item.put),
        ("delete", &mut item.delete),
        ("head", &mut item.head),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

/// The problems that a call can end in follow from what it is: said once, for all of them.
/// Lists without any parameter, which refuse those that are sent all the same.
const LISTS: [&str; 2] = ["/api/v1/users", "/api/v1/stores"];

fn add_problems(path: &str, method: &str, operation: &mut Operation) {
    let writes = method != "get" && method != "head";
    let takes_body = operation.request_body.is_some();
    let takes_parameters = operation.parameters.as_ref().is_some_and(|all| all.iter().any(is_no_path_parameter));
    let of_incident = path.starts_with("/api/v1/incidents/{id}");
    let is_login = path == "/api/v1/login";
    let problems = [
        (400, takes_body || takes_parameters, "The request cannot be understood"),
        (
            401,
            true,
            if is_login {
                "The username or the password is wrong"
            } else {
                "Nobody is logged in, or no longer"
            },
        ),
        (403, true, "Whoever is logged in may not do this"),
        (404, path.contains('{'), "There is no such thing, or none that one may see"),
        (409, writes && (takes_body || path.ends_with("/retry")) && !is_login, "It contradicts what is there"),
        (
            410,
            (of_incident && !path.ends_with("/restore")) || path.starts_with("/api/v1/photos/"),
            "The incident was deleted",
        ),
        (412, of_incident && matches!(method, "patch" | "delete"), "It was changed meanwhile"),
        (413, takes_body, "The body is too large"),
        (415, takes_body, "This kind of content is not read here"),
        (422, takes_body || takes_parameters || LISTS.contains(&path), "Fields that cannot be taken, by name"),
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
        (507, writes, "The disk is full"),
    ];
    for (status, applies, about) in problems {
        if applies {
            operation
                .responses
                .responses
                .entry(status.to_string())
                .or_insert_with(|| RefOr::T(problem(about, matches!(status, 429 | 503 | 507))));
        }
    }
}

fn is_no_path_parameter(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
    match parameter {
        RefOr::T(parameter) => parameter.parameter_in != utoipa::openapi::path::ParameterIn::Path,
        RefOr::Ref(_) => true,
    }
}

fn problem(about: &str, says_when: bool) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(about).content("application/problem+json", content);
    if !says_when {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let header = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds until the next try makes sense"))
        .build();
    response.header("Retry-After", header).build()
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
