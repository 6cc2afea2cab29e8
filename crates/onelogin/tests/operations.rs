//! Each operation against recorded answers: what is sent, and what is read, in every shape that the contract lists.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use futures_util::TryStreamExt;
use onelogin::{
    ApiClient, Configuration, Error, MultiFactorAuthenticationApi, OAuth2Api, UserQuery, UsersApi,
    models::{
        CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, GenerateOtpRequest, Otp,
        Status, UserId, UserRequest, UserState, UserStatus, VerifyUserRegistrationRequest,
        VerifyUserVerificationRequest,
    },
};
use secrecy::ExposeSecret;
use serde_json::json;

include!("support/mock.rs");
use mock::{Reply, Server};

const BASE: &str = "/api/2/mfa/users/56";
const ID: &str = "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10";

fn client(server: &Server) -> ApiClient {
    ApiClient::new(Configuration::new(server.url()).client_credentials("id", "secret")).unwrap()
}

fn mfa(server: &Server) -> MultiFactorAuthenticationApi {
    MultiFactorAuthenticationApi::new(&client(server))
}

#[tokio::test]
async fn factors_are_read_from_an_array_from_one_object_and_from_a_wrapped_array() {
    let factor = json!({"factor_id": 58959, "name": "OneLogin SMS", "auth_factor_name": "SMS"});
    let shapes = [
        json!([factor]),
        factor.clone(),
        json!({ "data": [factor] }),
        json!([{"factor_id": "58959", "name": "OneLogin SMS", "auth_factor_name": "SMS", "new": {"x": [1]}}]),
    ];
    for shape in shapes {
        let server = Server::script(vec![Reply::json(200, shape)]);
        let factors = mfa(&server).get_auth_factors(56).await.unwrap();
        assert_eq!(
            (
                factors.len(),
                factors[0].factor_id.0,
                factors[0].auth_factor_name.as_str()
            ),
            (1, 58_959, "SMS")
        );
        assert_eq!(server.lines(), [format!("GET {BASE}/factors")]);
        assert_eq!(
            server.requests()[0].headers["authorization"],
            "Bearer mock-token"
        );
    }
    let server = Server::script(vec![Reply::json(200, json!([]))]);
    assert!(mfa(&server).get_auth_factors(56).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_registration_is_created_read_and_confirmed() {
    let body = json!({
        "id": ID, "status": "pending", "user_id": "64515901", "device_id": "3920371", "auth_factor_name": "Google Authenticator",
        "type_display_name": "Authenticator", "user_display_name": "My phone", "expires_at": "2020-07-21T20:26:44Z",
        "factor_data": {"verification_token": "GEZDGNBV", "totp_url": "otpauth://totp/a"}
    });
    let server = Server::script(vec![
        Reply::json(201, body.clone()),
        Reply::json(200, json!([body])),
        Reply::json(
            200,
            json!({"id": ID, "status": "accepted", "device_id": 3_920_371}),
        ),
    ]);
    let api = mfa(&server);
    let request = CreateFactorRegistrationRequest::new(58957, "My phone").expires_in(300);
    let created = api.create_factor_registration(56, &request).await.unwrap();
    assert_eq!(created.user_id, Some(UserId(64_515_901)));
    assert_eq!(
        created.expires_at.unwrap().to_string(),
        "2020-07-21T20:26:44Z"
    );
    let read = api.get_user_registration(56, &created.id).await.unwrap();
    assert_eq!(
        read.factor_data.unwrap().totp_url.unwrap().expose_secret(),
        "otpauth://totp/a"
    );
    let result = api
        .verify_user_registration(
            56,
            &created.id,
            &VerifyUserRegistrationRequest::new("012345"),
        )
        .await
        .unwrap();
    assert_eq!(
        (result.status, result.device_id.unwrap().as_str()),
        (Status::Accepted, "3920371")
    );
    assert_eq!(
        server.lines(),
        [
            format!("POST {BASE}/registrations"),
            format!("GET {BASE}/registrations/{ID}"),
            format!("PUT {BASE}/registrations/{ID}")
        ]
    );
    let sent = server.requests();
    assert_eq!(
        sent[0].json(),
        json!({"factor_id": 58957, "display_name": "My phone", "expires_in": 300})
    );
    assert_eq!(sent[0].headers["content-type"], "application/json");
    assert_eq!(sent[2].json(), json!({"otp": "012345"}));
}

#[tokio::test]
async fn devices_are_listed_and_deleted() {
    let device = json!({
        "device_id": "3920360", "user_display_name": "My phone", "type_display_name": "OneLogin SMS",
        "auth_factor_name": "SMS", "default": true
    });
    let server = Server::script(vec![
        Reply::json(200, json!([device, {"device_id": 7}])),
        Reply::empty(204),
    ]);
    let api = mfa(&server);
    let devices = api.get_authentication_devices(56).await.unwrap();
    assert!(devices[0].default && !devices[1].default);
    assert_eq!(devices[1].device_id.as_str(), "7");
    api.delete_enrolled_factor(56, &devices[0].device_id)
        .await
        .unwrap();
    assert_eq!(server.lines()[1], format!("DELETE {BASE}/devices/3920360"));
    assert_eq!(server.requests()[1].body, "");
}

#[tokio::test]
async fn a_verification_is_begun_polled_and_completed() {
    let accepted = json!({"type": "success", "code": 200, "message": "Success", "error": false});
    let superset = json!({"status": accepted, "type": "success", "code": 200, "message": "Success", "error": false});
    for confirmation in [
        superset,
        accepted.clone(),
        json!({ "status": accepted }),
        json!([{ "status": accepted }]),
    ] {
        let server = Server::script(vec![
            Reply::json(
                201,
                json!({"id": ID, "device_id": 3_920_360, "display_name": "login", "factor_data": {"number": 42}}),
            ),
            Reply::json(
                200,
                json!({"id": ID, "status": "pending", "device_id": "3920360"}),
            ),
            Reply::json(200, confirmation),
        ]);
        let api = mfa(&server);
        let request = CreateDeviceVerificationRequest::new("3920360")
            .number_matching(true)
            .redirect_to("https://a.example/");
        let begun = api.create_device_verification(56, &request).await.unwrap();
        assert_eq!(begun.device_id.as_ref().unwrap().as_str(), "3920360");
        assert_eq!(
            begun
                .factor_data
                .as_ref()
                .unwrap()
                .number
                .as_ref()
                .unwrap()
                .expose_secret(),
            "42"
        );
        assert_eq!(
            api.get_user_verification(56, &begun.id)
                .await
                .unwrap()
                .status,
            Status::Pending
        );
        let request = VerifyUserVerificationRequest::new(Otp::Number(12345)).device_id("3920360");
        assert!(
            api.verify_user_verification(56, &begun.id, &request)
                .await
                .unwrap()
                .is_accepted()
        );
        let sent = server.requests();
        assert_eq!(
            sent[0].json(),
            json!({"device_id": 3_920_360, "number_matching": true, "redirect_to": "https://a.example/"})
        );
        assert_eq!(sent[2].line(), format!("PUT {BASE}/verifications/{ID}"));
        assert_eq!(
            sent[2].json(),
            json!({"otp": 12345, "device_id": 3_920_360})
        );
    }
}

#[tokio::test]
async fn a_code_is_checked_without_an_id_and_a_token_made() {
    let server = Server::script(vec![
        Reply::json(
            200,
            json!({"status": {"type": "success", "code": 200, "message": "Success", "error": false}}),
        ),
        Reply::json(
            201,
            json!({"mfa_token": "25992782", "expires_at": "2030-01-01T00:00:00Z", "reusable": true, "device_id": "user_temp_otp_1"}),
        ),
        Reply::json(200, json!([{"mfa_token": 25_992_782, "reusable": "false"}])),
    ]);
    let api = mfa(&server);
    let request = CreateDeviceVerificationRequest::with_otp("25992782");
    assert!(api.verify_otp(56, &request).await.unwrap().is_accepted());
    let token = api
        .generate_otp(
            56,
            &GenerateOtpRequest::new().expires_in(3600).reusable(true),
        )
        .await
        .unwrap();
    assert_eq!(
        (token.mfa_token.expose_secret(), token.reusable),
        ("25992782", true)
    );
    let token = api
        .generate_otp(56, &GenerateOtpRequest::new())
        .await
        .unwrap();
    assert_eq!(
        (token.mfa_token.expose_secret(), token.reusable),
        ("25992782", false)
    );
    let sent = server.requests();
    assert_eq!(
        (sent[0].json(), sent[2].json()),
        (json!({"otp": "25992782"}), json!({}))
    );
    assert!(matches!(
        api.create_device_verification(56, &request).await,
        Err(Error::Request(_))
    ));
    assert!(matches!(
        api.verify_otp(56, &CreateDeviceVerificationRequest::new("1"))
            .await,
        Err(Error::Request(_))
    ));
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn an_answer_that_does_not_say_success_accepts_nothing() {
    for body in [
        json!({}),
        json!({"type": "pending", "code": 200}),
        json!({"status": {"type": "success", "code": 200, "error": true}}),
        json!({"status": {"type": "success", "code": 401}, "type": "success"}),
        json!({"type": "success", "status": "pending"}),
    ] {
        let server = Server::script(vec![Reply::json(200, body.clone())]);
        assert!(
            !mfa(&server).verify_code(56, ID, "123456").await.unwrap(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn an_error_keeps_all_that_the_service_said() {
    let server = Server::script(vec![
        Reply::json(
            422,
            json!({"statusCode": 422, "name": "ValidationError", "message": "Validations failed", "details": {"parameters": ["factor_id"]}}),
        )
        .header("X-Request-Id", "r-1"),
    ]);
    let error = mfa(&server).get_auth_factors(56).await.unwrap_err();
    assert_eq!(
        (error.status(), error.name(), error.message()),
        (
            Some(422),
            Some("ValidationError"),
            Some("Validations failed")
        )
    );
    assert_eq!(
        (error.request_id(), error.parameters()),
        (Some("r-1"), vec!["factor_id"])
    );
    assert!(error.body().unwrap().contains("statusCode"));
    assert_eq!(
        error.to_string(),
        "422 ValidationError: Validations failed (factor_id) [request r-1]"
    );
}

#[tokio::test]
async fn a_wrong_code_a_bad_token_and_a_lock_are_told_apart() {
    let wrong = Reply::json(
        401,
        json!({"statusCode": 401, "name": "Unauthorized", "message": "Authentication Failure",
               "status": {"error": true, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}}),
    );
    let bearer = Reply::json(401, json!({"statusCode": 401, "name": "InvalidCredentials", "message": "Please provide valid credentials"}))
        .header("WWW-Authenticate", "Bearer realm=\"factord\"");
    let locked = Reply::json(
        403,
        json!({"statusCode": 403, "name": "ForbiddenAction", "message": "locked"}),
    )
    .header("Retry-After", "30");
    let server = Server::script(vec![wrong.clone(), wrong, locked, bearer]);
    let api = mfa(&server);
    assert!(!api.verify_code(56, ID, "000000").await.unwrap());
    let request = VerifyUserVerificationRequest::new("000000");
    let error = api
        .verify_user_verification(56, ID, &request)
        .await
        .unwrap_err();
    assert!(error.is_wrong_code() && !error.is_unauthenticated() && !error.is_locked_out());
    let error = api.verify_code(56, ID, "000000").await.unwrap_err();
    assert!(error.is_locked_out() && !error.is_wrong_code());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    let error = api.verify_code(56, ID, "000000").await.unwrap_err();
    assert!(error.is_unauthenticated() && !error.is_wrong_code());
}

#[tokio::test]
async fn a_challenge_takes_the_default_device_and_passes_over_temporary_tokens() {
    let devices = json!([
        {"device_id": "user_temp_otp_9", "default": true}, {"device_id": "1"}, {"device_id": "2", "default": true}
    ]);
    let success = json!({"type": "success", "code": 200, "error": false});
    let server = Server::script(vec![
        Reply::json(200, devices),
        Reply::json(201, json!({"id": ID, "device_id": 2})),
        Reply::json(401, json!({"name": "Unauthorized"})),
        Reply::json(200, success),
        Reply::json(200, json!({"id": ID, "status": "accepted"})),
        Reply::json(
            200,
            json!([{"device_id": "user_temp_otp_9", "default": true}]),
        ),
    ]);
    let api = mfa(&server);
    let challenge = api.challenge(56).await.unwrap();
    assert_eq!(challenge.device().device_id.as_str(), "2");
    assert!(!challenge.verify_code("000000").await.unwrap());
    assert!(challenge.verify_code("123456").await.unwrap());
    assert_eq!(
        challenge.wait(Duration::from_secs(1)).await.unwrap().status,
        Status::Accepted
    );
    assert!(matches!(api.challenge(56).await, Err(Error::NoDevice)));
}

#[tokio::test]
async fn waiting_ends_with_the_decision_or_at_the_deadline() {
    let pending = Reply::json(200, json!({"id": ID, "status": "pending"}));
    let server = Server::script(vec![
        pending.clone(),
        Reply::json(
            200,
            json!({"id": ID, "status": "rejected", "reason": "expired"}),
        ),
    ]);
    let decided = mfa(&server)
        .wait_for_verification(56, ID, Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(
        (decided.status, decided.reason.as_deref()),
        (Status::Rejected, Some("expired"))
    );
    let server = Server::script(vec![pending]);
    let error = mfa(&server)
        .wait_for_registration(56, ID, Duration::from_millis(120))
        .await
        .unwrap_err();
    assert!(
        error.is_timeout()
            && matches!(
                error,
                Error::Deadline {
                    status: Status::Pending,
                    ..
                }
            )
    );
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let server = Server::script(vec![Reply::json(
        200,
        json!({"id": "x", "status": "pending"}),
    )]);
    let api = mfa(&server);
    for id in ["", ".", ".."] {
        assert!(
            matches!(
                api.get_user_verification(56, id).await,
                Err(Error::Request(_))
            ),
            "{id:?}"
        );
    }
    api.get_user_verification(56, "../../devices?a=b#c/%2e")
        .await
        .unwrap();
    assert_eq!(
        server.lines(),
        [format!(
            "GET {BASE}/verifications/..%2F..%2Fdevices%3Fa=b%23c%2F%252e"
        )]
    );
}

#[tokio::test]
async fn a_path_before_the_api_is_kept_and_a_slash_after_the_host_is_not_doubled() {
    for (suffix, prefix) in [("/", ""), ("/sso", "/sso"), ("/sso/", "/sso")] {
        let server = Server::script(vec![Reply::json(200, json!([]))]);
        let configuration =
            Configuration::new(format!("{}{suffix}", server.url())).access_token("given");
        let api = MultiFactorAuthenticationApi::new(&ApiClient::new(configuration).unwrap());
        api.get_auth_factors(56).await.unwrap();
        assert_eq!(server.lines(), [format!("GET {prefix}{BASE}/factors")]);
        assert_eq!(
            server.requests()[0].headers["authorization"],
            "Bearer given"
        );
    }
}

#[tokio::test]
async fn tokens_are_made_renewed_and_ended_with_the_clients_own_credentials() {
    let token = json!({"access_token": "a", "created_at": "2026-01-31T12:00:00Z", "expires_in": 36000, "refresh_token": "r",
                       "token_type": "bearer", "account_id": 1});
    let server = Server::start_raw(move |request, _| match request.target.as_str() {
        "/auth/oauth2/v2/token" => Reply::json(200, token.clone()),
        "/auth/oauth2/revoke" => {
            Reply::json(200, json!({"status": {}, "error": false, "code": 200}))
        }
        _ => Reply::json(
            200,
            json!({"status": {"code": 200}, "data": {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 4994, "X-RateLimit-Reset": 1800}}),
        ),
    });
    let api = OAuth2Api::new(&client(&server));
    let token = api.generate_token().await.unwrap();
    let renewed = api
        .refresh_token(token.access_token, token.refresh_token.unwrap())
        .await
        .unwrap();
    api.revoke_tokens(renewed.access_token).await.unwrap();
    let limit = api.get_rate_limit().await.unwrap();
    assert_eq!(
        (limit.limit, limit.remaining, limit.reset),
        (5000, 4994, 1800)
    );
    let sent = server.requests();
    assert_eq!(sent[0].headers["authorization"], "Basic aWQ6c2VjcmV0");
    assert_eq!(sent[0].json(), json!({"grant_type": "client_credentials"}));
    assert_eq!(
        sent[1].json(),
        json!({"grant_type": "refresh_token", "access_token": "a", "refresh_token": "r"})
    );
    assert_eq!(sent[2].json(), json!({"access_token": "a"}));
    assert_eq!(sent[4].line(), "GET /auth/rate_limit");
    let given = ApiClient::new(Configuration::new(server.url()).access_token("given")).unwrap();
    assert!(matches!(
        OAuth2Api::new(&given).generate_token().await,
        Err(Error::Configuration(_))
    ));
}

#[tokio::test]
async fn users_are_created_read_changed_and_deleted() {
    let user = json!({"id": 56, "username": "ada", "email": "ada@example.com", "state": 1, "status": 2, "phone": null,
                      "manager_user_id": 7, "role_ids": [1], "custom_attributes": {"team": "x"}, "last_login": ""});
    let server = Server::script(vec![
        Reply::json(201, user.clone()),
        Reply::json(200, json!([user])),
        Reply::json(200, user),
        Reply::empty(204),
    ]);
    let api = UsersApi::new(&client(&server));
    let request = UserRequest::new()
        .username("ada")
        .email("ada@example.com")
        .password("hush");
    let created = api.create_user(&request).await.unwrap();
    assert_eq!(
        (created.id, created.state(), created.status()),
        (
            UserId(56),
            Some(UserState::Approved),
            Some(UserStatus::Suspended)
        )
    );
    assert_eq!(api.get_user(created.id).await.unwrap(), created);
    api.update_user(created.id, &UserRequest::new().firstname("Ada"))
        .await
        .unwrap();
    api.delete_user(created.id).await.unwrap();
    let sent = server.requests();
    assert_eq!(
        sent[0].json(),
        json!({"username": "ada", "email": "ada@example.com", "password": "hush", "password_confirmation": "hush"})
    );
    assert_eq!(
        (sent[2].line().as_str(), sent[2].json()),
        ("PUT /api/2/users/56", json!({"firstname": "Ada"}))
    );
    assert_eq!(sent[3].line(), "DELETE /api/2/users/56");
}

#[tokio::test]
async fn all_pages_of_users_are_read_by_cursor_or_by_number() {
    let page = |ids: &[u64]| json!(ids.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>());
    let by_cursor = Server::script(vec![
        Reply::json(200, page(&[1, 2])).header("After-Cursor", "c2"),
        Reply::json(200, page(&[3])).header("After-Cursor", "c2"), // leads to itself: the end
    ]);
    let by_number = Server::script(vec![
        Reply::json(200, page(&[1, 2]))
            .header("Current-Page", "1")
            .header("Total-Pages", "2"),
        Reply::json(200, page(&[3]))
            .header("Current-Page", "2")
            .header("Total-Pages", "2"),
    ]);
    for (server, second) in [(by_cursor, "cursor=c2"), (by_number, "page=2")] {
        let query = UserQuery::new()
            .limit(2_u32)
            .lastname("O'Neil & Co")
            .fields(["email", "id"])
            .custom_attribute("team", "x");
        let users = UsersApi::new(&client(&server)).users(query);
        let ids: Vec<u64> = users
            .into_stream()
            .map_ok(|user| user.id.0)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(ids, [1, 2, 3]);
        let first = "GET /api/2/users?limit=2&lastname=O%27Neil+%26+Co&fields=id%2Cemail";
        assert_eq!(
            server.lines(),
            [
                format!("{first}&custom_attributes.team=x"),
                format!("{first}&{second}&custom_attributes.team=x")
            ]
        );
    }
}

#[tokio::test]
async fn a_user_is_found_by_name() {
    let server = Server::script(vec![
        Reply::json(200, json!([{"id": 56, "username": "Ada"}])),
        Reply::json(200, json!([])),
    ]);
    let api = UsersApi::new(&client(&server));
    assert_eq!(
        api.find_by_username("ada").await.unwrap().unwrap().id,
        UserId(56)
    );
    assert!(api.find_by_username("ada").await.unwrap().is_none());
}
