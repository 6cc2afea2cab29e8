//! How the wire types read and write.

use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "reads better with json!")]
fn read<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_str(&body.to_string()).unwrap() // as text, so that all types are read the way they arrive
}

fn refusal<T: DeserializeOwned>(body: &str) -> String {
    let error = serde_json::from_str::<T>(body).err().unwrap().to_string();
    error.split(" at line").next().unwrap().to_owned()
}

#[test]
fn numbers_and_booleans_are_read_from_strings_and_ids_from_numbers() {
    let request: CreateFactorRegistrationRequest = read(
        json!({"factor_id": "58959", "display_name": "7", "expires_in": "120", "verified": "True", "extra": [1]}),
    );
    assert_eq!(
        request,
        CreateFactorRegistrationRequest::new(58959, "7")
            .expires_in(120)
            .verified(true)
    );
    let request: CreateDeviceVerificationRequest =
        read(json!({"device_id": 3_920_360, "number_matching": "false"}));
    assert_eq!(request.device_id, Some("3920360".into()));
    assert_eq!(request.number_matching, Some(false));
    let request: GenerateOtpRequest = read(json!({"expires_in": 3600.0, "reusable": "true"}));
    assert_eq!(
        request,
        GenerateOtpRequest::new().expires_in(3600).reusable(true)
    );
    let request: UserRequest =
        read(json!({"phone": "14155550100", "role_ids": ["1", 2], "state": "1"}));
    assert_eq!(request.phone.as_deref(), Some("14155550100"));
    assert_eq!(request.role_ids, Some(vec![1, 2]));
}

#[test]
fn an_explicit_null_is_an_absent_field() {
    let request: CreateFactorRegistrationRequest = read(json!({
        "factor_id": 1, "display_name": "x", "expires_in": null, "verified": null, "redirect_to": null, "custom_message": null
    }));
    assert_eq!(request, CreateFactorRegistrationRequest::new(1, "x"));
    let request: VerifyUserRegistrationRequest = read(json!({"otp": null, "credential": null}));
    assert!(request.otp.is_none() && request.credential.is_none());
    let request: UserRequest =
        read(json!({"email": null, "role_ids": null, "custom_attributes": null}));
    assert_eq!(serde_json::to_value(request).unwrap(), json!({}));
}

#[test]
fn an_integer_out_of_range_keeps_its_type_so_that_its_value_can_be_refused() {
    for (sent, read_as) in [
        (json!(-1), -1),
        (json!(5), 5),
        (json!("99999999999999999999"), i64::MAX),
        (json!("-99999999999999999999"), i64::MIN),
        (json!(1e300), i64::MAX),
        (json!(u64::MAX), i64::MAX),
    ] {
        let request: GenerateOtpRequest = read(json!({ "expires_in": sent }));
        assert_eq!(request.expires_in, Some(read_as), "{sent}");
    }
}

#[test]
fn a_wrong_type_is_refused_by_the_name_of_the_right_one_and_without_the_value() {
    let integer = "expected an integer or a decimal string";
    for sent in [
        r#""abc""#,
        r#""""#,
        r#""1.5""#,
        r#"" 1""#,
        r#""+1""#,
        "1.5",
        "true",
        "[]",
        "{}",
        r#"{"a":{"b":1}}"#,
    ] {
        let error = refusal::<GenerateOtpRequest>(&format!(r#"{{"expires_in": {sent}}}"#));
        assert!(error.ends_with(integer), "{sent}: {error}");
    }
    for sent in ["1", r#""yes""#, "[]"] {
        let error = refusal::<GenerateOtpRequest>(&format!(r#"{{"reusable": {sent}}}"#));
        assert!(
            error.ends_with(r#"expected a boolean, "true" or "false""#),
            "{sent}: {error}"
        );
    }
    for sent in [
        "-123456",
        "123456.5",
        "true",
        r#"["123456"]"#,
        r#"{"123456": 1}"#,
    ] {
        let error = refusal::<VerifyUserRegistrationRequest>(&format!(r#"{{"otp": {sent}}}"#));
        assert!(
            error.ends_with("expected a string or a whole number"),
            "{sent}: {error}"
        );
        assert!(!error.contains("123456"), "{error}");
    }
    for sent in ["7", "true", "[]", "{}"] {
        let error = refusal::<UserRequest>(&format!(r#"{{"phone": {sent}}}"#));
        assert!(error.ends_with("expected a string"), "{sent}: {error}");
    }
    let error = refusal::<CreateFactorRegistrationRequest>(r#"{"display_name": "x"}"#);
    assert_eq!(error, "missing field `factor_id`");
    let error = refusal::<CreateFactorRegistrationRequest>(r#"{"factor_id": 1}"#);
    assert_eq!(error, "missing field `display_name`");
    let error =
        refusal::<CreateFactorRegistrationRequest>(r#"{"factor_id": null, "display_name": "x"}"#);
    assert_eq!(
        error,
        "invalid type: null, expected an integer or a decimal string"
    );
}

#[test]
fn a_code_keeps_the_json_type_that_it_came_in() {
    let request: VerifyUserVerificationRequest =
        read(json!({"otp": 12345, "device_id": "user_temp_otp_1"}));
    assert!(matches!(request.otp, Some(Otp::Number(12345))));
    let request: VerifyUserVerificationRequest = read(json!({"otp": "012345"}));
    assert!(matches!(&request.otp, Some(Otp::Text(text)) if text.expose_secret() == "012345"));
    assert_eq!(
        serde_json::to_value(request).unwrap(),
        json!({"otp": "012345"})
    );
}

#[test]
fn a_number_too_long_for_any_code_is_a_wrong_code_and_no_wrong_type() {
    for sent in ["18446744073709551615", "18446744073709551616", "123456e40"] {
        let request: VerifyUserVerificationRequest =
            serde_json::from_str(&format!(r#"{{"otp": {sent}}}"#)).unwrap();
        assert!(matches!(request.otp, Some(Otp::Number(u64::MAX))), "{sent}");
    }
}

#[test]
fn a_device_id_is_an_integer_in_requests_and_in_the_201_of_a_verification_and_a_string_elsewhere() {
    let request = CreateDeviceVerificationRequest::new("3920360");
    assert_eq!(
        serde_json::to_value(request).unwrap(),
        json!({"device_id": 3_920_360})
    );
    let request = CreateDeviceVerificationRequest::new("user_temp_otp_1").otp("1");
    assert_eq!(
        serde_json::to_value(request).unwrap(),
        json!({"device_id": "user_temp_otp_1", "otp": "1"})
    );
    let verification: DeviceVerification =
        read(json!({"id": "v", "device_id": "3920360", "user_id": "7"}));
    let written = serde_json::to_value(verification).unwrap();
    assert_eq!(
        (&written["device_id"], &written["user_id"]),
        (&json!(3_920_360), &json!("7"))
    );
    let verification: Verification =
        read(json!({"id": 1, "device_id": 3_920_360, "status": "accepted"}));
    assert_eq!(
        serde_json::to_value(verification).unwrap(),
        json!({"id": "1", "status": "accepted", "device_id": "3920360"})
    );
    assert_eq!(DeviceId::from("007").number(), None);
}

#[test]
fn no_secret_appears_in_debug() {
    let secret = "s3cr3t-77";
    let data: FactorData = read(json!({
        "verification_token": secret, "totp_url": secret, "url": secret, "number": secret, "recovery_codes": [secret, secret]
    }));
    let token: MfaToken = read(json!({ "mfa_token": secret }));
    let bearer: AccessToken = read(json!({"access_token": secret, "refresh_token": secret}));
    let user = UserRequest::new().password(secret);
    let request = CreateDeviceVerificationRequest::with_otp(secret);
    let token_request = TokenRequest {
        client_secret: Some(secret.into()),
        ..TokenRequest::client_credentials()
    };
    let shown = format!(
        "{data:?}{token:?}{bearer:?}{user:?}{request:?}{token_request:?}{:?}",
        RevokeRequest::new(secret)
    );
    assert!(!shown.contains(secret), "{shown}");
    assert_eq!(
        serde_json::to_value(&data).unwrap()["recovery_codes"],
        json!([secret, secret])
    );
    assert_eq!(
        serde_json::to_value(&user).unwrap()["password_confirmation"],
        secret
    );
}

#[test]
fn a_password_is_dropped_by_the_reader_whatever_it_is() {
    let request: UserRequest = read(
        json!({"username": "ada", "password": {"any": 1}, "password_confirmation": 7, "salt": "x"}),
    );
    assert_eq!(
        serde_json::to_value(request).unwrap(),
        json!({"username": "ada"})
    );
}

#[test]
fn times_are_whole_seconds_in_utc() {
    let time: Time = "2020-07-21T22:26:44.987+02:00".parse().unwrap();
    assert_eq!(serde_json::to_value(time).unwrap(), "2020-07-21T20:26:44Z");
    let registration: Registration = read(json!({"id": "r", "expires_at": "soon"}));
    assert_eq!(registration.expires_at, None);
}

#[test]
fn unknown_statuses_are_kept_and_a_missing_one_is_pending() {
    for (sent, read_as) in [
        (
            json!({"id": "r", "status": "parked"}),
            Status::Other("parked".to_owned()),
        ),
        (json!({"id": "r", "status": null}), Status::Pending),
        (json!({"id": "r"}), Status::Pending),
        (
            json!({"id": "r", "status": "rejected", "reason": "expired"}),
            Status::Rejected,
        ),
    ] {
        assert_eq!(read::<Verification>(sent).status, read_as);
    }
}

#[test]
fn an_accepted_code_is_confirmed_by_the_nested_object_and_the_flat_fields() {
    let body = json!({
        "status": {"type": "success", "code": 200, "message": "Success", "error": false},
        "type": "success", "code": 200, "message": "Success", "error": false
    });
    assert_eq!(
        serde_json::to_value(VerificationResult::success()).unwrap(),
        body
    );
    assert_eq!(
        read::<VerificationResult>(body),
        VerificationResult::success()
    );
    let word: VerificationResult = read(json!({"status": "accepted"}));
    assert_eq!(word.status.unwrap().message, "accepted");
}

#[test]
fn an_error_carries_what_the_contract_says() {
    let error =
        ErrorBody::new(422, "ValidationError", "Validations failed").parameters(["factor_id"]);
    assert_eq!(
        serde_json::to_value(error).unwrap(),
        json!({"statusCode": 422, "name": "ValidationError", "message": "Validations failed", "details": {"parameters": ["factor_id"]}})
    );
    let error: ErrorBody = read(
        json!({"status": {"error": true, "code": 401, "type": "Unauthorized", "message": "no"}}),
    );
    assert_eq!(
        error.status,
        Some(StatusBody::failure(401, "Unauthorized", "no"))
    );
}

#[cfg(feature = "openapi")]
#[test]
fn the_description_admits_what_the_reader_takes() {
    let schema =
        serde_json::to_value(<CreateFactorRegistrationRequest as utoipa::PartialSchema>::schema())
            .unwrap();
    assert_eq!(schema["required"], json!(["factor_id", "display_name"]));
    assert_eq!(
        schema["properties"]["factor_id"]["$ref"],
        "#/components/schemas/Integer"
    );
    let schema = serde_json::to_value(<UserRequest as utoipa::PartialSchema>::schema()).unwrap();
    assert!(
        schema.get("required").is_none() && schema["properties"].get("password").is_none(),
        "{schema}"
    );
    let schema = serde_json::to_value(<Registration as utoipa::PartialSchema>::schema()).unwrap();
    assert_eq!(
        schema["properties"]["status"]["$ref"],
        "#/components/schemas/Status"
    );
}
