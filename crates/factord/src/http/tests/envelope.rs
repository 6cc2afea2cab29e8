//! Paths and methods: which spellings are the same, and what is not there.

use super::*;

#[tokio::test]
async fn a_trailing_slash_and_a_doubled_leading_one_are_tolerated_everywhere() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let plain = person.path("/factors");
    for path in [
        format!("{plain}/"),
        format!("/{plain}"),
        format!("/{plain}/"),
    ] {
        let answer = admin.get(&path).await;
        assert_eq!(
            (answer.status, answer.body),
            (200, admin.get(&plain).await.body),
            "{path}"
        );
    }
    let path = format!("/{}/", person.path("/mfa_token"));
    assert_eq!(admin.raw("POST", &path, None, "").await.status, 201);
    assert_eq!(
        admin.get("//api/2/users/?limit=1").await.headers["page-items"],
        "1"
    );
}

#[tokio::test]
async fn an_unknown_path_is_not_found_in_the_shape_of_its_api() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for path in [
        "/",
        "/nothing",
        "/api/2/nothing",
        &person.path(""),
        &person.path("/nothing"),
        "/dev",
    ] {
        let answer = admin.get(path).await;
        answer.refused(404, "NotFound", "There is no such path");
    }
    admin
        .get("/auth/nothing")
        .await
        .refused_v1(404, "NotFound", "There is no such path");
}

#[tokio::test]
async fn a_wrong_method_says_which_are_allowed() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for (method, tail, allowed) in [
        ("DELETE", "/factors", "GET,HEAD"),
        ("GET", "/registrations", "POST"),
        ("DELETE", &format!("/registrations/{NO_ID}"), "GET,HEAD,PUT"),
        ("PATCH", "/devices/1", "DELETE"),
        ("BREW", "/mfa_token", "POST"),
    ] {
        let answer = admin
            .raw(method, &person.path(tail), None, Body::empty())
            .await;
        answer.refused(
            405,
            "MethodNotAllowed",
            "The path does not take this method",
        );
        assert_eq!(answer.header("allow"), Some(allowed));
        let asked = admin
            .raw("OPTIONS", &person.path(tail), None, Body::empty())
            .await;
        assert_eq!((asked.status, asked.text.as_str()), (204, ""));
        assert_eq!(asked.header("allow"), Some(allowed));
    }
    let answer = admin.get("/auth/oauth2/revoke").await;
    answer.refused_v1(
        405,
        "MethodNotAllowed",
        "The path does not take this method",
    );
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let answer = admin
        .raw("HEAD", &person.path("/devices"), None, Body::empty())
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn nothing_of_dev_exists_in_production() {
    let server = Server::with(None, |state| state.dev = None);
    let admin = server.admin().await;
    for (method, path) in [
        ("GET", "/dev/outbox?user_id=1"),
        ("GET", "/dev/outbox.html"),
        ("GET", "/dev/messages"),
        ("GET", "/dev/messages/en/code"),
        ("POST", "/dev/clock"),
        ("POST", "/dev/faults"),
        ("GET", "/dev/events"),
        ("GET", "//dev/outbox"),
    ] {
        let answer = admin.raw(method, path, None, "{}").await;
        answer.refused(404, "NotFound", "There is no such path");
    }
    assert!(!admin.get("/openapi.json").await.text.contains("/dev/"));
}
