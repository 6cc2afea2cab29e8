"""Limits that nodes keep together, seen at two `factord serve` with one configuration and one database."""

import time

import pytest

from harness import expect
from harness.client import Api
from harness.people import RECOVERY
from harness.serve import Installation
from harness.server import free_port

LIMIT = 40


class Pair:
    """Two nodes of one installation."""

    def __init__(self, base, database):
        self.first = Installation(base / "first", database={"url": database}, rate_limit=LIMIT)
        del self.first.settings["data"]
        self.first.write()
        self.first.start()
        made = self.first.credential("Manage All")
        self.second = Installation(base / "second")
        port = free_port()
        self.second.port = port
        self.second.settings = {**self.first.settings, "listen": f"127.0.0.1:{port}"}
        self.second.write()
        self.second.start()
        self.apis = [Api(node.process, made["client_id"], made["client_secret"]) for node in (self.first, self.second)]

    def discard(self):
        self.first.discard()
        self.second.discard()


@pytest.fixture
def pair(tmp_path, start_postgres):
    pair = Pair(tmp_path, start_postgres().database("factord"))
    yield pair
    pair.discard()


def until(condition, patience=10):
    """Waits for what nodes tell each other four times a second."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the nodes have not told each other"
        time.sleep(0.1)


def test_a_credential_has_one_hour_over_all_nodes(pair):
    first, second = pair.apis
    for api in pair.apis:
        expect.ok(api.get("/api/2/users"), 200)
    while first.get("/api/2/users").status_code == 200:
        pass
    # The other node has let one request in, and learns of all others by the next that it counts.
    until(lambda: second.get("/api/2/users").status_code == 429)
    standing = second.get("/auth/rate_limit").json()["data"]
    assert standing["X-RateLimit-Limit"] == LIMIT and standing["X-RateLimit-Remaining"] == 0


def test_recovery_codes_are_tried_ten_times_a_minute_over_all_nodes(pair):
    first, second = pair.apis
    user = expect.ok(first.post("/api/2/users", {"username": "ada"}), 201)["id"]
    mfa = f"/api/2/mfa/users/{user}"
    made = expect.ok(first.post(f"{mfa}/registrations", {"factor_id": RECOVERY, "display_name": "Paper"}), 201)
    device = expect.ok(first.put(f"{mfa}/registrations/{made['id']}", {}), 200)["device_id"]
    code = made["factor_data"]["recovery_codes"][0]
    wrong = made["factor_data"]["recovery_codes"][1][0] + code[1:]
    guess = lambda api, otp: api.post(f"{mfa}/verifications", {"device_id": device, "otp": otp}).status_code
    answers = [guess(first, wrong) for _ in range(12)]
    assert answers.count(401) == 9 and answers[-1] == 429, answers
    seen = []
    until(lambda: seen.append(guess(second, wrong)) or seen[-1] == 429)
    assert len(seen) <= 10, seen
    assert guess(second, code) == 429
