//! An app's person approves or denies.

use axum::Json as Body;
use axum::extract::{Request, State};
use onelogin::models::{UserId, VerificationId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refused;
use crate::factor::protect::{Answer, Decision};
use crate::http::App;
use crate::http::error::Error;
use crate::http::extract::Json;
use crate::http::openapi::AppAnswering;
use crate::mfa::answer::{GiveAnswer, Origin, Outcome};
use crate::mfa::data::Data;
use crate::mfa::ids;

/// What an app's person has decided.
#[derive(Deserialize, ToSchema)]
pub(super) struct Answered {
    /// Whose device it is.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    /// The verification.
    #[schema(value_type = Option<VerificationId>)]
    verification_id: Option<String>,
    /// What the person has decided.
    decision: Option<Word>,
    /// The digits that they typed; empty or absent if there are none to type.
    #[serde(default)]
    number: String,
    /// The app's signature, base64url.
    signature: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// The login is theirs.
    Approve,
    /// It is not.
    Deny,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Taken {
    /// `accepted`; `denied`, also for a number that is not the one that the login shows; `approved` where the login goes on
    /// in the browser that shows the number.
    #[schema(examples("accepted"))]
    status: &'static str,
}

/// Approve or deny
///
/// A signature that is not right, and a verification that has ended or is not this device's, is a 401. The fifth wrong
/// signature ends the verification.
#[utoipa::path(
    post,
    path = "/app/v1/answers",
    operation_id = "app_answer",
    tag = "App",
    request_body(content = Answered, example = json!({
        "user_id": "64515901", "verification_id": "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce", "decision": "approve",
        "number": "42",
        "signature": "79SLKqy2qP0RQN2c1F6B1p0sh3tWqvmRw00OqE6vNxb3yxyULWV8QdQ2x6G24p9l8-kA27mv9AZNxKsvhDrNqA"
    })),
    responses(
        (status = 200, description = "It is taken", body = Taken, example = json!({"status": "accepted"})),
        AppAnswering,
    ),
)]
pub(super) async fn handler(
    State(app): State<App>,
    request: Request,
) -> Result<Body<Taken>, Error> {
    let Json(answered): Json<Answered> = app.read_body(request).await?;
    let missing = |name: &str| Error::bad_request(format!("{name} is required"));
    let user = answered.user_id.ok_or_else(|| missing("user_id"))?;
    let id = answered.verification_id;
    let id = id.ok_or_else(|| missing("verification_id"))?;
    let word = answered.decision.ok_or_else(|| missing("decision"))?;
    let signature = answered.signature.ok_or_else(|| missing("signature"))?;
    let user = i64::try_from(user.0).ok().and_then(ids::UserId::new);
    let (Some(user), Ok(id)) = (user, id.parse()) else {
        return Err(Error::Unauthorized);
    };
    let decision = Decision {
        approve: word == Word::Approve,
        number: answered.number,
        signature,
    };
    let command = GiveAnswer {
        id,
        from: Origin::Person,
        answer: Data::of(&Answer::Decide(decision)),
    };
    let outcome = app.service.decide(user, command).await.map_err(refused)?;
    let status = match outcome {
        Outcome::Accepted(_) => "accepted",
        Outcome::Pending | Outcome::OnPage { .. } => "approved",
        Outcome::Ended => "denied",
    };
    Ok(Body(Taken { status }))
}
