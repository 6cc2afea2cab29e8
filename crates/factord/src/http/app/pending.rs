//! What waits for an app. It can wait for the next, so that a push is seen at once also without Web Push.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::{Request, State};
use onelogin::models::{DeviceId, Time, UserId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::{named, refused};
use crate::factor::protect::{self, Waiting, signed};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::AppListing;
use crate::http::wire;
use crate::mfa::ids::{DeviceNumber, UserId as User};

/// An app asks what waits for it.
#[derive(Deserialize, ToSchema)]
pub(super) struct Asked {
    /// Whose device it is.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// The device.
    device_id: Option<DeviceId>,
    /// When it asks, by the service's time; at most five minutes off.
    #[schema(value_type = Option<Time>)]
    at: Option<String>,
    /// Seconds to wait if nothing is pending: at most 25.
    #[serde(default)]
    #[schema(maximum = 25)]
    wait: u64,
    /// The app's signature, base64url.
    signature: Option<String>,
}

/// What waits for an app.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pending {
    /// The verifications, the oldest first.
    verifications: Vec<PendingVerification>,
}

/// A verification that waits for an app.
#[derive(Debug, Serialize, ToSchema)]
struct PendingVerification {
    /// Its id.
    id: onelogin::models::VerificationId,
    /// What the service is called.
    service_name: String,
    /// When the login began.
    #[schema(value_type = Time)]
    at: Option<Time>,
    /// When it ends.
    #[schema(value_type = Time)]
    expires_at: Option<Time>,
    /// What the caller says of the login; empty if it says nothing.
    message: String,
    /// How many digits the person must type from the login; 0 if none.
    number_digits: usize,
}

/// List what waits for an app
///
/// With `wait` the answer comes as soon as something is pending, or empty when the time is up. One request of an app waits
/// at a time: a newer one ends the older.
#[utoipa::path(
    post,
    path = "/app/v1/pending",
    operation_id = "app_pending",
    tag = "App",
    request_body(content = Asked, example = json!({
        "user_id": "64515901", "device_id": "39203600", "at": "2026-01-31T12:00:00Z", "wait": 25,
        "signature": "79SLKqy2qP0RQN2c1F6B1p0sh3tWqvmRw00OqE6vNxb3yxyULWV8QdQ2x6G24p9l8-kA27mv9AZNxKsvhDrNqA"
    })),
    responses(
        (status = 200, description = "What waits", body = Pending, example = json!({"verifications": [{
            "id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "service_name": "factord", "at": "2026-01-31T12:00:00Z",
            "expires_at": "2026-01-31T12:02:00Z", "message": "Sign in to the wiki", "number_digits": 2
        }]})),
        AppListing,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Body<Pending>, Error> {
    let Json(asked): Json<Asked> = app.read_body(request).await?;
    let missing = |name: &str| Error::bad_request(format!("{name} is required"));
    let user = asked.user_id.ok_or_else(|| missing("user_id"))?;
    let device = asked.device_id.ok_or_else(|| missing("device_id"))?;
    let at = asked.at.ok_or_else(|| missing("at"))?;
    let signature = asked.signature.ok_or_else(|| missing("signature"))?;
    if asked.wait > LONGEST_WAIT {
        return Err(Error::invalid("wait"));
    }
    let moment: jiff::Timestamp = at.parse().map_err(|_| Error::invalid("at"))?;
    let off = app.service.store().now().seconds() - moment.as_second();
    let (user, device) = named(user, &device).ok_or(Error::Unauthorized)?;
    if off.unsigned_abs() > MOST_OFF {
        return Err(Error::Unauthorized);
    }
    let text = signed::list(user, device, &at);
    let is_right = |key: &protect::key::AppKey| key.has_signed(&text, &signature);
    let deadline = Instant::now() + Duration::from_secs(asked.wait);
    await_pending(&app, (user, device), is_right, deadline).await
}

async fn await_pending(
    app: &App,
    (user, device): (User, DeviceNumber),
    is_right: impl Fn(&protect::key::AppKey) -> bool,
    deadline: Instant,
) -> Result<Body<Pending>, Error> {
    // The signature is looked at once; a stranger takes nobody's place.
    let mut waiting = None;
    loop {
        let loaded = app.service.user(user).await.map_err(refused)?;
        let now = app.service.store().now();
        let core = app.service.core();
        let (key, pushes) =
            protect::waiting(&core, &loaded, device, now).ok_or(Error::Unauthorized)?;
        let current = match &waiting {
            None if !is_right(&key) => return Err(Error::Unauthorized),
            None => {
                let pushes = app.service.pushes();
                waiting = Some(pushes.wait(user, device));
                // What came between the reading and this is found by another reading.
                continue;
            }
            Some(waiting) => waiting,
        };
        let is_over = Instant::now() >= deadline || !current.is_current();
        if !pushes.is_empty() || is_over {
            let shown = pushes
                .iter()
                .map(|push| PendingVerification::of(push, &core.service_name));
            return Ok(Body(Pending {
                verifications: shown.collect(),
            }));
        }
        let look = deadline.min(Instant::now() + LOOK_ANYWAY);
        let _waits = app.observe.waits();
        // Told or not, the next round looks.
        drop(timeout_at(look, current.told()).await);
    }
}

impl PendingVerification {
    fn of(push: &Waiting<'_>, service_name: &str) -> Self {
        let it = push.verification;
        Self {
            id: it.id.into(),
            service_name: service_name.to_owned(),
            at: wire::time(it.created_at),
            expires_at: wire::time(it.expires_at),
            message: it.display_name.clone().unwrap_or_default(),
            number_digits: push.digits,
        }
    }
}

/// Seconds. Below the time after which proxies and clients give up.
const LONGEST_WAIT: u64 = 25;
/// Seconds by which an app's `at` may be off: a listing that was recorded is of no use after them.
const MOST_OFF: u64 = 300;
/// When what another process has committed is found.
const LOOK_ANYWAY: Duration = Duration::from_secs(1);
