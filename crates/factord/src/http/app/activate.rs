//! An app is activated: it gives the code that its person has scanned or typed, and its public key.

use axum::Json as Body;
use axum::extract::{Request, State};
use http::StatusCode;
use onelogin::models::DeviceId;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refused;
use crate::crypto::tokens::TokenHash;
use crate::factor::protect::key::AppKey;
use crate::factor::protect::subscription::{Endpoints, Subscription};
use crate::factor::protect::{self, App as ProtectApp};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::AppActivating;
use crate::http::wire;
use crate::mfa::activation::Activate;
use crate::mfa::rules::DISPLAY_NAME_CHARACTERS;

/// An app that is to be activated.
#[derive(Deserialize, ToSchema)]
pub(super) struct Activation {
    /// The activation code; hyphens, blanks and small letters do not matter.
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
    /// The app's public key, P-256: SubjectPublicKeyInfo in base64, or a JWK.
    public_key: Option<PublicKey>,
    /// What the app calls itself, for an administrator to read.
    name: Option<String>,
    /// Where it can be woken up: `PushSubscription.toJSON()` of the Push API.
    #[schema(value_type = Option<Object>)]
    push_subscription: Option<Subscription>,
}

/// A public key.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum PublicKey {
    /// SubjectPublicKeyInfo (RFC 5280) in base64.
    Spki(String),
    /// A JSON Web Key (RFC 7517).
    Jwk {
        /// `EC`.
        kty: String,
        /// `P-256`.
        crv: String,
        /// The first coordinate, base64url.
        x: String,
        /// The second coordinate, base64url.
        y: String,
    },
}

impl PublicKey {
    fn read(&self) -> Option<AppKey> {
        match self {
            Self::Spki(text) => AppKey::from_spki(text),
            Self::Jwk { kty, crv, x, y } if kty == "EC" && crv == "P-256" => {
                AppKey::from_coordinates(x, y)
            }
            Self::Jwk { .. } => None,
        }
    }
}

/// An app that is activated.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Activated {
    /// Whose device it is.
    #[schema(examples("64515901"))]
    user_id: UserIdText,
    /// The device's id.
    device_id: DeviceId,
    /// What the service is called.
    #[schema(examples("factord"))]
    service_name: String,
}

/// A user's id, which the wire writes as a string here.
type UserIdText = String;

/// Activate an app
///
/// A code works once, and for ten minutes at most. One that is wrong, used or too old is a 401, whichever it is.
#[utoipa::path(
    post,
    path = "/app/v1/activations",
    operation_id = "app_activate",
    tag = "App",
    request_body(content = Activation, example = json!({
        "code": "MZXW-6YTB-OI5D-CMRT-GQ2T-MNZY-HE",
        "public_key": {"kty": "EC", "crv": "P-256", "x": "YP7UuiVanTHJYet0xjVtaMBJuJI7YfpsxmliLmDyn7Y", "y": "eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"},
        "name": "Ada's phone"
    })),
    responses(
        (status = 201, description = "The app is activated", body = Activated, example = json!({
            "user_id": "64515901", "device_id": "39203600", "service_name": "factord"
        })),
        AppActivating,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Body<Activated>), Error> {
    let Json(asked): Json<Activation> = app.read_body(request).await?;
    let candidate = candidate(&app, asked)?;
    let hash = TokenHash::of(&candidate.code);
    let user = app.service.store().linked_user(hash).await?;
    let user = user.ok_or(Error::Unauthorized)?;
    let command = Activate { app: candidate };
    let registration = app.service.decide(user, command).await.map_err(refused)?;
    let activated = Activated {
        user_id: user.to_string(),
        device_id: wire::device_number(registration.device),
        service_name: app.service.core().service_name.clone(),
    };
    Ok((StatusCode::CREATED, Body(activated)))
}

/// The app as it is, if its values are allowed.
fn candidate(app: &App, asked: Activation) -> Result<ProtectApp, Error> {
    let code = asked
        .code
        .ok_or_else(|| Error::bad_request("code is required"))?;
    let key = asked
        .public_key
        .ok_or_else(|| Error::bad_request("public_key is required"))?;
    let key = key.read().ok_or(Error::invalid("public_key"))?;
    let is_name = |name: &String| {
        let length = name.chars().take(DISPLAY_NAME_CHARACTERS + 1).count();
        (1..=DISPLAY_NAME_CHARACTERS).contains(&length) && !name.chars().any(char::is_control)
    };
    if asked.name.as_ref().is_some_and(|name| !is_name(name)) {
        return Err(Error::invalid("name"));
    }
    let endpoints = app.service.core().push;
    let endpoints = endpoints.unwrap_or(Endpoints::Public);
    let is_usable = |subscription: &Subscription| subscription.usable(endpoints).is_some();
    if asked
        .push_subscription
        .as_ref()
        .is_some_and(|it| !is_usable(it))
    {
        return Err(Error::invalid("push_subscription"));
    }
    Ok(ProtectApp {
        code: protect::normal(code.expose_secret()),
        key,
        name: asked.name,
        subscription: asked.push_subscription,
    })
}
