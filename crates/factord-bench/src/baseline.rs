//! What the HTTP stack alone can do: the listening, the router and the JSON types of the server, and answers that are
//! always the same. Nothing is looked up, checked, stored, counted or logged, so that no server on this stack can be
//! faster.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use clap::Args;
use factord::net::{NetSettings, Server};
use http::StatusCode;
use onelogin::models::{
    AccessToken, CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, Device,
    DeviceVerification, ErrorBody, FactorData, Registration, RegistrationResult, Status,
    StatusBody, Time, TokenRequest, User, UserId, UserRequest, Verification, VerificationResult,
    VerifyUserRegistrationRequest, VerifyUserVerificationRequest,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::scenario::WRONG;

/// Serve the baseline: the same HTTP stack and the same JSON with no work behind it
#[derive(Args, Debug)]
pub struct Baseline {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

impl Baseline {
    /// Serves until the process is ended.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn serve(self) -> anyhow::Result<()> {
        let server = Server::bind(NetSettings::new(self.listen)).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "base URL http://{}", server.address())?;
        drop(out);
        server.serve(router(), std::future::pending()).await;
        Ok(())
    }
}

/// All that an answer can differ in.
struct Counters {
    now: AtomicI64,
    user: AtomicU64,
}

fn router() -> Router {
    let counters = Counters {
        now: AtomicI64::new(1_800_000_000),
        user: AtomicU64::new(1),
    };
    let mfa = Router::new()
        .route("/registrations", post(create_registration))
        .route("/registrations/{id}", put(confirm_registration))
        .route("/devices", get(devices))
        .route("/verifications", post(create_verification))
        .route(
            "/verifications/{id}",
            get(get_verification).put(complete_verification),
        );
    Router::new()
        .route("/healthz", get(async || Json(json!({"status": "ok"}))))
        .route("/dev/clock", post(advance))
        .route("/auth/oauth2/v2/token", post(token))
        .route("/api/2/users", post(create_user))
        .nest("/api/2/mfa/users/{user_id}", mfa)
        .with_state(Arc::new(counters))
}

#[derive(Deserialize)]
struct Advance {
    advance_seconds: i64,
}

async fn advance(State(counters): State<Arc<Counters>>, Json(by): Json<Advance>) -> Json<Value> {
    let before = counters.now.fetch_add(by.advance_seconds, Ordering::AcqRel);
    Json(json!({"now": time(before + by.advance_seconds)}))
}

async fn token(Json(_): Json<TokenRequest>) -> Json<AccessToken> {
    let token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    Json(AccessToken {
        access_token: token.to_owned().into(),
        created_at: time(1_800_000_000),
        expires_in: Some(36_000),
        refresh_token: Some(token.to_owned().into()),
        token_type: "bearer".to_owned(),
        account_id: Some(1),
    })
}

async fn create_user(
    State(counters): State<Arc<Counters>>,
    Json(asked): Json<UserRequest>,
) -> impl IntoResponse {
    let user = User {
        username: asked.username,
        created_at: time(1_800_000_000),
        updated_at: time(1_800_000_000),
        ..User::new(UserId(counters.user.fetch_add(1, Ordering::Relaxed)))
    };
    (StatusCode::CREATED, Json(user))
}

async fn create_registration(
    State(counters): State<Arc<Counters>>,
    Path(user): Path<u64>,
    Json(asked): Json<CreateFactorRegistrationRequest>,
) -> impl IntoResponse {
    let secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    let url = format!("otpauth://totp/factord:{user}?secret={secret}&issuer=factord");
    let made = Registration {
        id: ID.into(),
        status: Status::Pending,
        user_id: Some(UserId(user)),
        device_id: Some(3_920_371_u64.into()),
        auth_factor_name: "Google Authenticator".to_owned(),
        type_display_name: "Authenticator".to_owned(),
        user_display_name: asked.display_name,
        expires_at: time(counters.now.load(Ordering::Relaxed) + 120),
        reason: None,
        factor_data: Some(FactorData {
            verification_token: Some(secret.to_owned().into()),
            totp_url: Some(url.into()),
            ..FactorData::default()
        }),
    };
    (StatusCode::CREATED, Json(made))
}

async fn confirm_registration(
    Path((_, id)): Path<(u64, String)>,
    Json(_): Json<VerifyUserRegistrationRequest>,
) -> Json<RegistrationResult> {
    Json(RegistrationResult {
        id: id.into(),
        status: Status::Accepted,
        device_id: Some(3_920_371_u64.into()),
    })
}

async fn devices(Path(_): Path<u64>) -> Json<Vec<Device>> {
    Json(vec![Device {
        device_id: 3_920_371_u64.into(),
        user_display_name: "bench".to_owned(),
        type_display_name: "Authenticator".to_owned(),
        auth_factor_name: "Google Authenticator".to_owned(),
        default: true,
    }])
}

async fn create_verification(
    Path(user): Path<u64>,
    Json(asked): Json<CreateDeviceVerificationRequest>,
) -> Response {
    if asked.display_name.as_deref() == Some(WRONG) {
        let message = "Authentication Failure";
        let body = ErrorBody::new(401, "Unauthorized", message);
        let body = body.status(StatusBody::failure(401, "Unauthorized", message));
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    if asked.otp.is_some() {
        return Json(VerificationResult::success()).into_response();
    }
    let made = DeviceVerification {
        id: ID.into(),
        status: Status::Pending,
        user_id: Some(UserId(user)),
        device_id: asked.device_id,
        auth_factor_name: "Google Authenticator".to_owned(),
        type_display_name: "Authenticator".to_owned(),
        user_display_name: "bench".to_owned(),
        expires_at: time(1_800_000_120),
        display_name: asked.display_name,
        redirect_to: asked.redirect_to,
        factor_data: None,
    };
    (StatusCode::CREATED, Json(made)).into_response()
}

async fn get_verification(Path((_, id)): Path<(u64, String)>) -> Json<Verification> {
    Json(Verification {
        id: id.into(),
        status: Status::Pending,
        device_id: Some(3_920_371_u64.into()),
        reason: None,
    })
}

async fn complete_verification(
    Path((_, _)): Path<(u64, String)>,
    Json(_): Json<VerifyUserVerificationRequest>,
) -> Json<VerificationResult> {
    Json(VerificationResult::success())
}

fn time(seconds: i64) -> Option<Time> {
    jiff::Timestamp::from_second(seconds).ok().map(Time)
}

const ID: &str = "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10";
