//! The blocking twin, outside of any runtime.

#![cfg(feature = "blocking")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{thread, time::Duration};

use onelogin::{Configuration, UserQuery, blocking, models::Status};
use serde_json::json;

include!("support/mock.rs");
use mock::{Reply, Server};

#[test]
fn operations_wait_for_their_answers_on_many_threads() {
    let server = Server::script(vec![Reply::json(
        200,
        json!({"id": "v", "status": "accepted"}),
    )]);
    let client = blocking::ApiClient::new(
        Configuration::new(server.url()).client_credentials("id", "secret"),
    )
    .unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let api = blocking::MultiFactorAuthenticationApi::new(&client);
            thread::spawn(move || {
                let found = api.get_user_verification(56, "v").unwrap();
                let waited = api
                    .wait_for_verification(56, "v", Duration::from_secs(1))
                    .unwrap();
                assert_eq!(
                    (found.status, waited.status),
                    (Status::Accepted, Status::Accepted)
                );
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(server.lines().len(), 16);
}

#[test]
fn users_are_iterated_and_an_error_ends_it() {
    let server = Server::script(vec![
        Reply::json(200, json!([{"id": 1}, {"id": 2}])).header("After-Cursor", "next"),
        Reply::json(403, json!({"name": "ForbiddenAction"})),
    ]);
    let client =
        blocking::ApiClient::new(Configuration::new(server.url()).access_token("t")).unwrap();
    let users: Vec<_> = blocking::UsersApi::new(&client)
        .users(UserQuery::new())
        .collect();
    assert_eq!(users.len(), 3);
    assert_eq!(users[2].as_ref().unwrap_err().status(), Some(403));
}

#[test]
fn a_login_is_challenged_and_its_code_checked() {
    let server = Server::script(vec![
        Reply::json(200, json!([{"device_id": "7", "default": true}])),
        Reply::json(201, json!({"id": "v", "status": "pending", "device_id": 7})),
        Reply::json(401, json!({"statusCode": 401, "name": "Unauthorized"})),
        Reply::json(200, json!({"type": "success", "code": 200, "error": false})),
    ]);
    let client =
        blocking::ApiClient::new(Configuration::new(server.url()).access_token("t")).unwrap();
    let api = blocking::MultiFactorAuthenticationApi::new(&client);
    let challenge = api.challenge(56).unwrap();
    assert_eq!(challenge.device().device_id.as_str(), "7");
    assert_eq!(challenge.verification().id.as_str(), "v");
    assert!(!challenge.verify_code("000000").unwrap());
    assert!(challenge.verify_code("123456").unwrap());
}
