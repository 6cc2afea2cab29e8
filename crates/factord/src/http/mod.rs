//! The wire: a request is parsed into a command, the command handed to the service, the answer rendered. One operation
//! is one file, with its description, its handler and its tests; nothing here is a rule of the product.

mod app;
mod bearer;
mod body;
mod complete_verification;
mod confirm_registration;
mod create_registration;
mod create_verification;
mod delete_device;
mod dev;
mod devices;
mod error;
mod extract;
mod factors;
mod get_registration;
mod get_verification;
mod health;
mod mfa_token;
mod oauth;
mod openapi;
mod overload;
mod pages;
mod query;
mod respell;
mod users;
mod voice;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use tower::util::option_layer;
use url::Url;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use dev::Dev;
pub use overload::turning_away;

use crate::audit::{Action, Reason};
use crate::crypto::tokens::TokenHash;
use crate::delivery::callback::CallbackKeys;
use crate::mfa::noted::{About, NoteRefusal};
use crate::net::Observe;
use crate::service::Service;
use crate::service::access::Access;
use error::{Error, V1};

/// What every handler is given.
pub struct AppState {
    /// The operations on users and their factors.
    pub service: Service,
    /// Access by bearer tokens.
    pub access: Arc<Access>,
    /// What `factord dev` adds; nothing of it exists without.
    pub dev: Option<Arc<Dev>>,
    /// Where clients reach the service.
    pub public_url: Url,
    /// By what the gateways that call are known.
    pub gateways: CallbackKeys,
    /// The most bytes that the body of a request may have.
    pub body_bytes: usize,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// Gives the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Numbers, logs and counts every request.
    pub observe: Observe,
}

/// How handlers hold the state.
type App = Arc<AppState>;

/// All routes, with everything that a response carries. [`AppState::observe`] is the outermost layer already.
pub fn router(state: AppState) -> Router {
    let app = Arc::new(state);
    let (routes, description) = operations(&app).split_for_parts();
    let routes = routes
        .merge(openapi::route(&description))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method);
    // One layer of both: each layer of a router costs every request two allocations.
    let guard = option_layer(app.dev.clone().map(dev::Guard));
    let routes = routes.layer((app.observe.clone(), guard)).with_state(app);
    respell::tolerating(routes)
}

/// Every operation with its description.
fn operations(app: &App) -> OpenApiRouter<App> {
    let routes = OpenApiRouter::with_openapi(openapi::base(&app.public_url))
        .routes(routes!(factors::handler))
        .routes(routes!(create_registration::handler))
        .routes(routes!(
            get_registration::handler,
            confirm_registration::handler
        ))
        .routes(routes!(devices::handler))
        .routes(routes!(delete_device::handler))
        .routes(routes!(create_verification::handler))
        .routes(routes!(
            get_verification::handler,
            complete_verification::handler
        ))
        .routes(routes!(mfa_token::handler))
        .routes(routes!(oauth::token::handler))
        .routes(routes!(oauth::revoke::handler))
        .routes(routes!(oauth::rate_limit::handler))
        .routes(routes!(users::list::handler, users::create::handler))
        .routes(routes!(
            users::show::handler,
            users::update::handler,
            users::delete::handler
        ))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .merge(app::operations())
        .merge(pages::operations())
        .merge(voice::operations());
    match app.dev {
        Some(_) => routes.merge(dev::operations()),
        None => routes,
    }
}

impl AppState {
    /// Leaves an event of a request that is refused before anything is decided, if its link leads to somebody.
    async fn note_refused(
        &self,
        link: TokenHash,
        action: Action,
        about: About,
        reason: Reason,
    ) -> Result<(), Error> {
        if let Some(user) = self.service.store().linked_user(link).await? {
            let noted = NoteRefusal {
                action,
                about,
                reason,
            };
            // Whatever comes of it, the request is refused.
            drop(self.service.decide(user, noted).await);
        }
        Ok(())
    }
}

async fn no_such_path(State(app): State<App>, request: Request) -> Response {
    unwanted(&app, request, Error::NoSuchPath).await
}

/// OPTIONS asks what the others are told by a 405: axum adds the `Allow` header to both.
async fn no_such_method(State(app): State<App>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    unwanted(&app, request, Error::MethodNotAllowed).await
}

/// Refuses a request whose body nobody reads, once it has arrived.
async fn unwanted(app: &AppState, request: Request, error: Error) -> Response {
    let answer = shaped_for(&request, error);
    let (parts, body) = request.into_parts();
    app.drain(&parts.headers, body).await;
    answer
}

/// An error in the shape of the older API under `/auth/`, and of the newer one everywhere else (contract, Authorization).
fn shaped_for(request: &Request, error: Error) -> Response {
    if request.uri().path().starts_with("/auth/") {
        V1(error).into_response()
    } else {
        error.into_response()
    }
}
