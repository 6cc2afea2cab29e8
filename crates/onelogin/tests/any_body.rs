//! Whatever body an answer has, the outcome is a value or an error: nothing panics, and no error shows a secret.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi, OAuth2Api, UserQuery, UsersApi,
    models::{
        AccessToken, AuthFactor, CreateDeviceVerificationRequest, CreateFactorRegistrationRequest,
        Device, DeviceVerification, ErrorBody, GenerateOtpRequest, MfaToken, RateLimitResponse,
        Registration, RegistrationResult, RevokeRequest, TokenRequest, User, UserRequest,
        Verification, VerificationResult, VerifyUserRegistrationRequest,
        VerifyUserVerificationRequest,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

include!("support/mock.rs");
use mock::{Reply, Server};

const SECRET: &str = "S3CR3T";

/// A number, a word or a container that no field expects.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "-?[0-9]{1,30}".prop_map(Value::from),
        Just(Value::from(SECRET)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A field that some model knows, or none does.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "id",
            "status",
            "user_id",
            "device_id",
            "expires_at",
            "factor_data",
            "verification_token",
            "totp_url",
            "number",
            "recovery_codes",
            "public_key",
            "factor_id",
            "name",
            "default",
            "mfa_token",
            "access_token",
            "expires_in",
            "data",
            "X-RateLimit-Limit",
            "type",
            "code",
            "error",
            "message",
            "details",
            "role_ids",
            "custom_attributes",
            "state",
            "otp",
            "created_at",
            "reusable",
            "grant_type",
            "display_name",
            "credential",
            "email",
            "statusCode",
            "parameters",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,6}",
    ]
}

fn read_as_everything(value: &Value) -> String {
    let mut errors = String::new();
    macro_rules! read {
        ($($model:ty),*) => {$(
            match serde_json::from_value::<$model>(value.clone()) {
                // What can be read can be written, shown, and read again.
                Ok(read) => {
                    let written = serde_json::to_value(&read).unwrap();
                    serde_json::from_value::<$model>(written).unwrap();
                    let _ = format!("{read:?}");
                }
                Err(error) => errors.push_str(&error.to_string()),
            }
            let _ = serde_json::from_str::<$model>(&value.to_string());
        )*};
    }
    read!(
        AccessToken,
        AuthFactor,
        CreateDeviceVerificationRequest,
        CreateFactorRegistrationRequest,
        Device,
        DeviceVerification,
        ErrorBody,
        GenerateOtpRequest,
        MfaToken,
        RateLimitResponse,
        Registration,
        RegistrationResult,
        RevokeRequest,
        TokenRequest,
        User,
        UserRequest,
        Verification,
        VerificationResult,
        VerifyUserRegistrationRequest,
        VerifyUserVerificationRequest
    );
    errors
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_a_value_or_an_error_to_every_model(value in any_json()) {
        let fields = matches!(value, Value::Object(_));
        let errors = read_as_everything(&value);
        prop_assert!(!fields || !errors.contains(SECRET), "{errors}");
    }
}

/// Calls every operation against a server that answers them all with the same body.
async fn call_everything(server: &Server) -> String {
    let configuration = Configuration::new(server.url())
        .client_credentials("id", "secret")
        .max_retries(0);
    let client = ApiClient::new(configuration).unwrap();
    let (mfa, oauth, users) = (
        MultiFactorAuthenticationApi::new(&client),
        OAuth2Api::new(&client),
        UsersApi::new(&client),
    );
    let mut errors = String::new();
    macro_rules! call {
        ($($operation:expr),* $(,)?) => {$(
            if let Err(error) = $operation.await {
                errors.push_str(&format!("{error} {error:?}"));
            }
        )*};
    }
    call!(
        mfa.get_auth_factors(1),
        mfa.create_factor_registration(1, &CreateFactorRegistrationRequest::new(1, "x")),
        mfa.get_user_registration(1, "r"),
        mfa.verify_user_registration(1, "r", &VerifyUserRegistrationRequest::new("1")),
        mfa.get_authentication_devices(1),
        mfa.delete_enrolled_factor(1, "d"),
        mfa.create_device_verification(1, &CreateDeviceVerificationRequest::new("d")),
        mfa.get_user_verification(1, "v"),
        mfa.verify_user_verification(1, "v", &VerifyUserVerificationRequest::new("1")),
        mfa.generate_otp(1, &GenerateOtpRequest::new()),
        mfa.verify_otp(1, &CreateDeviceVerificationRequest::with_otp("1")),
        mfa.challenge(1),
        oauth.get_rate_limit(),
        users.list_users(&UserQuery::new()),
        users.get_user(1),
        users.find_by_username("ada"),
    );
    errors
}

#[test]
fn any_body_with_any_status_is_an_answer_or_an_error_to_every_operation() {
    let reply = Arc::new(Mutex::new((200, String::new())));
    let current = Arc::clone(&reply);
    let server = Server::start(move |_, _| {
        let (status, body) = current.lock().unwrap().clone();
        Reply::text(status, body)
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bodies = prop_oneof![
        any_json().prop_map(|value| value.to_string()),
        ".{0,40}",
        Just("[".repeat(10_000)),
        Just(format!("{{\"id\": 1, \"factor_data\": {}1{}}}", "[".repeat(200), "]".repeat(200))),
        Just(json!({"id": "r", "mfa_token": {"nested": SECRET}, "device_id": [SECRET], "factor_data": SECRET}).to_string()),
        Just(format!("{{\"mfa_token\": \"{SECRET}\"")),
        Just(format!("\"{SECRET}\"")),
        Just(format!("[\"{SECRET}\"]")),
    ];
    let statuses = prop::sample::select(vec![
        200_u16, 201, 202, 301, 400, 401, 403, 404, 418, 422, 500,
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&(statuses, bodies), |(status, body)| {
        *reply.lock().unwrap() = (status, body);
        let errors = runtime.block_on(call_everything(&server));
        // What the service says to people in an error is shown; the body of a success is not.
        prop_assert!(status >= 300 || !errors.contains(SECRET), "{errors}");
        Ok(())
    });
    outcome.unwrap();
}
