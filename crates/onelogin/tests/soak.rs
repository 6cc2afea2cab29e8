//! A hundred thousand calls, which must leave nothing behind. Slow, so it is asked for:
//! `cargo test --release -p onelogin --test soak -- --ignored --nocapture`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, time::Instant};

use onelogin::{
    ApiClient, Configuration, MultiFactorAuthenticationApi,
    models::{CreateDeviceVerificationRequest, Status},
};
use serde_json::json;

include!("support/mock.rs");
use mock::{Reply, Server};

const CALLS: usize = 100_000;
const CALLERS: usize = 16;

/// Resident memory in KiB, and open files.
fn held() -> (u64, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let memory = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (memory, fs::read_dir("/proc/self/fd").unwrap().count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn a_hundred_thousand_calls_leak_neither_memory_nor_connections() {
    let server = Server::start_forgetful(|request, _| match request.method.as_str() {
        "POST" => Reply::json(
            201,
            json!({"id": "v", "device_id": 1, "factor_data": {"verification_token": "1"}}),
        ),
        "PUT" => Reply::json(
            401,
            json!({"name": "Unauthorized", "message": "Authentication Failure"}),
        ),
        _ => Reply::json(200, json!({"id": "v", "status": "pending"})),
    });
    let client =
        ApiClient::new(Configuration::new(server.url()).client_credentials("id", "secret"))
            .unwrap();
    let api = MultiFactorAuthenticationApi::new(&client);
    run(&api, CALLS / 10).await;
    let (memory, files) = held();
    let started = Instant::now();
    run(&api, CALLS).await;
    let took = started.elapsed();
    let (memory_after, files_after) = held();
    println!(
        "{CALLS} calls in {took:.1?}, {CALLERS} at a time: {memory} KiB and {files} files before, {memory_after} KiB and {files_after} files after"
    );
    assert!(
        memory_after < memory + 8192,
        "{memory} KiB before, {memory_after} KiB after"
    );
    assert!(
        files_after <= files + CALLERS,
        "{files} files before, {files_after} after"
    );
}

async fn run(api: &MultiFactorAuthenticationApi, calls: usize) {
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move {
                for _ in 0..calls / CALLERS / 4 {
                    let begun = api
                        .create_device_verification(56, &CreateDeviceVerificationRequest::new("1"))
                        .await
                        .unwrap();
                    assert!(!api.verify_code(56, &begun.id, "000000").await.unwrap());
                    for _ in 0..2 {
                        assert_eq!(
                            api.get_user_verification(56, &begun.id)
                                .await
                                .unwrap()
                                .status,
                            Status::Pending
                        );
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}
