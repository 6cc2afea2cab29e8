//! The description of the API, OpenAPI 3.1, put together from what stands beside each handler. The refusals in it are
//! rendered by the code that refuses, so they cannot drift from it.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use onelogin::models::{ErrorBody, StatusBody};
use serde_json::Value;
use url::Url;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Server};
use utoipa::{IntoResponses, OpenApi};

use super::App;
use super::error::{Error, V1Error};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "factord",
        description = "Multi-factor authentication, wire-compatible with OneLogin's MFA API v2.",
    ),
    tags(
        (name = "MFA", description = "Factors, registrations, devices, verifications and temporary tokens"),
        (name = "App", description = "What the authenticator app of OneLogin Protect speaks"),
        (name = "Users", description = "The people whose factors are kept"),
        (name = "OAuth 2", description = "Bearer tokens for applications"),
        (name = "Calls", description = "For the gateway that makes the calls"),
        (name = "Operation", description = "For whoever runs the service"),
    ),
    components(schemas(ErrorBody, StatusBody, V1Error)),
)]
struct Description;

/// The description without its operations.
pub(super) fn base(public_url: &Url) -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    description.servers = Some(vec![Server::new(public_url.as_str().trim_end_matches('/'))]);
    let components = description.components.get_or_insert_default();
    for (name, scheme) in [
        ("bearer", HttpAuthScheme::Bearer),
        ("basic", HttpAuthScheme::Basic),
    ] {
        components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
    }
    description
}

/// GET /openapi.json: written once, at the start.
pub(super) fn route(description: &utoipa::openapi::OpenApi) -> Router<App> {
    let text = Bytes::from(serde_json::to_vec(description).unwrap_or_default());
    let json = HeaderValue::from_static("application/json");
    let handler = async move || ([(CONTENT_TYPE, json)], text);
    Router::new().route("/openapi.json", get(handler))
}

/// Declares what an operation may refuse, as `utoipa` asks for it.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident => $render:ident [$($part:expr),* $(,)?];)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    $render([$($part),*].concat())
                }
            }
        )*
    };
}

refusals! {
    /// Of an operation that reads of a user.
    Reading => current [let_in(), of_user(), ours()];
    /// Of an operation on one thing of a user.
    ReadingOne => current [let_in(), of_user(), of_thing(), ours()];
    /// Of the start of an enrolment.
    Enrolling => current [let_in(), of_user(), of_body(), active(), values(&["factor_id"]), messages(), ours()];
    /// Of a challenge, and of a code that is checked at once.
    Challenging => current [let_in(), of_user(), of_thing(), of_body(), active(), values(&["expires_in"]), codes(), messages(), ours()];
    /// Of a code for something that is pending.
    Answering => current [let_in(), of_user(), of_thing(), of_body(), active(), values(&["device_id"]), codes(), not_by_code(), ours()];
    /// Of what a hosted page sends.
    OnPage => current [of_thing(), of_body(), active(), vec![Error::Unauthorized, Error::Disabled, Error::FactorDisabled], ours()];
    /// Of issuing a temporary token.
    Issuing => current [let_in(), of_user(), of_body(), active(), values(&["expires_in"]), ours()];
    /// Of listing users.
    Listing => current [let_in(), query(), values(&["limit"]), ours()];
    /// Of creating a user.
    Creating => current [let_in(), of_body(), values(&["phone"]), ours()];
    /// Of changing a user.
    Updating => current [let_in(), of_user(), of_body(), values(&["phone"]), ours()];
    /// Of an app that is activated.
    AppActivating => current [of_body(), values(&["public_key"]), unproven(), active(), ours()];
    /// Of an app that asks what waits.
    AppListing => current [of_body(), values(&["wait"]), unproven(), ours()];
    /// Of an app's answer.
    AppAnswering => current [of_body(), unproven(), active(), ours()];
    /// Of whoever asks whether the process is ready.
    Ready => current [vec![Error::Unavailable]];
    /// Of the outbox and the events of `factord dev`.
    DevReading => current [foreign(), query(), values(&["user_id"]), ours()];
    /// Of the faults of `factord dev`.
    DevFaults => current [foreign(), of_body(), values(&["channel", "outcome", "count"]), ours()];
    /// Of what of `factord dev` takes nothing.
    DevPlain => current [foreign(), ours()];
    /// Of the previews of the messages of `factord dev`.
    DevMessages => current [foreign(), vec![Error::NoSuchPath], ours()];
    /// Of the clock of `factord dev`.
    DevWriting => current [foreign(), of_body(), values(&["advance_seconds"]), ours()];
    /// Of the calls of `factord dev`.
    DevCalling => current [foreign(), of_thing(), of_body(), values(&["hang_up"]), ours()];
    /// Of what gateways ask of a call.
    OfGateways => current [vec![Error::Forged], of_gateway(), ours()];
    /// Of what gateways report of a call.
    OfReports => current [vec![Error::Forged], of_gateway(), values(&["digits"]), ours()];
    /// Of the token endpoints.
    TokenErrors => older [vec![Error::InvalidClient], of_body(), ours()];
    /// Of reading the rate limit.
    RateLimitErrors => older [vec![Error::InvalidCredentials(true)], ours()];
}

fn let_in() -> Vec<Error> {
    vec![
        Error::InvalidCredentials(true),
        Error::ScopeTooSmall,
        Error::TooManyRequests(1800),
    ]
}

fn of_user() -> Vec<Error> {
    let malformed = Error::bad_request("user_id must be a positive integer of at most 64 bits");
    vec![malformed, Error::NoSuchUser]
}

fn of_thing() -> Vec<Error> {
    vec![Error::NotFound]
}

fn of_body() -> Vec<Error> {
    vec![
        Error::bad_request(
            "expires_in: invalid type: a boolean, expected an integer or a decimal string",
        ),
        Error::RequestTimeout,
        Error::PayloadTooLarge,
        Error::UnsupportedMediaType,
    ]
}

fn of_gateway() -> Vec<Error> {
    vec![
        Error::bad_request("the body must be a JSON object"),
        Error::RequestTimeout,
        Error::PayloadTooLarge,
    ]
}

fn query() -> Vec<Error> {
    vec![Error::bad_request(
        "the query cannot be read: duplicate field `limit`",
    )]
}

fn active() -> Vec<Error> {
    vec![Error::NotActive]
}

fn values(names: &[&'static str]) -> Vec<Error> {
    vec![Error::Invalid(names.to_vec())]
}

fn codes() -> Vec<Error> {
    vec![
        Error::Unauthorized,
        Error::Delayed(30),
        Error::Paused(900),
        Error::Disabled,
        Error::FactorDisabled,
        Error::TooManyTries(60),
    ]
}

fn unproven() -> Vec<Error> {
    vec![Error::Unauthorized]
}

fn not_by_code() -> Vec<Error> {
    vec![Error::NotByCode]
}

fn messages() -> Vec<Error> {
    vec![Error::TooManyMessages(600)]
}

fn foreign() -> Vec<Error> {
    vec![Error::Foreign]
}

fn ours() -> Vec<Error> {
    vec![Error::Internal, Error::Unavailable]
}

fn current(errors: Vec<Error>) -> BTreeMap<String, RefOr<Response>> {
    responses(errors, "ErrorBody", |error| {
        serde_json::to_value(error.body())
    })
}

fn older(errors: Vec<Error>) -> BTreeMap<String, RefOr<Response>> {
    responses(errors, "V1Error", |error| serde_json::to_value(error.v1()))
}

/// One response a status, with each of its errors as an example.
fn responses(
    errors: Vec<Error>,
    schema: &str,
    render: impl Fn(&Error) -> serde_json::Result<Value>,
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<_, Vec<Error>>::new();
    for error in errors {
        by_status.entry(error.status()).or_default().push(error);
    }
    by_status
        .into_iter()
        .map(|(status, errors)| {
            let examples = errors.iter().enumerate().map(|(index, error)| {
                let example = ExampleBuilder::new().value(render(error).ok()).build();
                (format!("{}", index + 1), example)
            });
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(schema)))
                .examples_from_iter(examples)
                .build();
            let mut response = ResponseBuilder::new()
                .description(status.canonical_reason().unwrap_or_default())
                .content("application/json", content);
            if errors.iter().any(|error| error.retry_after().is_some()) {
                let retry_after = HeaderBuilder::new()
                    .description(Some("Whole seconds after which it may be tried again"));
                response = response.header("Retry-After", retry_after.build());
            }
            (status.as_str().to_owned(), response.build().into())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::http::tests::Server;

    async fn description(server: &Server) -> Value {
        server.client_by("").get("/openapi.json").await.body
    }

    /// Every value in a document, with the key that it stands under.
    fn walk<'a>(value: &'a Value, see: &mut dyn FnMut(&'a str, &'a Value)) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                see(name, value);
                walk(value, see);
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
            _ => {}
        }
    }

    #[tokio::test]
    async fn every_operation_names_each_status_that_it_may_answer() {
        let description = description(&Server::new()).await;
        assert_eq!(description["openapi"], "3.1.0");
        assert_eq!(description["servers"][0]["url"], "http://localhost:8080");
        let mut lines = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let statuses: Vec<_> = operation["responses"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(String::as_str)
                    .collect();
                let id = operation["operationId"].as_str().unwrap();
                lines.push(format!(
                    "{} {path} ({id}): {}",
                    method.to_uppercase(),
                    statuses.join(" ")
                ));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[tokio::test]
    async fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let description = description(&Server::new()).await;
        let (mut references, mut names) = (0, Vec::new());
        walk(&description, &mut |name, value| match name {
            "$ref" => {
                references += 1;
                let target = value.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(description.pointer(target).is_some(), "{target}");
            }
            "operationId" => names.push(value.as_str().unwrap()),
            _ => {}
        });
        assert!(references > 50);
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[tokio::test]
    async fn every_write_and_every_success_has_an_example() {
        let description = description(&Server::new()).await;
        let has_example =
            |content: &Value| content.get("example").is_some() || content.get("examples").is_some();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let success = ["200", "201"]
                    .iter()
                    .filter_map(|status| operation["responses"].get(status));
                for content in
                    success.filter_map(|response| response["content"].get("application/json"))
                {
                    let plain = ["/healthz", "/readyz"].contains(&path.as_str());
                    assert!(plain || has_example(content), "{method} {path}");
                }
            }
        }
    }
}
