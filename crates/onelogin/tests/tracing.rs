//! What the `tracing` feature tells, and that it tells no secret.

#![cfg(feature = "tracing")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io,
    sync::{Arc, Mutex},
};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi, UsersApi, models::UserRequest,
};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

include!("support/mock.rs");
use mock::{Reply, Server};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn requests_answers_and_retries_are_told_without_ids_codes_or_tokens() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start_raw(|request, count| match request.target.as_str() {
        "/auth/oauth2/v2/token" => Reply::json(
            200,
            json!({"access_token": "S3CR3T-bearer", "expires_in": 36000}),
        ),
        target if target.ends_with("/verifications/S3CR3T-id") && count < 2 => Reply::empty(503),
        target if target.contains("verifications") => {
            Reply::json(200, json!({"id": "S3CR3T-id", "type": "success"}))
                .header("X-Request-Id", "r-1")
        }
        _ => Reply::json(422, json!({"name": "ValidationError", "message": "no"})),
    });
    let client = ApiClient::new(
        Configuration::new(server.url()).client_credentials("S3CR3T-client", "S3CR3T-secret"),
    )
    .unwrap();
    let api = MultiFactorAuthenticationApi::new(&client);
    api.get_user_verification(56_789, "S3CR3T-id")
        .await
        .unwrap();
    assert!(
        api.verify_code(56_789, "S3CR3T-id", "S3CR3T-code")
            .await
            .unwrap()
    );
    let user = UserRequest::new()
        .email("S3CR3T@example.com")
        .password("S3CR3T-password");
    UsersApi::new(&client).create_user(&user).await.unwrap_err();
    let bytes = log.0.lock().unwrap().clone();
    let told = String::from_utf8(bytes).unwrap();
    for expected in [
        "bearer token fetched lifetime_s=36000",
        "trying again operation=\"get_user_verification\" attempt=0",
        "answered operation=\"get_user_verification\" attempt=1 status=200 request_id=\"r-1\"",
        "failed operation=\"create_user\" attempt=0 error=422 ValidationError: no",
    ] {
        let plain = told
            .replace("\u{1b}[3m", "")
            .replace("\u{1b}[2m", "")
            .replace("\u{1b}[0m", "");
        assert!(plain.contains(expected), "{expected} in {plain}");
    }
    // Other crates log what they like at these levels; ours are the lines that count.
    let ours: Vec<_> = told
        .lines()
        .filter(|line| line.contains("onelogin"))
        .collect();
    assert!(
        ours.iter()
            .all(|line| !line.contains("S3CR3T") && !line.contains("56789")),
        "{ours:?}"
    );
}
