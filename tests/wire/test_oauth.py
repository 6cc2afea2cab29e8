"""Tokens: every way in that clients in the field use, and how each ends."""

import pytest

from harness import expect
from harness.server import epoch

TOKEN, REVOKE, RATE = "/auth/oauth2/v2/token", "/auth/oauth2/revoke", "/auth/rate_limit"
GRANT = {"grant_type": "client_credentials"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def basic(server):
    return (server.api.client_id, server.api.client_secret)


def works(server, token):
    return server.api.get("/api/2/users", params={"limit": 1}, token=token).status_code == 200


def check(server, response, clock):
    body = expect.ok(response, 200)
    assert set(body) == {"access_token", "created_at", "expires_in", "refresh_token", "token_type", "account_id"}
    assert body["expires_in"] == 36000 and body["token_type"] == "bearer" and body["account_id"] == 1
    assert expect.TIME.match(body["created_at"]) and abs(epoch(body["created_at"]) - clock.now()) <= 2
    # 128 bits at the least (ASVS 11.5.1): 32 characters of hex, 22 of base64.
    assert len(body["access_token"]) >= 43 and len(body["refresh_token"]) >= 43
    assert body["access_token"] != body["refresh_token"]
    assert works(server, body["access_token"])
    return body


def test_a_token_by_http_basic_and_json(server, clock, basic):
    check(server, server.api.post(TOKEN, GRANT, auth=basic), clock)


def test_a_token_by_http_basic_and_a_form(server, clock, basic):
    check(server, server.api.call("POST", TOKEN, body="grant_type=client_credentials", headers=FORM, auth=basic), clock)


@pytest.mark.parametrize("template", [
    "client_id:{0}, client_secret:{1}", "client_id:{0},client_secret:{1}", "client_id: {0}, client_secret: {1}",
])
def test_a_token_by_onelogins_own_header(server, clock, basic, template):
    headers = {"Authorization": template.format(*basic)}
    check(server, server.api.post(TOKEN, GRANT, headers=headers), clock)


def test_a_token_by_form_fields(server, clock, basic):
    body = {**GRANT, "client_id": basic[0], "client_secret": basic[1]}
    check(server, server.api.call("POST", TOKEN, body=body, headers=FORM, token=None), clock)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "bearer:{}", "bearer: {}"])
def test_every_spelling_of_bearer_in_the_field_works(server, person, form):
    response = server.api.get(person.path("/devices"), headers={"Authorization": form.format(server.api.token)})
    assert expect.ok(response, 200) == []


@pytest.mark.parametrize("form", ["{}", "Basic {}", "Token {}", "Bearer", "Bearer {} {}", "bearer;{}"])
def test_no_other_spelling_works(server, person, form):
    token = server.api.token
    expect.bad_token(server.api.get(person.path("/devices"), headers={"Authorization": form.format(token, token)}))


@pytest.mark.parametrize("ident, secret", [("{id}", "wrong"), ("nobody", "{secret}"), ("", ""), ("{id}", ""), ("{id}", "{secret} ")])
def test_a_wrong_client_gets_no_token(server, basic, ident, secret):
    auth = (ident.format(id=basic[0]), secret.format(secret=basic[1]))
    expect.v1_error(server.api.post(TOKEN, GRANT, auth=auth), 401, "Authentication Failure")


def test_no_client_gets_no_token(server):
    expect.v1_error(server.api.post(TOKEN, GRANT, token=None), 401)
    expect.v1_error(server.api.call("POST", TOKEN, body=b"", headers={"Content-Type": "application/json"}, token=None), 401)


@pytest.mark.parametrize("body", [{}, {"grant_type": "password"}, {"grant_type": None}, {"grant_type": 7}], ids=str)
def test_another_grant_is_a_bad_request(server, basic, body):
    expect.v1_error(server.api.post(TOKEN, body, auth=basic), 400)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_cannot_be_read_is_a_bad_request(server, basic, body):
    response = server.api.call("POST", TOKEN, body=body, headers={"Content-Type": "application/json"}, auth=basic)
    expect.v1_error(response, 400)


@pytest.mark.parametrize("as_form", [False, True])
def test_a_refresh_gives_a_new_pair_and_ends_the_old_one_at_once(server, clock, basic, as_form):
    old = server.api.new_token()
    body = {"grant_type": "refresh_token", "access_token": old["access_token"], "refresh_token": old["refresh_token"]}
    keywords = {"body": body, "headers": FORM} if as_form else {"json": body}
    new = check(server, server.api.call("POST", TOKEN, auth=basic, **keywords), clock)
    assert new["access_token"] != old["access_token"] and new["refresh_token"] != old["refresh_token"]
    assert not works(server, old["access_token"])
    expect.v1_error(server.api.call("POST", TOKEN, auth=basic, **keywords), 401)
    assert works(server, new["access_token"])


def test_a_refresh_needs_the_client(server):
    old = server.api.new_token()
    body = {"grant_type": "refresh_token", "access_token": old["access_token"], "refresh_token": old["refresh_token"]}
    expect.v1_error(server.api.post(TOKEN, body, token=None), 401)
    expect.v1_error(server.api.post(TOKEN, body, auth=server.credentials["Manage All"]), 401)
    assert works(server, old["access_token"])


def test_a_refresh_needs_both_halves_of_one_pair(server, basic):
    one, two = server.api.new_token(), server.api.new_token()
    for body in (
        {"access_token": one["access_token"], "refresh_token": two["refresh_token"]},
        {"access_token": one["access_token"], "refresh_token": "nonsense"},
        {"access_token": "nonsense", "refresh_token": one["refresh_token"]},
    ):
        expect.v1_error(server.api.post(TOKEN, {"grant_type": "refresh_token", **body}, auth=basic), 401)
    for body in ({"access_token": one["access_token"]}, {"refresh_token": one["refresh_token"]}):
        expect.v1_error(server.api.post(TOKEN, {"grant_type": "refresh_token", **body}, auth=basic), 400)
    assert works(server, one["access_token"]) and works(server, two["access_token"])


def test_an_expired_token_can_still_be_refreshed(server, clock, basic):
    old = server.api.new_token()
    clock.advance(36001)
    assert not works(server, old["access_token"])
    body = {"grant_type": "refresh_token", "access_token": old["access_token"], "refresh_token": old["refresh_token"]}
    check(server, server.api.post(TOKEN, body, auth=basic), clock)


def test_a_refresh_token_is_no_bearer_token(server):
    assert not works(server, server.api.new_token()["refresh_token"])


def test_revoking_ends_a_token_and_its_refresh(server, basic):
    pair = server.api.new_token()
    body = expect.ok(server.api.post(REVOKE, {"access_token": pair["access_token"]}, auth=basic), 200)
    assert {k: body[k] for k in ("error", "code", "type", "message")} == {
        "error": False, "code": 200, "type": "success", "message": "Success"}
    assert type(body["status"]["code"]) is int and isinstance(body["status"]["message"], str)
    assert not works(server, pair["access_token"])
    again = {"grant_type": "refresh_token", "access_token": pair["access_token"], "refresh_token": pair["refresh_token"]}
    expect.v1_error(server.api.post(TOKEN, again, auth=basic), 401)


def test_revoking_one_token_leaves_the_clients_others(server, basic):
    one, two = server.api.new_token(), server.api.new_token()
    expect.ok(server.api.post(REVOKE, {"access_token": one["access_token"]}, auth=basic), 200)
    assert works(server, two["access_token"])


def test_a_client_cannot_revoke_anothers_token(server):
    pair = server.api.new_token()
    server.api.post(REVOKE, {"access_token": pair["access_token"]}, auth=server.credentials["Manage All"])
    server.api.post(REVOKE, {"access_token": pair["access_token"]}, token=None)
    assert works(server, pair["access_token"])


def test_revoking_needs_the_client_and_a_token(server, basic):
    token = server.api.new_token()["access_token"]
    expect.v1_error(server.api.post(REVOKE, {"access_token": token}, token=None), 401)
    expect.v1_error(server.api.post(REVOKE, {"access_token": token}, auth=(basic[0], "wrong")), 401)
    expect.v1_error(server.api.post(REVOKE, {}, auth=basic), 400)
    assert works(server, token)


def test_the_rate_limit_is_unlimited_unless_configured(server):
    body = expect.ok(server.api.get(RATE), 200)
    assert set(body) == {"status", "data"}
    assert type(body["status"]["code"]) is int and isinstance(body["status"]["message"], str)
    data = body["data"]
    assert set(data) == {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
    assert all(type(v) is int for v in data.values())
    assert data["X-RateLimit-Limit"] == 2147483647


def test_the_rate_limit_needs_a_token_and_refuses_in_v1_shape(server):
    expect.v1_error(server.api.get(RATE, token=None), 401)
    expect.v1_error(server.api.get(RATE, token="nonsense"), 401)


def test_a_token_dies_after_36000_seconds(server, clock):
    token = server.api.new_token()["access_token"]
    clock.advance(35990)
    assert works(server, token)
    clock.advance(11)
    assert not works(server, token)


def test_tokens_survive_a_restart(start_dev):
    server = start_dev()
    pair = server.api.new_token()
    server.stop()
    server.restart()
    assert works(server, pair["access_token"])


# Scopes

MFA = [
    ("GET", "/factors", None), ("POST", "/registrations", {"factor_id": 58957, "display_name": "x"}),
    ("GET", "/registrations/00000000-0000-4000-8000-000000000000", None),
    ("PUT", "/registrations/00000000-0000-4000-8000-000000000000", {"otp": "123456"}),
    ("GET", "/devices", None), ("DELETE", "/devices/99999999", None),
    ("POST", "/verifications", {"device_id": 99999999}), ("POST", "/verifications", {"otp": "123456", "device_id": 99999999}),
    ("GET", "/verifications/00000000-0000-4000-8000-000000000000", None),
    ("PUT", "/verifications/00000000-0000-4000-8000-000000000000", {"otp": "123456"}), ("POST", "/mfa_token", {}),
]
ALLOWED = {"Manage All": set(range(11)), "Manage Users": {10}, "Verify MFA": {4, 6, 7, 8, 9}}


@pytest.mark.parametrize("scope", ["Authentication Only", "Read Users", "Manage Users", "Read All", "Manage All", "Verify MFA"])
def test_each_scope_may_do_just_what_the_contract_gives_it_of_mfa(server, person, scope):
    api = server.as_scope(scope)
    for n, (method, tail, body) in enumerate(MFA):
        response = api.call(method, person.path(tail), **({"json": body} if body is not None else {}))
        if n in ALLOWED.get(scope, ()):
            assert response.status_code not in (401, 403), expect.story(response)
        else:
            expect.forbidden(response)


READS, WRITES = {"Read Users", "Manage Users", "Read All", "Manage All"}, {"Manage Users", "Manage All"}


@pytest.mark.parametrize("scope", ["Authentication Only", "Read Users", "Manage Users", "Read All", "Manage All", "Verify MFA"])
def test_each_scope_may_do_just_what_the_contract_gives_it_of_users(server, people, scope):
    api, person = server.as_scope(scope), people()
    for response in (api.get("/api/2/users", params={"limit": 1}), api.get(f"/api/2/users/{person.id}")):
        expect.ok(response, 200) if scope in READS else expect.forbidden(response)
    made = api.post("/api/2/users", {"username": f"by-{scope}-{person.id}"})
    changed = api.put(f"/api/2/users/{person.id}", {"firstname": "New"})
    deleted = api.delete(f"/api/2/users/{person.id}")
    if scope in WRITES:
        expect.ok(made, 201), expect.ok(changed, 200), expect.ok(deleted, 204)
    else:
        expect.forbidden(made), expect.forbidden(changed), expect.forbidden(deleted)
        assert expect.ok(server.api.get(f"/api/2/users/{person.id}"), 200)["firstname"] == "Per"


def test_a_login_page_finds_a_user_by_exact_name_and_sees_three_fields(server, person):
    api = server.as_scope("Verify MFA")
    name = person.fields["username"]
    found = expect.ok(api.get("/api/2/users", params={"username": name}), 200)
    assert found == [{"id": person.id, "state": 1, "status": 1}]
    for almost in (name[:-1], name + "x", name.replace("person", "perso*"), "*", "%", ""):
        response = api.get("/api/2/users", params={"username": almost})
        # An empty name is no exact name at all: refused or matching nobody, but never a list of people.
        assert response.status_code == 403 or expect.ok(response, 200) == [], expect.story(response)
    for params in ({}, {"email": person.email}, {"user_ids": str(person.id)}, {"firstname": "Per"}):
        expect.forbidden(api.get("/api/2/users", params=params))
    seen = expect.ok(api.get("/api/2/users", params={"username": name, "fields": "id,email,phone"}), 200)
    assert "email" not in seen[0] and "phone" not in seen[0]


def test_a_login_page_can_verify_and_nothing_more(server, person, clock):
    device = person.enrol_totp()
    page = server.as_scope("Verify MFA")
    assert [d["device_id"] for d in expect.ok(page.get(person.path("/devices")), 200)] == [device.id]
    at = clock.fresh_step()
    started = expect.ok(page.post(person.path("/verifications"), {"device_id": device.number}), 201)
    assert expect.ok(page.get(person.path(f"/verifications/{started['id']}")), 200)["status"] == "pending"
    expect.accepted(page.put(person.path(f"/verifications/{started['id']}"), {"otp": device.code(at)}))
    expect.forbidden(page.delete(person.path(f"/devices/{device.id}")))
    assert person.device_ids() == [device.id]


def test_an_unknown_scope_is_refused_at_the_start(tmp_path):
    import subprocess

    from harness.server import binary, clean_env, free_port

    run = subprocess.run(
        [binary(), "dev", "--listen", f"127.0.0.1:{free_port()}", "--data", str(tmp_path / "data"), "--credential", "a:b:Everything"],
        capture_output=True, text=True, timeout=20, env=clean_env(), cwd=tmp_path)
    assert run.returncode != 0
    assert "Everything" in run.stderr or "scope" in run.stderr.lower(), run.stderr


def test_a_token_and_a_secret_of_one_server_are_worth_nothing_at_another(server, start_dev):
    other = start_dev()
    expect.v1_error(server.api.post(TOKEN, GRANT, auth=(other.CLIENT_ID, other.client_secret)), 401)
    assert not works(server, other.api.token)
