//! Every operation and every factor against a running service: factord, which the test starts itself.
//!
//! `FACTORD=target/debug/factord cargo test -p onelogin --test live -- --ignored`: the path of a built factord, beside which
//! its examples are built.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod factors;
mod service;

use std::{path::PathBuf, process::Command, time::Duration};

use futures_util::TryStreamExt;
use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi, OAuth2Api, UserQuery, UsersApi,
    models::{
        CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, FactorId, FactorKind,
        GenerateOtpRequest, Otp, Registration, RegistrationId, Status, UserId, UserRequest,
        UserStatus, VerifyUserRegistrationRequest,
    },
};

use service::Factord;

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn an_authenticator_is_enrolled_verified_and_deleted() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let factors = api.get_auth_factors(user).await.unwrap();
    assert!(
        factors
            .iter()
            .any(|factor| factor.kind() == FactorKind::Authenticator)
    );
    let (device, secret) = service.enrol_totp(user).await;
    assert!(
        api.get_auth_factors(user)
            .await
            .unwrap()
            .iter()
            .all(|factor| factor.kind() != FactorKind::Authenticator)
    );
    let devices = api.get_authentication_devices(user).await.unwrap();
    assert_eq!(
        (devices.len(), &devices[0].device_id, devices[0].default),
        (1, &device, true)
    );

    service.clock(30).await; // enrolling used this step's code
    let challenge = api.challenge(user).await.unwrap();
    assert_eq!(challenge.verification().device_id.as_ref(), Some(&device));
    assert!(!challenge.verify_code("00000x").await.unwrap());
    let code = service.totp(&secret).await;
    assert!(challenge.verify_code(code.as_str()).await.unwrap());
    assert_eq!(
        challenge.wait(Duration::from_secs(1)).await.unwrap().status,
        Status::Accepted
    );
    let again = api.challenge(user).await.unwrap();
    assert!(!again.verify_code(code).await.unwrap(), "a code works once");

    service.clock(30).await;
    let number: u64 = service.totp(&secret).await.parse().unwrap();
    assert!(
        again.verify_code(Otp::Number(number)).await.unwrap(),
        "a number has lost its zeros"
    );

    api.delete_enrolled_factor(user, &device).await.unwrap();
    assert!(
        api.delete_enrolled_factor(user, &device)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        api.get_authentication_devices(user)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        api.challenge(user).await,
        Err(onelogin::Error::NoDevice)
    ));
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn codes_by_text_message_and_by_mail_are_enrolled_and_verified() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let mut last = 0;
    for (factor, kind) in [(58_959, FactorKind::Sms), (58_961, FactorKind::Email)] {
        let request = CreateFactorRegistrationRequest::new(factor, "Mine").expires_in(300);
        let begun = api
            .create_factor_registration(user, &request)
            .await
            .unwrap();
        assert_eq!((begun.status, begun.user_id), (Status::Pending, Some(user)));
        let (code, id) = service.code(user, last).await;
        last = id;
        let request = VerifyUserRegistrationRequest::new(code);
        let device = api
            .verify_user_registration(user, &begun.id, &request)
            .await
            .unwrap()
            .device_id
            .unwrap();
        let settled = api
            .wait_for_registration(user, &begun.id, Duration::from_secs(1))
            .await
            .unwrap();
        assert_eq!(
            (settled.status, settled.device_id.as_ref()),
            (Status::Accepted, Some(&device))
        );

        let request = CreateDeviceVerificationRequest::new(&device).display_name("login");
        let begun = api
            .create_device_verification(user, &request)
            .await
            .unwrap();
        assert_eq!(FactorKind::of(&begun.auth_factor_name), kind);
        let (code, id) = service.code(user, last).await;
        last = id;
        assert!(api.verify_code(user, &begun.id, code).await.unwrap());
    }
    let request = CreateFactorRegistrationRequest::new(58_959, "Other").verified(true);
    let other = service.user("bob").await;
    let begun = api
        .create_factor_registration(other, &request)
        .await
        .unwrap();
    assert_eq!(begun.status, Status::Accepted);
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_temporary_token_stands_in_for_every_device() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let (device, _) = service.enrol_totp(user).await;
    let once = api
        .generate_otp(user, &GenerateOtpRequest::new())
        .await
        .unwrap();
    let often = api
        .generate_otp(
            user,
            &GenerateOtpRequest::new().expires_in(3600).reusable(true),
        )
        .await
        .unwrap();
    assert!(
        api.get_authentication_devices(user)
            .await
            .unwrap()
            .iter()
            .any(|device| device.kind() == FactorKind::TemporaryToken)
    );
    let begun = api
        .create_device_verification(user, &CreateDeviceVerificationRequest::new(&device))
        .await
        .unwrap();
    assert!(
        api.verify_code(user, &begun.id, &once.mfa_token)
            .await
            .unwrap()
    );
    let request = |token: &onelogin::models::MfaToken| {
        CreateDeviceVerificationRequest::with_otp(&token.mfa_token)
    };
    assert!(
        api.verify_otp(user, &request(&once))
            .await
            .unwrap_err()
            .is_wrong_code()
    );
    for _ in 0..2 {
        assert!(
            api.verify_otp(user, &request(&often))
                .await
                .unwrap()
                .is_accepted()
        );
    }
    api.delete_enrolled_factor(user, often.device_id.as_ref().unwrap())
        .await
        .unwrap();
    assert!(
        api.verify_otp(user, &request(&often))
            .await
            .unwrap_err()
            .is_wrong_code()
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn recovery_codes_are_shown_until_they_are_confirmed_and_work_once_each() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let begun = api
        .create_factor_registration(user, &CreateFactorRegistrationRequest::new(58_965, "Paper"))
        .await
        .unwrap();
    let codes = begun.factor_data.unwrap().recovery_codes.unwrap();
    let shown = api
        .get_user_registration(user, &begun.id)
        .await
        .unwrap()
        .factor_data
        .unwrap();
    assert_eq!((codes.len(), shown.recovery_codes.unwrap().len()), (10, 10));
    let kept = VerifyUserRegistrationRequest::default();
    let device = api
        .verify_user_registration(user, &begun.id, &kept)
        .await
        .unwrap()
        .device_id
        .unwrap();
    assert!(
        api.get_user_registration(user, &begun.id)
            .await
            .unwrap()
            .factor_data
            .is_none()
    );
    let request = CreateDeviceVerificationRequest::new(&device);
    for accepted in [true, false] {
        let begun = api
            .create_device_verification(user, &request)
            .await
            .unwrap();
        assert_eq!(
            api.verify_code(user, &begun.id, &codes[3]).await.unwrap(),
            accepted
        );
    }
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn what_goes_wrong_is_told_apart() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let (device, _) = service.enrol_totp(user).await;
    let request = CreateDeviceVerificationRequest::new(&device);
    let begun = api
        .create_device_verification(user, &request)
        .await
        .unwrap();
    let error = api
        .create_device_verification(user, &request.clone().expires_in(5))
        .await
        .unwrap_err();
    assert_eq!(
        (error.status(), error.parameters()),
        (Some(422), vec!["expires_in"])
    );
    assert!(error.request_id().is_some());
    assert!(
        api.get_user_registration(user, RegistrationId::new("nonsense"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        api.get_auth_factors(999_999)
            .await
            .unwrap_err()
            .is_not_found()
    );
    for _ in 0..5 {
        assert!(!api.verify_code(user, &begun.id, "00000x").await.unwrap());
    }
    let ended = api
        .wait_for_verification(user, &begun.id, Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(ended.status, Status::Rejected);
    let error = api
        .create_device_verification(user, &request)
        .await
        .unwrap_err();
    assert!(error.is_locked_out(), "{error}");

    service.clock(60).await;
    let begun = api
        .create_device_verification(user, &request.expires_in(120))
        .await
        .unwrap();
    service.clock(121).await;
    let expired = api
        .wait_for_verification(user, &begun.id, Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(
        (expired.status, expired.reason.as_deref()),
        (Status::Rejected, Some("expired"))
    );

    let wrong = Configuration::new(&service.url).client_credentials("id", "wrong");
    let wrong = MultiFactorAuthenticationApi::new(&ApiClient::new(wrong).unwrap());
    assert!(
        wrong
            .get_auth_factors(user)
            .await
            .unwrap_err()
            .is_unauthenticated()
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn tokens_are_refreshed_and_one_that_was_revoked_is_replaced() {
    let service = Factord::start();
    let client = service.client();
    let (oauth, users) = (OAuth2Api::new(&client), UsersApi::new(&client));
    let first = oauth.generate_token().await.unwrap();
    let second = oauth
        .refresh_token(first.access_token.clone(), first.refresh_token.unwrap())
        .await
        .unwrap();
    let given = |token| {
        UsersApi::new(
            &ApiClient::new(Configuration::new(&service.url).access_token(token)).unwrap(),
        )
    };
    assert!(
        given(first.access_token)
            .list_users(&UserQuery::new())
            .await
            .unwrap_err()
            .is_unauthenticated()
    );
    given(second.access_token.clone())
        .list_users(&UserQuery::new())
        .await
        .unwrap();
    oauth
        .revoke_tokens(second.access_token.clone())
        .await
        .unwrap();
    assert!(
        given(second.access_token)
            .list_users(&UserQuery::new())
            .await
            .unwrap_err()
            .is_unauthenticated()
    );
    users.list_users(&UserQuery::new()).await.unwrap();
    service.clock(35_000).await; // the service's clock alone: the client still thinks that its token lives
    service.clock(2_000).await;
    users.list_users(&UserQuery::new()).await.unwrap();
    assert!(oauth.get_rate_limit().await.unwrap().limit > 0);
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn users_are_created_found_changed_paged_and_deleted() {
    let service = Factord::start();
    let users = UsersApi::new(&service.client());
    let mut ids = Vec::new();
    for number in 0..7 {
        let request = UserRequest::new()
            .username(format!("user{number}"))
            .lastname("Paged")
            .password("dropped");
        ids.push(users.create_user(&request).await.unwrap().id);
    }
    let query = UserQuery::new().lastname("Paged").limit(3_u32);
    let mut found: Vec<UserId> = users
        .users(query.clone())
        .into_stream()
        .map_ok(|user| user.id)
        .try_collect()
        .await
        .unwrap();
    found.sort_unstable();
    assert_eq!(found, ids);
    let page = users.list_users(&query).await.unwrap();
    assert_eq!((page.items.len(), page.total_count), (3, Some(7)));
    let restricted = users.list_users(&query.fields(["username"])).await.unwrap();
    assert!(
        restricted
            .items
            .iter()
            .all(|user| user.username.is_some() && user.lastname.is_none())
    );
    assert_eq!(
        users.find_by_username("user3").await.unwrap().unwrap().id,
        ids[3]
    );
    let changed = users
        .update_user(ids[3], &UserRequest::new().status(2).firstname("Ada"))
        .await
        .unwrap();
    assert_eq!(
        (changed.status(), changed.lastname.as_deref()),
        (Some(UserStatus::Suspended), Some("Paged"))
    );
    let error = service
        .mfa()
        .generate_otp(ids[3], &GenerateOtpRequest::new())
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.is_locked_out()), (Some(403), false));
    users.delete_user(ids[3]).await.unwrap();
    assert!(users.get_user(ids[3]).await.unwrap_err().is_not_found());
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn every_example_does_what_it_says() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let id = user.to_string();
    let examples = built_examples();
    let run = |name: &str, arguments: &[&str]| {
        let output = Command::new(examples.join(name))
            .arg(&id)
            .args(arguments)
            .envs([
                ("ONELOGIN_HOST", service.url.as_str()),
                ("ONELOGIN_CLIENT_ID", "id"),
                ("ONELOGIN_CLIENT_SECRET", "secret"),
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(run("get_auth_factors", &[]).contains("58959 OneLogin SMS (SMS)"));
    let registration = run("create_factor_registration", &["58959", "My phone"]);
    let registration = registration.split_whitespace().next().unwrap();
    assert!(run("get_user_registration", &[registration]).starts_with("pending"));
    let (code, last) = service.code(user, 0).await;
    assert!(run("verify_user_registration", &[registration, &code]).starts_with("accepted"));
    let devices = run("get_authentication_devices", &[]);
    assert!(devices.ends_with(" SMS My phone (default)\n"), "{devices}");
    let device = devices.split_whitespace().next().unwrap();
    let verification = run("create_device_verification", &[device]);
    let verification = verification.split_whitespace().next().unwrap();
    assert_eq!(
        run("verify_user_verification", &[verification, "00000x"]),
        "the code is wrong\n"
    );
    let (code, _) = service.code(user, last).await;
    assert_eq!(
        run("verify_user_verification", &[verification, &code]),
        "accepted\n"
    );
    assert_eq!(run("get_user_verification", &[verification]), "accepted \n");
    let token = run("generate_otp", &[]);
    assert_eq!(
        run("verify_otp", &[token.split_whitespace().next().unwrap()]),
        "accepted\n"
    );
    assert_eq!(run("delete_enrolled_factor", &[device]), "deleted\n");
    assert!(
        api.get_authentication_devices(user)
            .await
            .unwrap()
            .iter()
            .all(|left| left.device_id.as_str() != device)
    );

    let totp = run(
        "create_factor_registration",
        &[&FactorId(58_957).to_string(), "App"],
    );
    assert!(totp.contains("otpauth://totp/"), "{totp}");
    let registration: Registration = api
        .get_user_registration(user, totp.split_whitespace().next().unwrap())
        .await
        .unwrap();
    assert_eq!(registration.status, Status::Pending);
}

/// The folder of the client's examples, which are built with the features that the workspace's tests have, so that nothing
/// is built twice.
fn built_examples() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--workspace"])
        .args(["--all-features", "--examples"])
        .status()
        .unwrap();
    assert!(built.success());
    // The test is in `deps` beside it.
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().with_file_name("examples")
}
