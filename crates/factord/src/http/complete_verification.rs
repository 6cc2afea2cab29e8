//! verify_user_verification: a code answers a challenge.

use axum::extract::{Request, State};
use axum::response::Response;
use onelogin::models::{DeviceId, VerificationResult, VerifyUserVerificationRequest};

use super::error::Error;
use super::extract::Json;
use super::openapi::Answering;
use super::{App, wire};
use crate::auth::scope::Permission;
use crate::factor::webauthn::Answer;
use crate::mfa::answer::{GiveAnswer, Origin};
use crate::mfa::completion::CompleteVerification;
use crate::mfa::data::Data;
use crate::mfa::ids;

/// Complete a verification
///
/// With the code that the user has received or the app shows, or with a temporary token in its place. A code is accepted
/// once; five wrong ones reject the verification.
#[utoipa::path(
    put,
    path = "/api/2/mfa/users/{user_id}/verifications/{verification_id}",
    operation_id = "verify_user_verification",
    tag = "MFA",
    security(("bearer" = [])),
    params(
        ("user_id" = onelogin::models::UserId, Path, description = "The user"),
        ("verification_id" = onelogin::models::VerificationId, Path, description = "The verification"),
    ),
    request_body = VerifyUserVerificationRequest,
    responses(
        (status = 200, description = "The code is accepted", body = VerificationResult, example = json!({
            "status": {"type": "success", "code": 200, "message": "Success", "error": false},
            "type": "success", "code": 200, "message": "Success", "error": false
        })),
        Answering,
    ),
)]
pub(super) async fn handler(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let ((user, id), Json(answer)) = app
        .admit::<_, Json<VerifyUserVerificationRequest>>(Permission::Verify, request)
        .await?;
    let device = answer.device_id.as_ref().and_then(claimed);
    let code = answer.otp.as_ref().map(wire::code);
    let has_answer = code.is_some() || answer.credential.is_some();
    let completed = match (id, answer.credential.filter(|_| code.is_none())) {
        (Some(id), Some(credential)) => {
            let command = GiveAnswer {
                id,
                from: Origin::Caller(device),
                answer: Data::of(&Answer::Caller(credential)),
            };
            let answered = app.service.decide(user, command).await;
            answered.map(drop).map_err(Error::from)
        }
        (Some(id), None) => {
            let command = CompleteVerification {
                id,
                device,
                code,
                evidence: None,
            };
            app.service
                .complete(user, command)
                .await
                .map_err(Error::from)
        }
        (None, _) => Err(app.nothing(user).await),
    };
    completed.map_err(|error| error.of_answer(has_answer))?;
    Ok(wire::accepted())
}

/// The device that the caller says it is of. A malformed id is not the verification's own, no more than that of a
/// temporary token is.
fn claimed(id: &DeviceId) -> Option<ids::DeviceId> {
    id.as_str().parse().or_else(|_| NOBODYS.parse()).ok()
}

/// A well-formed device id that no verification can be of.
const NOBODYS: &str = "user_temp_otp_0";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::tests::{EMAIL, NO_ID, SMS, Server, other};

    #[tokio::test]
    async fn the_right_code_is_accepted_once() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        person
            .put(&tail, json!({"otp": code, "colour": "blue"}))
            .await
            .accepted();
        for _ in 0..6 {
            person.put(&tail, json!({"otp": code})).await.wrong_code();
        }
        person
            .put(&tail, json!({"otp": other(&code)}))
            .await
            .wrong_code();
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
    }

    #[tokio::test]
    async fn a_code_that_came_as_a_number_has_its_zeros_back() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (device, secret) = person.enrol_app().await;
        while !person.totp(&secret, 0).starts_with('0') {
            server.advance(30);
        }
        let admin = server.admin().await; // a token lives for ten hours
        let made = admin
            .post(&person.path("/verifications"), json!({"device_id": device}))
            .await;
        let number: u64 = person.totp(&secret, 0).parse().unwrap();
        let path = person.path(&format!("/verifications/{}", made.id()));
        admin.put(&path, json!({"otp": number})).await.accepted();
    }

    #[tokio::test]
    async fn a_code_in_another_dress_is_wrong_and_the_fifth_rejects() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let device = person.enrol(SMS).await;
        let (tail, code) = person.challenge(&device).await;
        let wide: String = code
            .bytes()
            .filter_map(|digit| char::from_u32(0xFF10 + u32::from(digit - b'0')))
            .collect();
        let dresses: [Value; 5] = [
            json!(code[..5]),
            json!(format!("{code}7")),
            json!(wide),
            json!(format!(" {code}")),
            json!(1_234_567_890_u64),
        ];
        for dress in dresses {
            person.put(&tail, json!({"otp": dress})).await.wrong_code();
        }
        assert_eq!(person.get(&tail).await.body["status"], "rejected");
        person.put(&tail, json!({"otp": code})).await.delayed(30);
        server.advance(30);
        person.put(&tail, json!({"otp": code})).await.wrong_code();
    }

    #[tokio::test]
    async fn an_expired_verification_refuses_the_right_code() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(EMAIL).await).await;
        server.advance(120);
        person.put(&tail, json!({"otp": code})).await.wrong_code();
    }

    #[tokio::test]
    async fn without_a_code_or_with_a_mistyped_one_nothing_is_guessed() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        for _ in 0..6 {
            for body in [json!({}), json!({"otp": null}), json!({"device_id": "1x"})] {
                let refused = person.put(&tail, body).await;
                refused.bad_request("otp is required");
            }
            let of_another = json!({"otp": code, "device_id": "1x"});
            person.put(&tail, of_another).await.invalid(&["device_id"]);
            for (value, kind) in [
                (json!([code]), "an array"),
                (json!({}), "an object"),
                (json!(true), "a boolean"),
            ] {
                let message =
                    format!("otp: invalid type: {kind}, expected a string or a whole number");
                person
                    .put(&tail, json!({"otp": value}))
                    .await
                    .bad_request(&message);
            }
        }
        person.put(&tail, json!({"otp": code})).await.accepted();
    }

    #[tokio::test]
    async fn a_device_that_is_not_its_own_is_refused_and_no_guess() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (sms, email) = (person.enrol(SMS).await, person.enrol(EMAIL).await);
        let (tail, code) = person.challenge(&sms).await;
        for _ in 0..3 {
            for device in [email.as_str(), "1", "abc", "", "user_temp_otp_0"] {
                person
                    .put(&tail, json!({"otp": code, "device_id": device}))
                    .await
                    .invalid(&["device_id"]);
            }
        }
        let number: u64 = sms.parse().unwrap();
        person
            .put(&tail, json!({"otp": code, "device_id": number}))
            .await
            .accepted();
    }

    #[tokio::test]
    async fn a_temporary_token_stands_in_for_the_code() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let token = person.post("/mfa_token", json!({})).await.body["mfa_token"].clone();
        let (tail, _) = person.challenge(&person.enrol(SMS).await).await;
        person.put(&tail, json!({"otp": token})).await.accepted();
        assert_eq!(person.get(&tail).await.body["status"], "accepted");
    }

    #[tokio::test]
    async fn a_suspended_user_is_told_so_whatever_the_code() {
        let server = Server::new();
        let admin = server.admin().await;
        let person = admin.person().await;
        let (tail, code) = person.challenge(&person.enrol(SMS).await).await;
        person.update(json!({"status": 2})).await;
        let refused = person.put(&tail, json!({"otp": code})).await;
        refused.forbidden("The user is suspended, locked or not approved");
    }

    #[tokio::test]
    async fn one_of_another_user_reads_like_one_that_does_not_exist_or_cannot() {
        let server = Server::new();
        let admin = server.admin().await;
        let (owner, other) = (admin.person().await, admin.person().await);
        let (theirs, code) = owner.challenge(&owner.enrol(SMS).await).await;
        for tail in [
            &theirs,
            &format!("/verifications/{NO_ID}"),
            "/verifications/nonsense",
        ] {
            other.put(tail, json!({"otp": code})).await.not_found();
            other
                .put(tail, json!({}))
                .await
                .bad_request("otp is required");
        }
        owner.put(&theirs, json!({"otp": code})).await.accepted();
    }
}
