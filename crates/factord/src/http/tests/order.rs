//! The order in which a request is refused (contract, Fine points): it decides what a stranger learns.

use serde_json::json;

use super::*;

const BIG: usize = 64 * 1024 + 1;

#[tokio::test]
async fn a_request_is_refused_by_the_first_check_that_it_fails() {
    let server = Server::new();
    let (admin, reader) = (server.admin().await, server.client(Scope::ReadUsers).await);
    let (nobody, malformed) = (
        "/api/2/mfa/users/99/verifications",
        "/api/2/mfa/users/abc/verifications",
    );
    let (json, text) = (Some("application/json"), Some("text/plain"));

    let stranger = server.client_by("Bearer nonsense");
    assert_eq!(
        stranger
            .raw("POST", malformed, text, vec![b'x'; BIG])
            .await
            .body["name"],
        "InvalidCredentials"
    );
    reader
        .raw("POST", malformed, text, vec![b'x'; BIG])
        .await
        .forbidden("The scope of the credential does not allow this");
    admin
        .raw("POST", malformed, text, vec![b'x'; BIG])
        .await
        .bad_request("user_id must be a positive integer of at most 64 bits");
    assert_eq!(
        admin
            .raw("POST", nobody, text, vec![b'x'; BIG])
            .await
            .status,
        415
    );
    assert_eq!(
        admin
            .raw("POST", nobody, json, vec![b'x'; BIG])
            .await
            .status,
        413
    );
    assert_eq!(admin.raw("POST", nobody, json, "{").await.status, 400);
    admin
        .post(nobody, json!({"device_id": 1, "expires_in": 1}))
        .await
        .no_such_user();

    let person = admin.person().await;
    let (device, secret) = person.enrol_app().await;
    let challenge =
        |device: &str, seconds: i64| json!({"device_id": device, "expires_in": seconds});
    person.update(json!({"status": 2})).await;
    person
        .post("/verifications", challenge("9", 1))
        .await
        .not_found();
    let refused = person.post("/verifications", challenge(&device, 1)).await;
    refused.forbidden("The user is suspended, locked or not approved");
    person.update(json!({"status": 1})).await;
    let tail = format!(
        "/verifications/{}",
        person
            .post("/verifications", challenge(&device, 900))
            .await
            .id()
    );
    for _ in 0..5 {
        person
            .put(&tail, json!({"otp": other(&person.totp(&secret, 0))}))
            .await
            .wrong_code();
    }
    person
        .post("/verifications", challenge(&device, 1))
        .await
        .invalid(&["expires_in"]);
    person
        .put(&tail, json!({"otp": "1", "device_id": "9"}))
        .await
        .invalid(&["device_id"]);
    person
        .post("/verifications", challenge(&device, 900))
        .await
        .delayed(30);
    person
        .put(&tail, json!({"otp": person.totp(&secret, 0)}))
        .await
        .delayed(30);
    server.advance(30);
    person
        .put(&tail, json!({"otp": person.totp(&secret, 0)}))
        .await
        .wrong_code();
}

#[tokio::test]
async fn a_request_beyond_the_rate_limit_is_refused_and_counts_as_nothing_else() {
    let server = Server::with(Some(5), |_| {});
    let admin = server.admin().await;
    let person = admin.person().await; // two requests
    let device = person.enrol(SMS).await;
    let (tail, code) = person.challenge(&device).await;
    assert_eq!(
        person.put(&tail, json!({"otp": other(&code)})).await.status,
        401
    );
    for _ in 0..6 {
        let refused = person.put(&tail, json!({"otp": other(&code)})).await;
        refused.refused(
            429,
            "TooManyRequests",
            "The credential has used up its requests",
        );
        assert_eq!(refused.header("retry-after"), Some("3600"));
    }
    let reader = server.client(Scope::ReadUsers).await;
    assert_eq!(
        reader.get("/api/2/users").await.status,
        200,
        "another credential has its own"
    );
    server.advance(3_600);
    assert_eq!(
        person.get(&tail).await.body["status"],
        "rejected",
        "it has expired"
    );
}

#[tokio::test]
async fn each_scope_may_do_what_the_contract_gives_it_and_nothing_else() {
    let server = Server::new();
    let person = 1;
    let registration = format!("/registrations/{NO_ID}");
    let verification = format!("/verifications/{NO_ID}");
    let mfa: [(&str, &str); 10] = [
        ("GET", "/factors"),
        ("POST", "/registrations"),
        ("GET", &registration),
        ("PUT", &registration),
        ("DELETE", "/devices/1"),
        ("GET", "/devices"),
        ("POST", "/verifications"),
        ("GET", &verification),
        ("PUT", &verification),
        ("POST", "/mfa_token"),
    ];
    for scope in Scope::ALL {
        let client = server.client(scope).await;
        let mut allowed = Vec::new();
        for (index, (method, tail)) in mfa.iter().enumerate() {
            let path = format!("/api/2/mfa/users/{person}{tail}");
            let answer = client.raw(method, &path, None, "{}").await;
            if answer.status != 403 {
                allowed.push(index);
            }
        }
        let users = [
            ("GET", "/api/2/users/1"),
            ("POST", "/api/2/users"),
            ("PUT", "/api/2/users/1"),
            ("DELETE", "/api/2/users/1"),
        ];
        for (index, (method, path)) in users.iter().enumerate() {
            if client.raw(method, path, None, "{}").await.status != 403 {
                allowed.push(10 + index);
            }
        }
        let expected: &[usize] = match scope {
            Scope::AuthenticationOnly => &[],
            Scope::ReadUsers | Scope::ReadAll => &[10],
            Scope::ManageUsers => &[9, 10, 11, 12, 13],
            Scope::ManageAll => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
            Scope::VerifyMfa => &[5, 6, 7, 8],
        };
        assert_eq!(allowed, expected, "{scope}");
    }
}
