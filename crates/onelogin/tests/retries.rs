//! What is sent again and what is not, against a server that breaks off, keeps silent, or turns away.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use onelogin::{
    ApiClient, Configuration, Error, MultiFactorAuthenticationApi,
    models::{
        CreateDeviceVerificationRequest, CreateFactorRegistrationRequest, GenerateOtpRequest,
        Status, VerifyUserRegistrationRequest, VerifyUserVerificationRequest,
    },
};
use serde_json::{Value, json};

include!("support/mock.rs");
use mock::{Reply, Server};

const ID: &str = "7e3ab3d6-ad29-4c95-9d9b-2a1f8b4f8f10";

fn mfa(server: &Server) -> MultiFactorAuthenticationApi {
    let configuration = Configuration::new(server.url())
        .client_credentials("id", "secret")
        .timeout(Duration::from_millis(300));
    MultiFactorAuthenticationApi::new(&ApiClient::new(configuration).unwrap())
}

fn pending() -> Value {
    json!({"id": ID, "status": "pending"})
}

#[tokio::test]
async fn reading_is_repeated_after_every_passing_failure() {
    for failure in [
        Reply::Hangup,
        Reply::Silence(600),
        Reply::empty(502),
        Reply::empty(503),
        Reply::empty(504),
        Reply::empty(429),
    ] {
        let server = Server::script(vec![
            failure.clone(),
            failure.clone(),
            Reply::json(200, pending()),
        ]);
        mfa(&server).get_user_verification(56, ID).await.unwrap();
        assert_eq!(server.lines().len(), 3, "{failure:?}");
    }
}

#[tokio::test]
async fn reading_is_not_repeated_when_it_was_refused_and_not_for_ever() {
    for status in [400, 403, 404, 422, 500] {
        let server = Server::script(vec![Reply::empty(status)]);
        assert_eq!(
            mfa(&server)
                .get_user_verification(56, ID)
                .await
                .unwrap_err()
                .status(),
            Some(status)
        );
        assert_eq!(server.lines().len(), 1);
    }
    let server = Server::script(vec![Reply::Hangup]);
    assert!(matches!(
        mfa(&server).get_user_verification(56, ID).await,
        Err(Error::Transport { unsent: false, .. })
    ));
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn a_post_that_may_have_arrived_is_never_sent_twice() {
    let failures = [
        Reply::Hangup,
        Reply::Silence(600),
        Reply::empty(429),
        Reply::empty(500),
        Reply::empty(502),
        Reply::empty(503).header("Retry-After", "0"),
        Reply::text(201, "<html>"),
        Reply::text(307, "").header("Location", "/elsewhere"),
    ];
    for failure in failures {
        let server = Server::script(vec![failure.clone()]);
        let api = mfa(&server);
        api.create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
            .await
            .unwrap_err();
        api.create_factor_registration(56, &CreateFactorRegistrationRequest::new(1, "x"))
            .await
            .unwrap_err();
        api.verify_otp(56, &CreateDeviceVerificationRequest::with_otp("1"))
            .await
            .unwrap_err();
        api.generate_otp(56, &GenerateOtpRequest::new())
            .await
            .unwrap_err();
        assert_eq!(server.lines().len(), 4, "{failure:?}");
    }
}

#[tokio::test]
async fn what_the_rate_limit_turned_away_is_sent_again_when_it_says() {
    let away = Reply::json(429, json!({"name": "TooManyRequests"})).header("Retry-After", "1");
    let server = Server::script(vec![away, Reply::json(201, pending())]);
    let started = Instant::now();
    mfa(&server)
        .create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
        .await
        .unwrap();
    assert_eq!(server.lines().len(), 2);
    assert!(started.elapsed() >= Duration::from_secs(1));
    let server = Server::script(vec![Reply::empty(429).header("Retry-After", "3600")]);
    let error = mfa(&server)
        .create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
        .await
        .unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!(
        (error.retry_after(), server.lines().len()),
        (Some(Duration::from_hours(1)), 1)
    );
}

#[tokio::test]
async fn a_post_without_a_connection_is_sent_when_there_is_one() {
    // The port is free again once the listener is dropped, and taken by the server below a little later.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let configuration = Configuration::new(format!("http://127.0.0.1:{port}"))
        .access_token("t")
        .max_retries(0);
    let api = MultiFactorAuthenticationApi::new(&ApiClient::new(configuration).unwrap());
    let error = api
        .create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Transport { unsent: true, .. }),
        "{error:?}"
    );
    assert!(error.to_string().starts_with("cannot connect: "), "{error}");
    let configuration = Configuration::new(format!("http://127.0.0.1:{port}"))
        .access_token("t")
        .max_retries(8);
    let api = MultiFactorAuthenticationApi::new(&ApiClient::new(configuration).unwrap());
    let posting = tokio::spawn(async move {
        api.create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
            .await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
        let body = format!("{{\"id\": \"{ID}\"}}");
        write!(
            stream,
            "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    posting.await.unwrap().unwrap();
    answering.join().unwrap();
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_settled_by_a_get_and_never_sent_twice() {
    for lost in [
        Reply::Hangup,
        Reply::Silence(600),
        Reply::empty(502),
        Reply::empty(500),
        Reply::text(200, "<html>"),
    ] {
        for (status, settled) in [("accepted", true), ("pending", false), ("rejected", false)] {
            let failure = lost.clone();
            let server = Server::start(move |request, _| match request.method.as_str() {
                "PUT" => failure.clone(),
                _ => Reply::json(200, json!({"id": ID, "status": status, "device_id": "1"})),
            });
            let api = mfa(&server);
            let outcome = api
                .verify_user_verification(56, ID, &VerifyUserVerificationRequest::new("123456"))
                .await;
            assert_eq!(
                outcome.is_ok_and(|result| result.is_accepted()),
                settled,
                "{lost:?} {status}"
            );
            let outcome = api
                .verify_user_registration(56, ID, &VerifyUserRegistrationRequest::new("123456"))
                .await;
            assert_eq!(
                outcome.is_ok_and(|result| result.status == Status::Accepted),
                settled,
                "{lost:?} {status}"
            );
            let methods: Vec<_> = server
                .requests()
                .into_iter()
                .map(|request| request.method)
                .collect();
            assert_eq!(methods, ["PUT", "GET", "PUT", "GET"], "{lost:?} {status}");
        }
    }
}

#[tokio::test]
async fn a_put_that_was_refused_is_neither_sent_again_nor_settled() {
    for status in [400, 401, 403, 404, 422] {
        let server = Server::script(vec![Reply::empty(status)]);
        let outcome = mfa(&server)
            .verify_user_verification(56, ID, &VerifyUserVerificationRequest::new("1"))
            .await;
        assert_eq!(outcome.unwrap_err().status(), Some(status));
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_settled_by_the_list() {
    for (left, gone) in [
        (json!([{"device_id": "2"}]), true),
        (json!([{"device_id": "1"}]), false),
    ] {
        let server = Server::start(move |request, _| match request.method.as_str() {
            "DELETE" => Reply::Hangup,
            _ => Reply::json(200, left.clone()),
        });
        assert_eq!(
            mfa(&server).delete_enrolled_factor(56, "1").await.is_ok(),
            gone
        );
        assert_eq!(server.lines().len(), 2);
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_and_replaced_once_when_it_is_refused() {
    static TOKENS: AtomicUsize = AtomicUsize::new(0);
    let server = Server::start_raw(|request, _| {
        if request.target.starts_with("/auth") {
            std::thread::sleep(Duration::from_millis(50));
            let number = TOKENS.fetch_add(1, Ordering::SeqCst);
            return Reply::json(
                200,
                json!({"access_token": format!("t{number}"), "expires_in": 36000}),
            );
        }
        match request.headers["authorization"].as_str() {
            "Bearer t1" => Reply::json(200, pending()),
            _ => Reply::json(
                401,
                json!({"statusCode": 401, "name": "InvalidCredentials"}),
            )
            .header("WWW-Authenticate", "Bearer"),
        }
    });
    let api = mfa(&server);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.get_user_verification(56, ID).await.is_ok() })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
    assert_eq!(TOKENS.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn wrong_client_credentials_are_not_tried_over_and_over() {
    let server = Server::start_raw(|_, _| {
        Reply::json(
            401,
            json!({"status": {"error": true, "code": 401, "type": "Unauthorized", "message": "Authentication Failure"}}),
        )
    });
    let error = mfa(&server)
        .get_user_verification(56, ID)
        .await
        .unwrap_err();
    assert!(error.is_unauthenticated() && !error.is_wrong_code());
    assert_eq!(error.message(), Some("Authentication Failure"));
    assert!(server.lines().len() <= 2, "{:?}", server.lines());
}
