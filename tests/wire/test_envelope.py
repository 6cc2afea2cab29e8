"""What every answer carries, and which spellings of a path are the same."""

import pytest

from harness import expect
from harness.people import SMS


def test_every_kind_of_answer_carries_the_headers(server, person):
    api = person.api
    answers = [
        person.factors(), person.register(SMS), person.list_devices(),
        person.poll("nonsense"), api.get(person.path("/devices"), token="nonsense"),
        server.as_scope("Read Users").get(person.path("/devices")), api.get("/api/2/mfa/users/abc/devices"),
        person.register(1), api.call("PATCH", person.path("/devices")),
        api.call("POST", person.path("/mfa_token"), body=b"x" * 100_000),
        api.call("POST", person.path("/mfa_token"), body=b"x", headers={"Content-Type": "text/plain"}),
        person.temporary_token(), api.get(f"/api/2/users/{person.id}"), api.get("/api/2/users"), api.get("/auth/rate_limit"),
        api.post("/auth/oauth2/v2/token", {}, token=None), api.get("/nothing-here"),
        api.get("/healthz", token=None), api.get("/readyz", token=None),
    ]
    for answer in answers:
        expect.envelope(answer)
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == len(ids)


def test_a_deletion_answers_with_no_body_at_all(person):
    device = person.enrol_sms()
    response = person.remove(device.id)
    expect.ok(response, 204)
    assert "Content-Type" not in response.headers and response.headers.get("Content-Length", "0") == "0"


@pytest.mark.parametrize("tail", ["/factors", "/devices"])
def test_a_trailing_slash_and_a_doubled_leading_one_are_tolerated(person, tail):
    plain = expect.ok(person.api.get(person.path(tail)), 200)
    for path in (person.path(tail) + "/", "/" + person.path(tail), "/" + person.path(tail) + "/"):
        assert expect.ok(person.api.get(path), 200) == plain


def test_slashes_are_tolerated_in_every_operation(server, person, clock):
    api, double = person.api, "/" + person.path()
    made = expect.ok(api.post(double + "/registrations/", {"factor_id": SMS, "display_name": "x"}), 201)
    expect.ok(api.get(f"{double}/registrations/{made['id']}/"), 200)
    code = person.message()["code"]
    expect.ok(api.put(f"{double}/registrations/{made['id']}/", {"otp": code}), 200)
    started = expect.ok(api.post(double + "/verifications/", {"device_id": made["device_id"]}), 201)
    expect.ok(api.get(f"{double}/verifications/{started['id']}/"), 200)
    expect.accepted(api.put(f"{double}/verifications/{started['id']}/", {"otp": person.message()["code"]}))
    expect.ok(api.post(double + "/mfa_token/", {}), 201)
    expect.ok(api.delete(f"{double}/devices/{made['device_id']}/"), 204)
    expect.ok(api.get(f"//api/2/users/{person.id}/"), 200)
    expect.ok(api.get("//auth/rate_limit/"), 200)
    token = api.post("//auth/oauth2/v2/token/", {"grant_type": "client_credentials"}, auth=(api.client_id, api.client_secret))
    expect.ok(token, 200)


def test_health_readiness_and_the_description_need_no_token(server):
    assert server.api.get("/healthz", token=None).status_code == 200
    assert server.api.get("/readyz", token=None).status_code == 200
    described = server.api.get("/openapi.json", token=None)
    assert described.status_code == 200
    assert described.json()["openapi"].startswith("3.1")


def test_the_description_names_the_eleven_operations(server):
    paths = server.api.get("/openapi.json", token=None).json()["paths"]
    described = {(method.upper(), path.split("{user_id}", 1)[-1]) for path, item in paths.items() if "/mfa/" in path for method in item}
    plain = {(method, tail.replace("{registration_id}", "{}").replace("{verification_id}", "{}").replace("{device_id}", "{}")) for method, tail in described}
    assert plain >= {
        ("GET", "/factors"), ("POST", "/registrations"), ("GET", "/registrations/{}"), ("PUT", "/registrations/{}"),
        ("GET", "/devices"), ("DELETE", "/devices/{}"), ("POST", "/verifications"), ("GET", "/verifications/{}"),
        ("PUT", "/verifications/{}"), ("POST", "/mfa_token"),
    }


def test_metrics_are_in_prometheus_text(server):
    response = server.api.get("/metrics", token=None)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    samples = [line for line in response.text.splitlines() if line and not line.startswith("#")]
    assert samples and all(len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) >= 0 for line in samples)
