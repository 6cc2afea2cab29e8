//! The client of OneLogin's multi-factor authentication API v2: it enrols factors, challenges devices and checks codes,
//! against OneLogin itself and against any service that speaks the same API.
//!
//! # A login's second step
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mock.rs"));
//! # use mock::{Reply, Server};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> onelogin::Result<()> {
//! # let server = Server::script(vec![
//! #     Reply::json(200, json!([{"device_id": "3920360", "user_display_name": "My phone", "default": true}])),
//! #     Reply::json(201, json!({"id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "device_id": 3920360})),
//! #     Reply::json(200, json!({"type": "success", "code": 200, "message": "Success", "error": false})),
//! # ]);
//! # let (host, typed_code) = (server.url(), "123456");
//! use onelogin::{ApiClient, Configuration, MultiFactorAuthenticationApi};
//!
//! let client = ApiClient::new(Configuration::new(host).client_credentials("my-id", "my-secret"))?;
//! let api = MultiFactorAuthenticationApi::new(&client);
//!
//! let challenge = api.challenge(56).await?; // the default device: a code is sent, or a push
//! println!("The code on {}, please", challenge.device().user_display_name);
//! if challenge.verify_code(typed_code).await? {
//!     println!("Welcome");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A device that is confirmed elsewhere (a push, a call, a link) is waited for instead: [`Challenge::wait`].
//!
//! # Enrolling
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mock.rs"));
//! # use mock::{Reply, Server};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> onelogin::Result<()> {
//! # let id = "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10";
//! # let server = Server::script(vec![
//! #     Reply::json(200, json!([{"factor_id": 58957, "name": "Authenticator", "auth_factor_name": "Google Authenticator"}])),
//! #     Reply::json(201, json!({"id": id, "factor_data": {"totp_url": "otpauth://totp/a"}})),
//! #     Reply::json(200, json!({"id": id, "status": "accepted", "device_id": "3920371"})),
//! # ]);
//! # let client = onelogin::ApiClient::new(onelogin::Configuration::new(server.url()).access_token("t"))?;
//! # let api = onelogin::MultiFactorAuthenticationApi::new(&client);
//! # fn show_as_qr_code(_: &str) {}
//! use onelogin::models::{CreateFactorRegistrationRequest, VerifyUserRegistrationRequest};
//! use secrecy::ExposeSecret;
//!
//! let factors = api.get_auth_factors(56).await?;
//! let request = CreateFactorRegistrationRequest::new(factors[0].factor_id, "My phone").expires_in(300);
//! let registration = api.create_factor_registration(56, &request).await?;
//! if let Some(url) = registration.factor_data.as_ref().and_then(|data| data.totp_url.as_ref()) {
//!     show_as_qr_code(url.expose_secret());
//! }
//! let confirmation = VerifyUserRegistrationRequest::new("123456");
//! let enrolled = api.verify_user_registration(56, &registration.id, &confirmation).await?;
//! println!("device {:?} is {}", enrolled.device_id, enrolled.status);
//! # Ok(())
//! # }
//! ```
//!
//! # When something goes wrong
//!
//! There is one [`Error`], which keeps what the service said. A wrong code is not among the surprises: `verify_code` answers
//! `false`, and [`Error::is_wrong_code`], [`Error::is_locked_out`] and their like tell the rest apart.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/mock.rs"));
//! # use mock::{Reply, Server};
//! # use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> onelogin::Result<()> {
//! # let server = Server::script(vec![
//! #     Reply::json(403, json!({"name": "ForbiddenAction", "message": "locked"})).header("Retry-After", "30"),
//! # ]);
//! # let client = onelogin::ApiClient::new(onelogin::Configuration::new(server.url()).access_token("t"))?;
//! # let api = onelogin::MultiFactorAuthenticationApi::new(&client);
//! match api.challenge(56).await {
//!     Ok(challenge) => println!("challenged {}", challenge.device().device_id),
//!     Err(error) if error.is_locked_out() => println!("try again in {:?}", error.retry_after()),
//!     Err(onelogin::Error::NoDevice) => println!("nothing is enrolled yet"),
//!     Err(error) => return Err(error), // 403 ForbiddenAction: locked [request 7f3a…]
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What is sent twice, and what never is
//!
//! Reading is repeated with growing, random delays ([`Configuration::max_retries`]). A write is repeated only when the service
//! cannot have acted on it: no connection came about, the rate limit turned it away with a time to come back, or the bearer
//! token had ended. So no person gets a second message, and no code reads as used because it was sent twice: when the answer
//! to a PUT is lost, the client reads how the registration or verification stands.
//!
//! # Secrets
//!
//! Codes, tokens and shared secrets are [`secrecy::SecretString`]s: `Debug` does not show them, and they are wiped when they are
//! dropped. Plain `http` is refused except to this machine ([`Configuration::allow_plain_http`]).
//!
//! # Features
//!
//! | feature | | |
//! |---|---|---|
//! | `client` | default | the client; without it only the wire types in [`models`] |
//! | `blocking` | | the same operations without an async runtime, in [`blocking`] |
//! | `http2` | | HTTP/2 where the service offers it |
//! | `tracing` | | events for requests, answers and retries |
//! | `openapi` | | OpenAPI schemas of the wire types |
#![cfg_attr(
    not(feature = "blocking"),
    allow(
        rustdoc::broken_intra_doc_links,
        clippy::allow_attributes,
        reason = "the tour links to parts that are not built"
    )
)]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "client")]
mod client;
pub mod models;

#[cfg(feature = "client")]
pub use client::{
    ApiClient, ApiError, Challenge, Configuration, DecodeError, Error,
    MultiFactorAuthenticationApi, OAuth2Api, Page, Result, UserQuery, UserStream, UsersApi, Wait,
};
pub use secrecy;

/// The README's code, compiled like the rest.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
