"""`factord serve`: what it refuses to start with, TLS, proxies, and the commands on its data while it runs."""

import json
import re
import signal
import socket
import ssl
import time

import pytest
import requests
import trustme

from harness import expect, needles, oath
from harness.people import AUTHENTICATOR, SMS
from harness.serve import Installation, refused, run


@pytest.fixture
def install(tmp_path):
    made = []

    def installation(name="one", **settings):
        made.append(Installation(tmp_path / name, **settings))
        return made[-1]

    yield installation
    for one in made:
        one.discard()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One installation that runs, for what does not need its own."""
    installation = Installation(tmp_path_factory.mktemp("serve"), redirect_origins=["https://app.example.com"])
    installation.start()
    yield installation
    assert installation.process.stop() == 0
    assert "panicked at" not in installation.process.logs()


@pytest.fixture(scope="module")
def api(running):
    return running.api()


def user(api, **fields):
    number = time.monotonic_ns()
    return expect.ok(api.post("/api/2/users", {"username": f"serve-{number}", "email": f"s{number}@people.example", "phone": "+12025550123", **fields}), 201)


# Refusing to start

def test_it_refuses_to_start_without_a_sealing_key(install):
    one = install()
    one.settings["sealing_key_file"] = None
    one.write()
    text = refused("serve", "--config", one.config, cwd=one.base)
    assert "sealing" in text and "key" in text


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_it_refuses_a_key_file_that_others_may_read(install, mode):
    one = install()
    one.key.chmod(mode)
    text = refused("serve", "--config", one.config, cwd=one.base)
    assert one.key.name in text
    assert one.key.read_text().strip() not in text, "and does not print the key"


def test_it_refuses_a_key_file_that_is_none(install):
    one = install()
    for content in ("", "nonsense", "00" * 5):
        one.key.write_text(content)
        one.key.chmod(0o600)
        refused("serve", "--config", one.config, cwd=one.base)
    one.key.unlink()
    refused("serve", "--config", one.config, cwd=one.base)


def test_it_refuses_another_installations_key(install):
    one, two = install("one"), install("two")
    one.start()
    api = one.api()
    ident = user(api)["id"]
    expect.ok(api.post(f"/api/2/mfa/users/{ident}/registrations", {"factor_id": AUTHENTICATOR, "display_name": "x"}), 201)
    one.process.stop()
    one.settings["sealing_key_file"] = str(two.key)
    one.write()
    refused("serve", "--config", one.config, cwd=one.base)


def test_the_key_may_come_from_the_environment(install):
    one = install()
    one.settings["sealing_key_file"] = None
    one.write()
    one.start(env={"FACTORD_SEALING_KEY": one.key.read_text().strip()})
    assert requests.get(f"{one.process.url}/readyz", timeout=5, proxies={"http": None}).status_code == 200


def test_each_generated_key_is_another_one(tmp_path):
    keys = {run("key", "generate", cwd=tmp_path).strip() for _ in range(5)}
    assert len(keys) == 5 and all(len(key) >= 43 for key in keys)


def test_it_refuses_an_unknown_key_of_the_configuration_and_suggests_the_right_one(install):
    one = install()
    with one.config.open("a") as file:
        file.write('public_ulr = "https://x.example"\n')
    text = refused("serve", "--config", one.config, cwd=one.base)
    assert "public_ulr" in text and "public_url" in text


def test_it_says_everything_that_is_wrong_at_once(install):
    one = install()
    one.settings.update(listen="nowhere", public_url="ftp://x", redirect_origins=["http://app.example.com"])
    one.write()
    text = refused("serve", "--config", one.config, cwd=one.base)
    for key in ("listen", "public_url", "redirect_origins"):
        assert key in text


def test_it_refuses_plain_http_to_other_machines(install):
    one = install(listen="0.0.0.0:18080")
    refused("serve", "--config", one.config, cwd=one.base)


def test_it_refuses_a_configuration_that_is_not_there(tmp_path):
    text = refused("serve", "--config", tmp_path / "nothing.toml", cwd=tmp_path)
    assert "nothing.toml" in text


# Nothing of dev

@pytest.mark.parametrize("method, path", [
    ("GET", "/dev/outbox?user_id=1"), ("GET", "/dev/outbox.html"), ("GET", "/dev/messages"), ("POST", "/dev/clock"), ("POST", "/dev/faults"), ("GET", "/dev/events?user_id=1"),
    ("GET", "/dev/"), ("GET", "/dev"), ("GET", "//dev/outbox?user_id=1"),
])
def test_nothing_of_dev_exists(running, api, method, path):
    response = api.call(method, path, **({"json": {"advance_seconds": 1}} if method == "POST" else {}))
    expect.not_found(response)
    assert "/dev/" not in json.dumps(api.get("/openapi.json").json())


# The service itself

def test_an_authenticator_and_a_token_work_in_production_too(running, api):
    ident = user(api)["id"]
    base = f"/api/2/mfa/users/{ident}"
    made = expect.ok(api.post(f"{base}/registrations", {"factor_id": AUTHENTICATOR, "display_name": "x"}), 201)
    secret = made["factor_data"]["verification_token"]
    now = time.time()
    expect.ok(api.put(f"{base}/registrations/{made['id']}", {"otp": oath.code(secret, now)}), 200)
    code = oath.code(secret, now + 30)
    expect.accepted(api.post(f"{base}/verifications", {"device_id": made["device_id"], "otp": code}))
    expect.refused_code(api.post(f"{base}/verifications", {"device_id": made["device_id"], "otp": code}))
    token = expect.ok(api.post(f"{base}/mfa_token", {}), 201)["mfa_token"]
    expect.accepted(api.post(f"{base}/verifications", {"otp": token}))


def test_redirects_go_to_the_configured_origins_only(running, api):
    ident = user(api)["id"]
    path = f"/api/2/mfa/users/{ident}/registrations"

    def register(target):
        return api.post(path, {"factor_id": AUTHENTICATOR, "display_name": "x", "redirect_to": target})

    expect.ok(register("https://app.example.com/done?x=1"), 201)
    for target in ("https://app.example.com.evil.example/", "https://app.example.com@evil.example/", "http://app.example.com/",
                   "https://app.example.com:8443/", "https://evil.example/", "http://127.0.0.1/", "http://localhost:3000/"):
        expect.invalid(register(target), "redirect_to")


def test_any_host_header_is_served_but_no_link_is_built_from_it(running, api):
    response = api.get("/openapi.json", headers={"Host": "evil.example"})
    assert response.status_code == 200 and "evil.example" not in response.text


def test_logs_are_json_one_object_a_line(running, api):
    api.get("/api/2/users")
    lines = [line for line in running.process.stdout_path.read_text().splitlines() if line.strip()]
    lines += [line for line in running.process.stderr_path.read_text().splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict), line


def test_every_request_is_found_in_the_log_by_its_id(running, api):
    response = api.get("/api/2/users", params={"limit": 1})
    expect.ok(response, 200)
    deadline = time.monotonic() + 10
    while response.headers["X-Request-Id"] not in running.process.stdout_path.read_text():
        assert time.monotonic() < deadline, "the request is not in the log"
        time.sleep(0.02)  # lines are written in the background, and nothing tells when


# Commands on the same data while the server runs

def test_a_user_is_made_listed_shown_and_deleted_by_command_while_the_server_runs(running, api):
    made = running.cli_json("user", "create", "--email", "cli@people.example", "--phone", "+12025550177", "--firstname", "Cli")
    ident = made["id"]
    seen = expect.ok(api.get(f"/api/2/users/{ident}"), 200)
    assert seen["email"] == "cli@people.example" and seen["phone"] == "+12025550177"
    assert ident in [u["id"] for u in running.cli_json("user", "list")]
    by_api = user(api)["id"]
    assert by_api in [u["id"] for u in running.cli_json("user", "list")]
    assert running.cli_json("user", "show", str(ident))["email"] == "cli@people.example"
    running.cli("user", "delete", str(ident), "--yes")
    expect.not_found(api.get(f"/api/2/users/{ident}"))
    running.cli("user", "show", str(ident), status=1)


def test_a_credential_is_made_listed_and_revoked_by_command_while_the_server_runs(running):
    from harness.client import Api

    made = running.credential("Read Users")
    api = Api(running.process, made["client_id"], made["client_secret"])
    expect.ok(api.get("/api/2/users"), 200)
    expect.forbidden(api.post("/api/2/users", {"username": "x"}))
    listed = running.cli("credential", "list", "--output", "json")
    assert made["client_id"] in listed and made["client_secret"] not in listed
    running.cli("credential", "revoke", made["client_id"], "--yes")
    # What the credential got is worth nothing from now on, and it gets nothing new.
    deadline = time.monotonic() + 5
    while api.get("/api/2/users").status_code != 401 and time.monotonic() < deadline:
        time.sleep(0.02)  # another process revoked it; the server sees it within a second
    expect.bad_token(api.get("/api/2/users"))
    expect.v1_error(api.post("/auth/oauth2/v2/token", {"grant_type": "client_credentials"},
                             auth=(made["client_id"], made["client_secret"])), 401)


def test_an_unknown_scope_is_refused_and_the_known_ones_are_named(running):
    text = refused("credential", "create", "--scope", "Everything", "--config", running.config, cwd=running.base)
    for scope in ("Manage All", "Read Users", "Verify MFA"):
        assert scope in text or scope.lower().replace(" ", "-") in text


def test_the_audit_trail_tells_in_a_line_why_a_person_could_not_get_in(running, api):
    ident = user(api)["id"]
    base = f"/api/2/mfa/users/{ident}"
    made = expect.ok(api.post(f"{base}/registrations", {"factor_id": AUTHENTICATOR, "display_name": "x"}), 201)
    secret = made["factor_data"]["verification_token"]
    expect.ok(api.put(f"{base}/registrations/{made['id']}", {"otp": oath.code(secret, time.time())}), 200)
    wrong = oath.wrong_code(secret, time.time())
    expect.refused_code(api.post(f"{base}/verifications", {"device_id": made["device_id"], "otp": wrong}))
    events = running.cli_json("audit", "list", "--user", str(ident))
    assert "wrong" in events[0]["reason"].lower()
    assert {"id", "at", "user_id", "device_id", "action", "outcome", "reason", "count"} <= set(events[0])
    text = running.cli("audit", "list", "--user", str(ident))
    line = next(line for line in text.splitlines() if "wrong" in line.lower())
    assert re.search(r"\d{4}-\d\d-\d\d", line)
    assert wrong not in text and secret not in text


def test_no_secret_of_production_rests_in_files_logs_or_metrics(running, api):
    ident = user(api)["id"]
    base = f"/api/2/mfa/users/{ident}"
    made = expect.ok(api.post(f"{base}/registrations", {"factor_id": AUTHENTICATOR, "display_name": "x"}), 201)
    secret = made["factor_data"]["verification_token"]
    code = oath.code(secret, time.time())
    expect.ok(api.put(f"{base}/registrations/{made['id']}", {"otp": code}), 200)
    token = expect.ok(api.post(f"{base}/mfa_token", {}), 201)["mfa_token"]
    pair = api.new_token()
    looked_for = [
        needles.totp("TOTP secret", secret), needles.code("TOTP code", code), needles.code("token", token),
        needles.secret("access token", pair["access_token"]), needles.secret("refresh token", pair["refresh_token"]),
        needles.secret("bearer token", api.token), needles.secret("client secret", api.client_secret),
        needles.secret("sealing key", running.key.read_text().strip()),
    ]
    assert needles.search_files(running.data, looked_for) == []
    assert needles.search_text("logs", running.process.stdout_path.read_text() + running.process.stderr_path.read_text(), looked_for) == []
    assert needles.search_text("metrics", api.get("/metrics", token=None).text, looked_for) == []
    assert needles.search_text("audit", running.cli("audit", "list", "--user", str(ident)), looked_for) == []


def test_the_first_credential_can_be_made_before_the_server_ever_ran(install):
    one = install()
    made = one.credential("Manage All")
    one.start()
    from harness.client import Api

    expect.ok(Api(one.process, made["client_id"], made["client_secret"]).get("/api/2/users"), 200)


def test_what_was_acknowledged_in_production_survives_kill_9(install):
    one = install()
    one.start()
    api = one.api()
    ident = user(api)["id"]
    token = expect.ok(api.post(f"/api/2/mfa/users/{ident}/mfa_token", {}), 201)["mfa_token"]
    one.process.kill()
    one.start()
    api.server = one.process
    api.reset()
    expect.accepted(api.post(f"/api/2/mfa/users/{ident}/verifications", {"otp": token}))
    one.process.kill()
    one.start()
    api.server = one.process
    api.reset()
    expect.refused_code(api.post(f"/api/2/mfa/users/{ident}/verifications", {"otp": token}))


def test_a_configured_rate_limit_is_kept_per_credential(install):
    one = install(rate_limit=5)
    one.start()
    api, other = one.api(), one.api()
    statuses = [api.get("/api/2/users").status_code for _ in range(8)]
    assert statuses[:3] == [200] * 3 and statuses[-1] == 429
    expect.too_many(api.get("/api/2/users"), at_most=3600)
    expect.ok(other.get("/api/2/users"), 200)


# Stopping

@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_it_has_and_stops_with_success(install, stop):
    one = install()
    one.start()
    api = one.api()
    ident = user(api)["id"]
    body = b'{"expires_in": 600}'
    head = (f"POST /api/2/mfa/users/{ident}/mfa_token HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nAuthorization: Bearer {api.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as connection:
        connection.sendall(head.encode() + body[:-1])
        expect.ok(api.get("/api/2/users"), 200)
        one.process.process.send_signal(stop)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", one.port), timeout=2).close()
                time.sleep(0.02)  # polling another process
            except OSError:
                break
        else:
            raise AssertionError("it still takes new connections")
        connection.sendall(body[-1:])
        assert connection.recv(12) == b"HTTP/1.1 201"
    assert one.process.process.wait(timeout=35) == 0


# TLS and proxies

def certificate(authority, folder, *names):
    issued = authority.issue_cert(*names)
    key, chain = folder / "key.pem", folder / "certificate.pem"
    issued.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    return issued.cert_chain_pems[0].bytes()


def shown_certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port)).strip()


@pytest.fixture
def with_tls(install, tmp_path):
    authority = trustme.CA()
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    certificate(authority, folder, "127.0.0.1", "localhost")
    one = install(tls={"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")})
    one.settings["public_url"] = f"https://127.0.0.1:{one.port}"
    one.write()
    return one, authority, folder


def test_it_speaks_tls_and_no_plain_http(with_tls):
    one, _, folder = with_tls
    one.start(scheme="https", verify=str(folder / "ca.pem"))
    expect.ok(one.api().get("/api/2/users"), 200)
    with pytest.raises(requests.RequestException):
        requests.get(f"http://127.0.0.1:{one.port}/healthz", timeout=5, proxies={"http": None})


@pytest.mark.parametrize("version, fine", [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
def test_old_versions_of_tls_are_refused(with_tls, version, fine):
    import warnings

    one, _, folder = with_tls
    one.start(scheme="https", verify=str(folder / "ca.pem"))
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", one.port), timeout=10) as plain:
        if fine:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                assert tls.version() == version.name.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_changed_certificate_is_taken_up_while_it_runs_and_a_broken_one_is_not(with_tls):
    one, authority, folder = with_tls
    one.start(scheme="https", verify=str(folder / "ca.pem"))
    first = shown_certificate(one.port)
    (folder / "certificate.pem").write_text("broken")
    (folder / "key.pem").write_text("broken")
    new = None
    deadline = time.monotonic() + 30
    broken_until = time.monotonic() + 6
    while time.monotonic() < deadline:
        shown = shown_certificate(one.port)
        if new is None:
            assert shown == first, "a broken pair was taken"
            if time.monotonic() > broken_until:
                new = certificate(authority, folder, "127.0.0.1", "localhost").decode().strip()
        elif shown == new:
            return
        time.sleep(0.2)  # another process looks at its files by a clock of its own
    raise AssertionError("the new certificate was not taken up in time")


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_half_a_tls_configuration_is_refused(with_tls, missing):
    one, _, _ = with_tls
    del one.settings["tls"][missing]
    one.write()
    assert f"tls.{missing}" in refused("serve", "--config", one.config, cwd=one.base)


def test_a_certificate_that_cannot_be_read_is_refused_at_the_start(with_tls):
    one, _, folder = with_tls
    (folder / "certificate.pem").write_text("nonsense")
    refused("serve", "--config", one.config, cwd=one.base)


@pytest.mark.parametrize("trusted", [True, False])
def test_the_word_of_a_proxy_is_taken_only_from_one_that_is_trusted(install, trusted):
    one = install(trusted_proxies=["127.0.0.1"] if trusted else ["10.9.9.9"])
    one.start()
    api = one.api()
    expect.ok(api.get("/api/2/users", headers={"X-Forwarded-For": "198.51.100.66, 203.0.113.7", "X-Forwarded-Proto": "https"}), 200)
    assert one.process.stop() == 0  # and with it the last line is in the log
    logged = one.process.stdout_path.read_text() + one.process.stderr_path.read_text()
    assert ("203.0.113.7" in logged) is trusted
    # What the client itself wrote further left is believed by nobody.
    assert '"198.51.100.66"' not in logged


def test_a_proxy_list_of_everybody_is_refused(install):
    one = install(trusted_proxies=["0.0.0.0/0"])
    refused("serve", "--config", one.config, cwd=one.base)


# The command line itself

def test_help_and_version_are_there(tmp_path):
    text = run("--help", cwd=tmp_path)
    for command in ("dev", "serve", "user", "credential", "audit", "key"):
        assert command in text
    assert re.search(r"\d+\.\d+\.\d+", run("--version", cwd=tmp_path))


def test_an_unknown_command_is_refused(tmp_path):
    refused("frobnicate", cwd=tmp_path)
