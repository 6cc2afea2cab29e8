//! The built program against a mock of the service: what it prints, what it sends, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

include!("../../onelogin/tests/support/mock.rs");
use mock::{Reply, Server};

const ID: &str = "c1a1e0d4-3a9f-4f0f-8f5a-5b1b62d7a3ce";

/// The program with nothing of this machine's own configuration.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onelogin"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

fn onelogin(server: &Server, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command
        .env("ONELOGIN_HOST", server.url())
        .env("ONELOGIN_CLIENT_ID", "id")
        .env("ONELOGIN_CLIENT_SECRET", "secret");
    command
}

fn typing(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn devices() -> Value {
    json!([
        {"device_id": "1", "user_display_name": "Büro ☎", "type_display_name": "OneLogin SMS", "auth_factor_name": "SMS", "default": true},
        {"device_id": "22", "user_display_name": "evil\u{1b}[2J", "type_display_name": "Authenticator", "auth_factor_name": "Google Authenticator"}
    ])
}

fn accepted() -> Reply {
    Reply::json(
        200,
        json!({"type": "success", "code": 200, "message": "Success", "error": false}),
    )
}

fn wrong() -> Reply {
    Reply::json(
        401,
        json!({"statusCode": 401, "name": "Unauthorized", "message": "Authentication Failure"}),
    )
}

#[test]
fn lists_are_aligned_for_people_and_whole_for_programs() {
    let server = Server::script(vec![Reply::json(200, devices())]);
    let table = onelogin(&server, &["devices", "56"]).output().unwrap();
    assert_eq!(
        out(&table),
        "ID  NAME      TYPE           FACTOR                DEFAULT\n\
         1   Büro ☎    OneLogin SMS   SMS                   yes\n\
         22  evil\u{fffd}[2J  Authenticator  Google Authenticator\n"
    );
    let json = onelogin(&server, &["devices", "56", "--output", "json"])
        .output()
        .unwrap();
    let parsed: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&parsed[0]["device_id"], &parsed[1]["default"]),
        (&json!("1"), &json!(false))
    );
    assert!(json.stderr.is_empty());
}

#[test]
fn a_user_is_named_by_id_by_name_or_by_address() {
    let server = Server::start(|request, _| match request.target.as_str() {
        "/api/2/users?username=ada" => Reply::json(200, json!([{"id": 56, "username": "ada"}])),
        "/api/2/users?email=ada%40example.com" => {
            Reply::json(200, json!([{"id": 56, "email": "ada@example.com"}]))
        }
        "/api/2/mfa/users/56/factors" => Reply::json(
            200,
            json!([{"factor_id": 1, "name": "n", "auth_factor_name": "f"}]),
        ),
        _ => Reply::json(200, json!([])),
    });
    for user in ["56", "ada", "ada@example.com"] {
        let output = onelogin(&server, &["factors", user]).output().unwrap();
        assert_eq!(
            out(&output),
            "ID  NAME  FACTOR\n1   n     f\n",
            "{user}: {}",
            err(&output)
        );
    }
    let nobody = onelogin(&server, &["factors", "nobody@example.com"])
        .output()
        .unwrap();
    assert_eq!(nobody.status.code(), Some(4));
    assert!(err(&nobody).contains("there is no user"));
}

#[test]
fn enrolling_shows_the_qr_code_and_confirms_with_the_code_from_standard_input() {
    let url = "otpauth://totp/factord:ada?secret=GEZDGNBVGY3TQOJQ&issuer=factord";
    let server = Server::script(vec![
        Reply::json(
            200,
            json!([{"factor_id": 58957, "name": "Authenticator", "auth_factor_name": "Google Authenticator"}]),
        ),
        Reply::json(
            201,
            json!({"id": ID, "status": "pending", "auth_factor_name": "Google Authenticator",
                                "factor_data": {"totp_url": url, "verification_token": "GEZDGNBVGY3TQOJQ"}}),
        ),
        Reply::json(
            200,
            json!({"id": ID, "status": "accepted", "device_id": "7"}),
        ),
    ]);
    let command = onelogin(
        &server,
        &[
            "enroll",
            "56",
            "--factor",
            "authenticator",
            "--name",
            "My phone",
            "--qr",
        ],
    );
    let output = typing(command, "012345\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        err(&output).contains("█") && err(&output).contains(url),
        "{}",
        err(&output)
    );
    assert_eq!(
        out(&output),
        format!("registration  {ID}\nstatus        accepted\ndevice        7\n")
    );
    let sent = server.requests();
    assert_eq!(
        sent[1].json(),
        json!({"factor_id": 58957, "display_name": "My phone"})
    );
    assert_eq!(sent[2].json(), json!({"otp": "012345"}));
}

#[test]
fn a_program_enrols_in_two_steps() {
    let server = Server::script(vec![
        Reply::json(
            201,
            json!({"id": ID, "status": "pending", "factor_data": {"totp_url": "otpauth://totp/a"}}),
        ),
        wrong(),
        Reply::json(
            200,
            json!({"id": ID, "status": "accepted", "device_id": "7"}),
        ),
    ]);
    let begun = onelogin(
        &server,
        &["enroll", "56", "--factor", "58957", "--output", "json"],
    )
    .output()
    .unwrap();
    let registration: Value = serde_json::from_slice(&begun.stdout).unwrap();
    assert_eq!(
        (
            begun.status.code(),
            &registration["factor_data"]["totp_url"]
        ),
        (Some(0), &json!("otpauth://totp/a"))
    );
    let confirm = |code| {
        onelogin(
            &server,
            &["verify", "56", "--registration", ID, "--code", code],
        )
        .output()
        .unwrap()
    };
    let refused = confirm("000000");
    assert_eq!(refused.status.code(), Some(5));
    assert!(err(&refused).contains("Authentication Failure"));
    assert_eq!(confirm("123456").status.code(), Some(0));
}

#[test]
fn verifying_challenges_the_default_device_and_reads_the_code() {
    let server = Server::script(vec![
        Reply::json(200, devices()),
        Reply::json(201, json!({"id": ID, "device_id": 1})),
        accepted(),
    ]);
    let output = typing(onelogin(&server, &["verify", "56"]), "123456\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output),
        format!("verification  {ID}\nstatus        accepted\n")
    );
    let sent = server.requests();
    assert_eq!(
        (sent[1].json(), sent[2].json()),
        (json!({"device_id": 1}), json!({"otp": "123456"}))
    );
}

#[test]
fn a_wrong_code_is_tried_once_and_ends_with_5() {
    let server = Server::script(vec![
        wrong(),
        Reply::json(
            200,
            json!({"id": ID, "status": "rejected", "reason": "failed"}),
        ),
    ]);
    let output = onelogin(
        &server,
        &["verify", "56", "--verification", ID, "--code", "000000"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        out(&output),
        format!("verification  {ID}\nstatus        rejected\nreason        failed\n")
    );
    let server = Server::script(vec![wrong()]);
    let output = onelogin(&server, &["verify", "56", "--code", "00000000"])
        .output()
        .unwrap();
    assert_eq!((output.status.code(), server.lines().len()), (Some(5), 1));
}

#[test]
fn without_a_code_and_without_a_terminal_it_says_how_to_give_one() {
    let server = Server::script(vec![accepted()]);
    let output = onelogin(&server, &["verify", "56", "--verification", ID])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("give it as a flag"),
        "{}",
        err(&output)
    );
    assert!(server.lines().is_empty());
}

#[test]
fn a_push_is_waited_for_and_its_number_shown() {
    let server = Server::script(vec![
        Reply::json(
            200,
            json!([{"device_id": "3", "user_display_name": "Phone", "auth_factor_name": "OneLogin", "default": true}]),
        ),
        Reply::json(
            201,
            json!({"id": ID, "device_id": 3, "factor_data": {"number": "42"}}),
        ),
        Reply::json(200, json!({"id": ID, "status": "pending"})),
        Reply::json(
            200,
            json!({"id": ID, "status": "rejected", "device_id": "3"}),
        ),
    ]);
    let output = onelogin(
        &server,
        &["verify", "56", "--number-matching", "--output", "json"],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(err(&output).contains("42"));
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["status"],
        "rejected"
    );
    assert_eq!(
        server.requests()[1].json(),
        json!({"device_id": 3, "number_matching": true})
    );
}

#[test]
fn a_security_key_is_asked_in_a_browser_and_its_code_typed_here() {
    let devices = json!([{"device_id": "5", "user_display_name": "Key", "auth_factor_name": "WebAuthn", "default": true}]);
    let server = Server::script(vec![
        Reply::json(200, devices.clone()),
        Reply::json(201, json!({"id": ID, "device_id": 5})),
        accepted(),
    ]);
    let output = typing(
        onelogin(
            &server,
            &["verify", "56", "--redirect-to", "https://app.example/back"],
        ),
        "c0de\n",
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains(&format!("{}/verify/{ID}", server.url())));
    assert_eq!(server.requests()[2].json(), json!({"otp": "c0de"}));
    let server = Server::script(vec![Reply::json(200, devices)]);
    let output = onelogin(&server, &["verify", "56"]).output().unwrap();
    assert_eq!((output.status.code(), server.lines().len()), (Some(2), 1));
}

/// A service where a device of this kind waits, until the code `c0de` completes it.
fn waits(kind: &'static str, status: &'static str) -> Server {
    Server::start(move |request, _| match request.method.as_str() {
        "POST" => Reply::json(201, json!({"id": ID, "device_id": 5})),
        "PUT" if request.json() == json!({"otp": "c0de"}) => accepted(),
        "PUT" => wrong(),
        _ if request.target.ends_with("/devices") => Reply::json(
            200,
            json!([{"device_id": "5", "user_display_name": "Mine", "auth_factor_name": kind, "default": true}]),
        ),
        _ => Reply::json(200, json!({"id": ID, "status": status})),
    })
}

#[test]
fn a_link_or_a_push_that_a_page_ends_is_completed_by_the_code_that_is_typed_here() {
    let back = ["--redirect-to", "https://app.example/back"];
    for (kind, more, said) in [
        ("Email MagicLink", None, "Press the button in the e-mail."),
        ("OneLogin", Some("--number-matching"), "shows the number"),
        ("OneLogin", None, "If it asks for a number"),
    ] {
        let arguments = [&["verify", "56"][..], &back, more.as_slice()].concat();
        let server = waits(kind, "pending");
        let output = typing(onelogin(&server, &arguments), "c0de\n");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(err(&output).contains(said), "{}", err(&output));
        assert!(err(&output).contains("type it here"));
        if kind == "OneLogin" {
            assert!(err(&output).contains(&format!("{}/verify/{ID}", server.url())));
        }
        let denied = typing(onelogin(&waits(kind, "rejected"), &arguments), "");
        assert_eq!(denied.status.code(), Some(5), "{}", err(&denied));
        let server = waits(kind, "pending");
        let mistyped = typing(onelogin(&server, &arguments), "code\n");
        assert_eq!(mistyped.status.code(), Some(5), "{}", err(&mistyped));
        assert!(err(&mistyped).contains("That is not the code."));
    }
}

#[test]
fn a_link_that_is_decided_without_a_code_needs_none() {
    let back = ["verify", "56", "--redirect-to", "https://app.example/back"];
    // Standard input that stays open, as a terminal's, does not keep it waiting.
    let server = waits("Email MagicLink", "accepted");
    let mut running = onelogin(&server, &back)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let open = running.stdin.take();
    let output = running.wait_with_output().unwrap();
    drop(open);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("accepted"));
    for more in [&["--watch"][..], &[]] {
        let arguments = [&back[..], more, &["--timeout", "1"]].concat();
        let output = typing(
            onelogin(&waits("Email MagicLink", "pending"), &arguments),
            "",
        );
        assert_eq!(output.status.code(), Some(6), "{}", err(&output));
    }
}

#[test]
fn polling_says_how_it_stands_by_the_exit_code() {
    for (status, exit) in [
        ("pending", 6),
        ("accepted", 0),
        ("rejected", 5),
        ("parked", 6),
    ] {
        let server = Server::script(vec![Reply::json(200, json!({"id": ID, "status": status}))]);
        assert_eq!(
            onelogin(&server, &["poll", "56", ID])
                .output()
                .unwrap()
                .status
                .code(),
            Some(exit),
            "{status}"
        );
        let registration = onelogin(&server, &["poll", "56", ID, "--registration"])
            .output()
            .unwrap();
        assert_eq!(registration.status.code(), Some(exit), "{status}");
    }
    let server = Server::script(vec![Reply::json(
        200,
        json!({"id": ID, "status": "pending"}),
    )]);
    let watched = onelogin(&server, &["poll", "56", ID, "--watch", "--timeout", "1"])
        .output()
        .unwrap();
    assert_eq!(watched.status.code(), Some(6));
    assert!(
        err(&watched).contains("still pending after 1s"),
        "{}",
        err(&watched)
    );
}

#[test]
fn starting_only_prints_the_verification() {
    let server = Server::script(vec![
        Reply::json(200, devices()),
        Reply::json(201, json!({"id": ID, "device_id": 22})),
    ]);
    let output = onelogin(
        &server,
        &[
            "verify", "56", "--start", "--device", "22", "--output", "json",
        ],
    )
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["id"],
        ID
    );
    let server = Server::script(vec![Reply::json(200, devices())]);
    let output = onelogin(&server, &["verify", "56", "--device", "9"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn nothing_is_deleted_without_a_yes() {
    let server = Server::script(vec![Reply::empty(204)]);
    for arguments in [&["delete", "56", "7"][..], &["users", "delete", "56"]] {
        let refused = typing(onelogin(&server, arguments), "y\n"); // not a terminal: nobody saw the question
        assert_eq!(refused.status.code(), Some(2));
        assert!(server.lines().is_empty());
    }
    assert_eq!(
        onelogin(&server, &["delete", "56", "7", "--yes"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        onelogin(&server, &["users", "delete", "56", "-y"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        server.lines(),
        [
            "DELETE /api/2/mfa/users/56/devices/7",
            "DELETE /api/2/users/56"
        ]
    );
}

#[test]
fn a_temporary_token_is_made() {
    let token = json!({"mfa_token": "25992782", "expires_at": "2030-01-01T00:00:00Z", "reusable": false, "device_id": "user_temp_otp_1"});
    let server = Server::script(vec![Reply::json(201, token)]);
    let output = onelogin(&server, &["token", "56", "--expires-in", "3600"])
        .output()
        .unwrap();
    assert_eq!(
        out(&output),
        "token    25992782\nexpires  2030-01-01T00:00:00Z\nworks    once\ndevice   user_temp_otp_1\n"
    );
    assert_eq!(server.requests()[0].json(), json!({"expires_in": 3600}));
}

#[test]
fn users_are_listed_over_pages_created_and_changed() {
    let page = |ids: std::ops::Range<u64>| {
        json!(
            ids.map(|id| json!({"id": id, "username": "u", "status": 2}))
                .collect::<Vec<_>>()
        )
    };
    let server = Server::script(vec![
        Reply::json(200, page(0..100)).header("After-Cursor", "n"),
        Reply::json(200, page(100..150)),
        Reply::json(
            201,
            json!({"id": 1, "email": "ada@example.com", "status": 1, "state": 1}),
        ),
        Reply::json(200, json!({"id": 1, "custom_attributes": {"team": "x"}})),
    ]);
    let listed = onelogin(&server, &["users", "list", "--limit", "120"])
        .output()
        .unwrap();
    assert_eq!(out(&listed).lines().count(), 121);
    assert!(out(&listed).contains("suspended"));
    let created = onelogin(&server, &["users", "create", "--email", "ada@example.com"])
        .output()
        .unwrap();
    assert_eq!(
        out(&created),
        "id      1\nemail   ada@example.com\nstate   approved\nstatus  active\n"
    );
    let changed = onelogin(&server, &["users", "update", "1", "--attribute", "team=x"])
        .output()
        .unwrap();
    assert!(out(&changed).contains(r#"{"team":"x"}"#));
    assert_eq!(
        server.requests()[3].json(),
        json!({"custom_attributes": {"team": "x"}})
    );
    assert_eq!(
        onelogin(&server, &["users", "create"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn failures_have_exit_codes_of_their_own() {
    let bearer = Reply::json(
        401,
        json!({"statusCode": 401, "name": "InvalidCredentials", "message": "no"}),
    );
    for (reply, exit) in [
        (bearer, 3),
        (Reply::json(403, json!({"name": "ForbiddenAction"})), 3),
        (
            Reply::json(403, json!({"name": "ForbiddenAction"})).header("Retry-After", "30"),
            7,
        ),
        (Reply::json(404, json!({"name": "NotFound"})), 4),
        (
            Reply::json(
                422,
                json!({"name": "ValidationError", "details": {"parameters": ["expires_in"]}}),
            ),
            8,
        ),
        (
            Reply::json(429, json!({"name": "TooManyRequests"})).header("Retry-After", "3600"),
            7,
        ),
        (Reply::text(500, "oops"), 1),
        (Reply::text(200, "<html>"), 1),
    ] {
        let server = Server::script(vec![reply.clone()]);
        let output = onelogin(&server, &["factors", "56"]).output().unwrap();
        assert_eq!(
            (output.status.code(), output.stdout.len()),
            (Some(exit), 0),
            "{reply:?}"
        );
        assert!(err(&output).starts_with("error: "));
    }
}

#[test]
fn the_credential_is_tried_without_showing_the_token() {
    let server = Server::start_raw(|request, _| match request.target.as_str() {
        "/auth/rate_limit" => Reply::json(
            200,
            json!({"data": {"X-RateLimit-Limit": 5000, "X-RateLimit-Remaining": 1, "X-RateLimit-Reset": 9}}),
        ),
        _ => Reply::json(
            200,
            json!({"access_token": "t0ken", "expires_in": 36000, "account_id": 1}),
        ),
    });
    for format in ["table", "json"] {
        let output = onelogin(&server, &["auth", "check", "--output", format])
            .output()
            .unwrap();
        assert!(
            output.status.success() && !out(&output).contains("t0ken"),
            "{}",
            out(&output)
        );
    }
    let limit = onelogin(&server, &["auth", "rate-limit"]).output().unwrap();
    assert_eq!(
        out(&limit),
        "limit      5000\nremaining  1\nresets in  9 s\n"
    );
}

#[test]
fn a_profile_configures_it_and_flags_and_variables_come_first() {
    let server = Server::script(vec![Reply::json(200, json!([]))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.toml");
    let text = format!(
        "[default]\nhost = \"http://127.0.0.1:1\"\nclient_id = \"id\"\nclient_secret = \"secret\"\n\
         [work]\nhost = \"{}\"\nclient_id = \"id\"\nclient_secret_file = \"{}\"\noutput = \"json\"\n",
        server.url(),
        folder.path().join("secret").display()
    );
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("secret"), "secret\n").unwrap();
    let run = |arguments: &[&str]| {
        bare(arguments)
            .env("ONELOGIN_CONFIG", &path)
            .output()
            .unwrap()
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let readable = run(&["factors", "56", "--profile", "work"]);
        assert_eq!(readable.status.code(), Some(2));
        assert!(err(&readable).contains("chmod 600"), "{}", err(&readable));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let work = run(&["factors", "56", "--profile", "work"]);
    assert_eq!(
        (work.status.code(), out(&work).as_str()),
        (Some(0), "[]\n"),
        "{}",
        err(&work)
    );
    let flags = run(&[
        "factors",
        "56",
        "--host",
        &server.url(),
        "--output",
        "table",
    ]);
    assert_eq!(out(&flags), "ID  NAME  FACTOR\n", "{}", err(&flags));
    let missing = run(&["factors", "56", "--profile", "home"]);
    assert!(
        err(&missing).contains("there are: default, work"),
        "{}",
        err(&missing)
    );
}

#[test]
fn a_wrong_configuration_says_what_to_do_and_shows_no_secret() {
    let nothing = bare(&["factors", "56"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(err(&nothing).contains("ONELOGIN_HOST"));
    let plain = bare(&["factors", "56"])
        .env("ONELOGIN_HOST", "http://example.com")
        .env("ONELOGIN_CLIENT_ID", "id")
        .env("ONELOGIN_CLIENT_SECRET", "hush")
        .output()
        .unwrap();
    assert_eq!(plain.status.code(), Some(2));
    assert!(err(&plain).contains("https"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profiles.toml");
    fs::write(
        &path,
        "[default]\nhost = \"https://example.com\"\nclient_secrets = \"hush\"\n",
    )
    .unwrap();
    let unknown = bare(&["factors", "56", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        err(&unknown).contains("client_secrets") && err(&unknown).contains("line 3"),
        "{}",
        err(&unknown)
    );
    assert!(!err(&unknown).contains("hush") && !err(&plain).contains("hush"));
}

#[test]
fn help_completions_and_man_pages_are_there() {
    let help = bare(&["--help"]).output().unwrap();
    assert!(out(&help).contains("Exit codes:") && out(&help).contains("profiles.toml"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(out(&bare(&["completions", shell]).output().unwrap()).contains("onelogin"));
    }
    assert!(out(&bare(&["man"]).output().unwrap()).contains(".TH"));
    let folder = tempfile::tempdir().unwrap();
    assert!(
        bare(&["man", "--dir"])
            .arg(folder.path())
            .status()
            .unwrap()
            .success()
    );
    assert!(folder.path().join("onelogin-verify.1").exists());
}
