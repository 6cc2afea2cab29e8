//! The factors that are more than a code which the person reads and types: a call, an app, a link, a key, hardware.

use std::time::Duration;

use onelogin::{
    MultiFactorAuthenticationApi,
    models::{
        CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, DeviceId,
        DeviceVerification, FactorData, FactorKind, Registration, Status, UserId,
        VerifyUserRegistrationRequest, VerifyUserVerificationRequest,
    },
    secrecy::{ExposeSecret, SecretString},
};
use serde_json::json;

use crate::service::Factord;
use soft_key::SoftKey;

#[path = "../../../factord/src/factor/webauthn/soft_key.rs"]
#[expect(
    dead_code,
    reason = "written for the tests of the service, which try more"
)]
mod soft_key;

const BACK: &str = "http://localhost:3000/in";

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_call_is_answered_with_the_code_that_the_caller_was_told() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let begun = begin(&api, user, 58_960).await;
    let code = secret(begun.factor_data.as_ref(), |data| {
        data.verification_token.as_ref()
    });
    let call = service.message(user, "call", 0).await;
    let by_the_caller = VerifyUserRegistrationRequest::new(code.as_str());
    let refused = api.verify_user_registration(user, &begun.id, &by_the_caller);
    assert_eq!(refused.await.unwrap_err().status(), Some(422));
    let played = service
        .on_the_phone(&call, &json!({ "digits": code }))
        .await;
    assert_eq!(played, "accepted");
    let device = settled(&api, user, &begun).await;

    let request = CreateDeviceVerificationRequest::new(&device);
    let begun = challenge(&api, user, &request).await;
    assert_eq!(FactorKind::of(&begun.auth_factor_name), FactorKind::Voice);
    let code = secret(begun.factor_data.as_ref(), |data| {
        data.verification_token.as_ref()
    });
    let call = service.message(user, "call", id(&call)).await;
    assert!(
        !api.verify_code(user, &begun.id, code.as_str())
            .await
            .unwrap()
    );
    service
        .on_the_phone(&call, &json!({ "digits": code }))
        .await;
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Accepted, None)
    );

    let begun = challenge(&api, user, &request).await;
    let call = service.message(user, "call", id(&call)).await;
    service
        .on_the_phone(&call, &json!({ "hang_up": true }))
        .await;
    let hung_up = Some("hung_up".to_owned());
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Rejected, hung_up)
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn an_app_is_activated_and_approves_with_the_number_that_is_shown_or_denies() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let begun = begin(&api, user, 58_958).await;
    let link = secret(begun.factor_data.as_ref(), |data| data.totp_url.as_ref());
    service.app(user, &["activate", &link]);
    let device = settled(&api, user, &begun).await;

    let request = CreateDeviceVerificationRequest::new(&device);
    let matched = request.clone().number_matching(true);
    let begun = challenge(&api, user, &matched).await;
    assert_eq!(FactorKind::of(&begun.auth_factor_name), FactorKind::Protect);
    let number = secret(begun.factor_data.as_ref(), |data| data.number.as_ref());
    service.app(user, &["approve", begun.id.as_str(), &number]);
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Accepted, None)
    );

    let begun = challenge(&api, user, &request).await;
    service.app(user, &["deny", begun.id.as_str()]);
    let denied = Some("denied".to_owned());
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Rejected, denied)
    );

    let on_page = matched.redirect_to(BACK);
    let begun = challenge(&api, user, &on_page).await;
    assert!(
        begun.factor_data.is_none(),
        "the number is on the page alone"
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_link_counts_once_its_button_is_pressed() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let begun = begin(&api, user, 58_962).await;
    let message = service.message(user, "link", 0).await;
    let pending = api.get_user_registration(user, &begun.id).await.unwrap();
    assert_eq!(pending.status, Status::Pending);
    service.press(message["link"].as_str().unwrap()).await;
    let device = settled(&api, user, &begun).await;

    let request = CreateDeviceVerificationRequest::new(&device).redirect_to(BACK);
    let begun = challenge(&api, user, &request).await;
    assert_eq!(
        FactorKind::of(&begun.auth_factor_name),
        FactorKind::MagicLink
    );
    let message = service.message(user, "link", id(&message)).await;
    service.press(message["link"].as_str().unwrap()).await;
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Accepted, None)
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_security_key_is_enrolled_and_lets_in_and_no_other_does() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    let origin = service.url.replace("127.0.0.1", "localhost");
    let (mut key, mut other) = (SoftKey::new(&origin), SoftKey::new(&origin));
    let begun = begin(&api, user, 58_963).await;
    let data = begun.factor_data.as_ref().unwrap();
    assert!(data.url.is_some(), "a page of the service makes a key too");
    let options = data.public_key.as_ref().unwrap();
    assert_eq!(options["rp"]["id"], "localhost");
    let nothing = VerifyUserRegistrationRequest::default();
    let refused = api.verify_user_registration(user, &begun.id, &nothing);
    assert_eq!(refused.await.unwrap_err().status(), Some(400));
    let request = VerifyUserRegistrationRequest::with_credential(key.create(options));
    let confirmed = api
        .verify_user_registration(user, &begun.id, &request)
        .await
        .unwrap();
    assert_eq!(confirmed.status, Status::Accepted);
    let device = confirmed.device_id.unwrap();

    let request = CreateDeviceVerificationRequest::new(&device);
    let begun = challenge(&api, user, &request).await;
    assert_eq!(
        FactorKind::of(&begun.auth_factor_name),
        FactorKind::WebAuthn
    );
    let options = begun
        .factor_data
        .as_ref()
        .unwrap()
        .public_key
        .as_ref()
        .unwrap();
    let forged = VerifyUserVerificationRequest::with_credential(other.get(options));
    let refused = api.verify_user_verification(user, &begun.id, &forged).await;
    assert!(refused.unwrap_err().is_wrong_code());
    let right = VerifyUserVerificationRequest::with_credential(key.get(options));
    let accepted = api.verify_user_verification(user, &begun.id, &right).await;
    assert!(accepted.unwrap().is_accepted());
    assert_eq!(
        decided(&api, user, &begun.id).await,
        (Status::Accepted, None)
    );
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_yubikey_is_enrolled_by_one_press_and_lets_in_by_another() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    // The key of docs/factors/yubikey.md, and what it types at its first two presses.
    let keys = "5417533,vvccccfiluij,4e7a25a1f1b2,2f5d71e8f0c7a2b9d4e6138a5c90b7f1\n";
    service.administer(&["yubikey", "import", &service.file(keys)]);
    let begun = begin(&api, user, 58_964).await;
    let press = VerifyUserRegistrationRequest::new("vvccccfiluijcetiikufneleurhjgrjgbknllivditdr");
    let confirmed = api
        .verify_user_registration(user, &begun.id, &press)
        .await
        .unwrap();
    let device = confirmed.device_id.unwrap();
    let press = CreateDeviceVerificationRequest::new(&device)
        .otp("vvccccfiluijhdbcucglnrdnituvjegkfggvnbtbgbed");
    assert!(api.verify_otp(user, &press).await.unwrap().is_accepted());
    assert!(
        api.verify_otp(user, &press)
            .await
            .unwrap_err()
            .is_wrong_code()
    );
    let devices = api.get_authentication_devices(user).await.unwrap();
    assert_eq!(devices[0].kind(), FactorKind::YubiKey);
}

#[tokio::test]
#[ignore = "needs FACTORD"]
async fn a_hardware_token_lets_in_whoever_it_was_imported_for() {
    let service = Factord::start();
    let (api, user) = (service.mfa(), service.user("ada").await);
    // The secret and the first codes of RFC 4226 Appendix D.
    let tokens = "ada,00412345,3132333435363738393031323334353637383930,0,6\n";
    service.administer(&["token", "import", &service.file(tokens)]);
    let challenge = api.challenge(user).await.unwrap();
    assert_eq!(challenge.device().kind(), FactorKind::Authenticator);
    assert!(challenge.verify_code("755224").await.unwrap());
    let challenge = api.challenge(user).await.unwrap();
    assert!(
        !challenge.verify_code("755224").await.unwrap(),
        "a code works once"
    );
    assert!(challenge.verify_code("287082").await.unwrap());
}

async fn begin(api: &MultiFactorAuthenticationApi, user: UserId, factor: i64) -> Registration {
    let request = CreateFactorRegistrationRequest::new(factor, "Mine");
    let begun = api
        .create_factor_registration(user, &request)
        .await
        .unwrap();
    assert_eq!(begun.status, Status::Pending);
    begun
}

async fn challenge(
    api: &MultiFactorAuthenticationApi,
    user: UserId,
    request: &CreateDeviceVerificationRequest,
) -> DeviceVerification {
    let begun = api.create_device_verification(user, request).await;
    begun.unwrap()
}

/// The device of a registration that was confirmed without a code of the caller.
async fn settled(
    api: &MultiFactorAuthenticationApi,
    user: UserId,
    begun: &Registration,
) -> DeviceId {
    let waiting = api.wait_for_registration(user, &begun.id, Duration::from_secs(5));
    let settled = waiting.await.unwrap();
    assert_eq!(settled.status, Status::Accepted);
    settled.device_id.unwrap()
}

/// How a verification ended, and why.
async fn decided(
    api: &MultiFactorAuthenticationApi,
    user: UserId,
    id: &onelogin::models::VerificationId,
) -> (Status, Option<String>) {
    let waiting = api.wait_for_verification(user, id, Duration::from_secs(5));
    let ended = waiting.await.unwrap();
    (ended.status, ended.reason)
}

fn secret(data: Option<&FactorData>, pick: fn(&FactorData) -> Option<&SecretString>) -> String {
    let secret = pick(data.unwrap()).unwrap();
    secret.expose_secret().to_owned()
}

fn id(message: &serde_json::Value) -> u64 {
    message["id"].as_u64().unwrap()
}
