//! Bad input gets a clear error and loses nothing: what is alike for every operation that reads a body or a `user_id`.
//! What is special to one operation is tested beside it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

use super::*;

/// The operations with a body: method, tail, and what is said of a body without fields.
const WRITES: [(&str, &str, Option<&str>); 5] = [
    (
        "POST",
        "/registrations",
        Some("the body cannot be read: missing field `factor_id`"),
    ),
    (
        "PUT",
        "/registrations/00000000-0000-4000-8000-000000000000",
        Some("otp is required"),
    ),
    (
        "POST",
        "/verifications",
        Some("device_id is required, unless otp is given"),
    ),
    (
        "PUT",
        "/verifications/00000000-0000-4000-8000-000000000000",
        Some("otp is required"),
    ),
    ("POST", "/mfa_token", None),
];
const LIMIT: usize = 64 * 1024;

#[tokio::test]
async fn what_is_not_json_is_a_bad_request() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let (deep_array, deep_object) = (
        "[".repeat(10_000) + &"]".repeat(10_000),
        r#"{"a":"#.repeat(5_000) + "1" + &"}".repeat(5_000),
    );
    let bodies: [(&[u8], &str); 14] = [
        (b"{", "the body cannot be read: EOF while parsing an object"),
        (br#"{"pad": }"#, "the body cannot be read: expected value"),
        (b"otp=123456", "the body must be a JSON object"),
        (b"<otp>1</otp>", "the body must be a JSON object"),
        (
            b"{'otp': 1}",
            "the body cannot be read: key must be a string",
        ),
        (
            br#"{"pad": "1"} x"#,
            "the body cannot be read: trailing characters",
        ),
        (
            br#"{"pad": NaN}"#,
            "the body cannot be read: expected value",
        ),
        (b"\xff\xfe{}", "the body is not UTF-8"),
        (b"{\"otp\": \"\xc3\x28\"}", "the body is not UTF-8"),
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b"\"text\"", "the body must be a JSON object"),
        (deep_array.as_bytes(), "the body must be a JSON object"),
        (deep_object.as_bytes(), "the body is nested too deeply"),
    ];
    for (method, tail, _) in WRITES {
        for (body, message) in bodies {
            let path = person.path(tail);
            let answer = admin
                .raw(method, &path, Some("application/json"), body.to_vec())
                .await;
            assert_eq!(answer.status, 400, "{method} {tail} {}", answer.text);
            assert_eq!(answer.body["name"], "BadRequest");
            assert_eq!(answer.body["message"], message, "{method} {tail}");
        }
    }
    assert_eq!(person.get("/devices").await.body, json!([]));
}

#[tokio::test]
async fn no_bytes_and_blanks_stand_for_an_object_without_fields() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for (method, tail, message) in WRITES {
        for body in ["", "{}", " \n "] {
            for content_type in [Some("application/json"), None] {
                let answer = admin
                    .raw(method, &person.path(tail), content_type, body)
                    .await;
                match message {
                    Some(message) => answer.bad_request(message),
                    None if answer.status == 422 => {} // the fourth token
                    None => assert_eq!(answer.status, 201, "{}", answer.text),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_field_given_twice_is_named() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let body = r#"{"expires_in": 600, "expires_in": 700}"#;
    let answer = admin
        .raw("POST", &person.path("/mfa_token"), None, body)
        .await;
    answer.bad_request("the body cannot be read: duplicate field `expires_in`");
}

#[tokio::test]
async fn a_message_never_repeats_what_was_sent() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for (method, tail, _) in WRITES {
        for body in [
            r#"{"otp": ["hush"]}"#,
            r#"{"otp": {"hush": 1}}"#,
            r#"{"expires_in": "hush"}"#,
            r#"{"otp": hush}"#,
            r#"{"reusable": "hush"}"#,
            r#"{"device_id": ["hush"]}"#,
            r#"{"factor_id": "hush"}"#,
            "hush",
        ] {
            let answer = admin.raw(method, &person.path(tail), None, body).await;
            assert!(!answer.text.contains("hush"), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_too_large_whether_announced_or_not() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    let padded = |size: usize| {
        let frame = r#"{"expires_in": 600, "pad": ""}"#;
        format!(
            r#"{{"expires_in": 600, "pad": "{}"}}"#,
            "x".repeat(size - frame.len())
        )
    };
    let token = person.path("/mfa_token");
    assert_eq!(
        admin.raw("POST", &token, None, padded(LIMIT)).await.status,
        201
    );
    let mut pieces = Pieces::of(&padded(LIMIT), 1_000);
    assert_eq!(
        admin
            .raw("POST", &token, None, Body::new(pieces))
            .await
            .status,
        201
    );
    for (method, tail, _) in WRITES {
        let path = person.path(tail);
        pieces = Pieces::of(&padded(LIMIT + 1), 1_000);
        for body in [
            Body::from(padded(LIMIT + 1)),
            Body::from(padded(1 << 20)),
            Body::new(pieces),
        ] {
            let answer = admin
                .raw(method, &path, Some("application/json"), body)
                .await;
            answer.refused(413, "PayloadTooLarge", "The body is too large");
        }
    }
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_it_is_read() {
    let server = Server::with(None, |state| state.body_timeout = Duration::from_millis(20));
    let admin = server.admin().await;
    let person = admin.person().await;
    let request = Request::post(person.path("/mfa_token"))
        .header(HOST, "localhost")
        .header(AUTHORIZATION, admin.authorization.expose_secret())
        .header("content-length", "65537")
        .header("expect", "100-continue");
    let answer = server
        .send(request.body(Body::new(Pieces::unending())).unwrap())
        .await;
    answer.refused(413, "PayloadTooLarge", "The body is too large");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_time_out() {
    let server = Server::with(None, |state| state.body_timeout = Duration::from_millis(20));
    let admin = server.admin().await;
    let person = admin.person().await;
    let body = Body::new(Pieces::unending());
    let answer = admin
        .raw("POST", &person.path("/mfa_token"), None, body)
        .await;
    answer.refused(408, "RequestTimeout", "The body did not come in time");
    assert_eq!(person.get("/devices").await.body, json!([]));
}

#[tokio::test]
async fn another_media_type_is_refused_and_json_by_any_spelling_is_taken() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for (method, tail, _) in WRITES {
        for media in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/jsonp",
            "json",
            "",
        ] {
            let answer = admin
                .raw(method, &person.path(tail), Some(media), "{}")
                .await;
            answer.refused(
                415,
                "UnsupportedMediaType",
                "The media type of the body is not taken: send application/json",
            );
        }
    }
    for media in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.api+json",
    ] {
        let answer = admin
            .raw("POST", &person.path("/mfa_token"), Some(media), "{}")
            .await;
        assert_eq!(answer.status, 201, "{media}");
    }
}

#[tokio::test]
async fn a_malformed_user_id_is_named_by_every_operation() {
    let server = Server::new();
    let admin = server.admin().await;
    let malformed = [
        "0",
        "-1",
        "9223372036854775808",
        "18446744073709551616",
        "abc",
        "1.0",
        "1e3",
        "+1",
        "%201",
        "1%20",
        "%EF%BC%91",
        "%FF",
        "%00",
        "%7Buser_id%7D",
        "1,2",
        "null",
    ];
    for id in malformed {
        for (method, path) in [
            ("GET", format!("/api/2/mfa/users/{id}/factors")),
            ("GET", format!("/api/2/mfa/users/{id}/devices")),
            ("DELETE", format!("/api/2/mfa/users/{id}/devices/1")),
            ("POST", format!("/api/2/mfa/users/{id}/registrations")),
            (
                "GET",
                format!("/api/2/mfa/users/{id}/registrations/{NO_ID}"),
            ),
            ("PUT", format!("/api/2/mfa/users/{id}/registrations/x")),
            ("POST", format!("/api/2/mfa/users/{id}/verifications")),
            (
                "GET",
                format!("/api/2/mfa/users/{id}/verifications/{NO_ID}"),
            ),
            ("PUT", format!("/api/2/mfa/users/{id}/verifications/x")),
            ("POST", format!("/api/2/mfa/users/{id}/mfa_token")),
            ("GET", format!("/api/2/users/{id}")),
            ("PUT", format!("/api/2/users/{id}")),
            ("DELETE", format!("/api/2/users/{id}")),
        ] {
            let answer = admin.raw(method, &path, None, "{}").await;
            answer.bad_request("user_id must be a positive integer of at most 64 bits");
        }
    }
}

#[tokio::test]
async fn a_user_who_does_not_exist_is_not_found_by_any_operation() {
    let server = Server::new();
    let admin = server.admin().await;
    let base = format!("/api/2/mfa/users/{}", i64::MAX);
    for tail in [
        "/factors",
        "/devices",
        "/registrations/x",
        &format!("/verifications/{NO_ID}"),
    ] {
        admin.get(&format!("{base}{tail}")).await.no_such_user();
    }
    for tail in ["/devices/1", "/devices/x"] {
        admin.delete(&format!("{base}{tail}")).await.no_such_user();
    }
    let register = json!({"factor_id": 1, "display_name": "x", "expires_in": 1});
    admin
        .post(&format!("{base}/registrations"), register)
        .await
        .no_such_user();
    for device in ["1", "x", ""] {
        let body = json!({"device_id": device, "expires_in": 1});
        admin
            .post(&format!("{base}/verifications"), body)
            .await
            .no_such_user();
    }
    for tail in [
        "/registrations/x",
        "/verifications/x",
        &format!("/verifications/{NO_ID}"),
    ] {
        admin
            .put(&format!("{base}{tail}"), json!({"otp": "123456"}))
            .await
            .no_such_user();
    }
    admin
        .post(&format!("{base}/mfa_token"), json!({"expires_in": 1}))
        .await
        .no_such_user();
}

#[tokio::test]
async fn what_no_request_of_ours_looks_like_is_refused_without_a_panic() {
    let server = Server::new();
    let admin = server.admin().await;
    let person = admin.person().await;
    for garbage in [
        "%",
        "%2",
        "%zz",
        "%00",
        "%ff%fe",
        "..%2f..",
        "%2e%2e",
        "%F0%9F%92%A9",
        "a%20b",
        "{}",
        "'--",
        "user_temp_otp_",
    ] {
        for tail in ["/registrations/", "/verifications/", "/devices/"] {
            let path = person.path(&format!("{tail}{garbage}"));
            let Ok(uri) = path.parse::<http::Uri>() else {
                continue;
            };
            let method = if tail == "/devices/" { "DELETE" } else { "GET" };
            let answer = admin
                .raw(method, &uri.to_string(), None, Body::empty())
                .await;
            answer.not_found();
        }
    }
}

#[tokio::test]
async fn only_a_token_that_is_alive_lets_a_request_in() {
    let server = Server::new();
    let admin = server.admin().await;
    let path = admin.person().await.path("/devices");
    let token = admin
        .authorization
        .expose_secret()
        .strip_prefix("Bearer ")
        .unwrap()
        .to_owned();
    for form in ["Bearer {}", "bearer {}", "bearer:{}", "bearer: {}"] {
        let answer = server
            .client_by(&form.replace("{}", &token))
            .get(&path)
            .await;
        assert_eq!(answer.status, 200, "{form}");
    }
    let challenge = r#"Bearer realm="factord""#;
    for (form, challenge) in [
        ("", challenge.to_owned()),
        ("{}", challenge.to_owned()),
        ("Basic {}", challenge.to_owned()),
        ("Bearer", challenge.to_owned()),
        ("Bearer {} {}", challenge.to_owned()),
        (
            "Bearer nonsense",
            format!(r#"{challenge}, error="invalid_token""#),
        ),
    ] {
        let answer = server
            .client_by(&form.replace("{}", &token))
            .get(&path)
            .await;
        answer.refused(
            401,
            "InvalidCredentials",
            "Please provide valid credentials",
        );
        assert_eq!(
            answer.header("www-authenticate"),
            Some(challenge.as_str()),
            "{form}"
        );
    }
    let twice = Request::get(&path)
        .header(HOST, "localhost")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(AUTHORIZATION, "Bearer nonsense");
    assert_eq!(
        server.send(twice.body(Body::empty()).unwrap()).await.status,
        401
    );
    server.advance(36_000);
    let answer = admin.get(&path).await;
    answer.refused(
        401,
        "InvalidCredentials",
        "Please provide valid credentials",
    );
}

/// A body that comes in pieces.
struct Pieces {
    left: VecDeque<Bytes>,
    ends: bool,
}

impl Pieces {
    fn of(text: &str, size: usize) -> Self {
        let left = text.as_bytes().chunks(size).map(Bytes::copy_from_slice);
        Self {
            left: left.collect(),
            ends: true,
        }
    }

    /// One piece, and then nothing, for ever.
    fn unending() -> Self {
        Self {
            left: VecDeque::from([Bytes::from_static(b"{")]),
            ends: false,
        }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.left.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
