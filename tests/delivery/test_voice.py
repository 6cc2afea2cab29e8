"""OneLogin Voice by `factord serve`: a fake Twilio rings, fetches the page, types and hangs up, each request with Twilio's
signature; and a webhook does the same in JSON."""

import hashlib
import hmac
import itertools
import json
import time

import pytest
import requests

from delivery.conftest import SECRETS
from delivery.players import HttpPlayer, PhonePlayer
from harness import expect
from harness.people import Person
from harness.serve import Installation

VOICE = 58960
SID = "AC0123456789abcdef0123456789abcdef"
TOKEN = SECRETS["FACTORD_DELIVERY_TWILIO_AUTH_TOKEN"]
SECRET = SECRETS["FACTORD_DELIVERY_WEBHOOK_SECRET"]
ENV = {name: value for name, value in SECRETS.items() if "SMTP" not in name}


class Served:
    """A running `factord serve`, and the people on it."""

    def __init__(self, folder, **settings):
        self.installation = Installation(folder, **settings)
        self.process = self.installation.start(env=ENV)
        self.api = self.installation.api()
        self.number = itertools.count(1).__next__

    def person(self):
        return Person(self, api=self.api)

    def events(self, person):
        return self.installation.cli_json("audit", "list", "--user", str(person.id))

    def stop(self):
        status, logs = self.process.stop(), self.process.logs()
        assert status == 0 and "panicked at" not in logs, logs
        return logs


@pytest.fixture(scope="module")
def gateway(authority):
    player = PhonePlayer(authority, TOKEN)
    yield player
    player.stop()


@pytest.fixture(scope="module")
def served(gateway, tmp_path_factory):
    server = Served(tmp_path_factory.mktemp("voice"), **{
        "service_name": "Ämter & <Co>", "delivery": {"voice": ["twilio"]},
        "delivery.twilio": {"account_sid": SID, "from": "Example", "call_from": "+12025550100", "base_url": gateway.url},
    })
    yield server
    logs = server.stop()
    assert "/voice/{id}/{token}" in logs
    for path, _, body in gateway.requests:
        link = dict(part.split("=", 1) for part in body.decode().split("&"))["Url"]
        assert link.rsplit("%2F", 1)[1] not in logs, "the token of a link is in the log"


@pytest.fixture
def person(served):
    return served.person()


def enrolled(person):
    return expect.ok(person.register(VOICE, verified=True), 201)["device_id"]


def challenged(person, gateway):
    """A started verification: its id, its code, and the call."""
    started = expect.ok(person.challenge(enrolled(person)), 201)
    return started["id"], started["factor_data"]["verification_token"], gateway.call()


def status(person, verification_id):
    got = expect.ok(person.poll(verification_id), 200)
    return got["status"], got.get("reason")


def other(code):
    return code[:-1] + ("1" if code[-1] == "0" else "0")


def test_a_phone_is_enrolled_and_used_by_what_is_typed_on_it(served, gateway, person):
    made = expect.ok(person.register(VOICE), 201)
    code = made["factor_data"]["verification_token"]
    call = gateway.call()
    path, _, _ = gateway.requests[-1]
    assert path == f"/2010-04-01/Accounts/{SID}/Calls.json"
    assert (call.to, call.form["From"]) == (person.phone, "+12025550100")
    assert set(call.form) == {"To", "From", "Url", "StatusCallback"}
    assert call.link.startswith(f"{served.process.url}/voice/") and call.form["StatusCallback"] == f"{call.link}/status"

    heard = call.pick_up()
    assert heard.startswith("This is Ämter & <Co>. Please type the code") and code not in heard
    assert person.confirm(made["id"], code).status_code == 422
    assert expect.ok(person.registration(made["id"]), 200)["factor_data"]["verification_token"] == code
    assert call.type(other(code)) == "That is not the code. Please try again."
    assert call.type(code) == "Thank you, the code is right. Goodbye."
    call.end()
    shown = expect.ok(person.registration(made["id"]), 200)
    assert shown["status"] == "accepted" and "factor_data" not in shown

    started = expect.ok(person.challenge(made["device_id"]), 201)
    code, call = started["factor_data"]["verification_token"], gateway.call()
    call.pick_up()
    assert person.answer(started["id"], code).status_code == 401
    assert status(person, started["id"]) == ("pending", None)
    assert call.type(code).startswith("Thank you")
    call.end()
    assert status(person, started["id"]) == ("accepted", None)


def test_three_wrong_codes_end_the_call_and_the_verification(served, gateway, person):
    ident, code, call = challenged(person, gateway)
    call.pick_up()
    assert "try again" in call.type(other(code)) and "try again" in call.type("")
    assert call.type(other(code)) == "Goodbye." and call.action is None
    assert status(person, ident) == ("rejected", None)
    # Whoever keeps the address cannot go on.
    assert "right" not in call.follow(call.post(f"{call.link}/digits", Digits=code))
    assert status(person, ident) == ("rejected", None)


@pytest.mark.parametrize("word, reason", [
    ("completed", "hung_up"), ("no-answer", "no_answer"), ("busy", "no_answer"), ("failed", "no_answer"),
    ("canceled", "no_answer"),
])
def test_a_call_without_the_code_rejects_with_its_reason(served, gateway, person, word, reason):
    ident, code, call = challenged(person, gateway)
    for early in ("initiated", "ringing", "in-progress"):
        call.end(early)
    assert status(person, ident) == ("pending", None)
    call.pick_up()
    call.end(word)
    assert status(person, ident) == ("rejected", reason)
    said = call.pick_up()
    assert said.startswith("This code is no longer valid.") and said.endswith("Goodbye."), "nothing is asked any more"
    assert call.action is None


def test_what_the_gateway_did_not_sign_is_refused_and_audited(served, gateway, person):
    ident, code, call = challenged(person, gateway)
    call.pick_up()
    stolen = call.sign(call.action, {"Digits": code})  # without the other fields
    for url, form in ((call.link, {}), (call.action, {"Digits": code}), (call.form["StatusCallback"], {"CallStatus": "completed"})):
        for signature in ("", "AAAA", stolen, call.sign("https://elsewhere.example/", form)):
            answer = call.post(url, signature=signature, **form)
            assert answer.status_code == 403 and "Say" not in answer.text
    assert status(person, ident) == ("pending", None)
    [refused] = [event for event in served.events(person) if event.get("reason") == "not_signed"]
    assert refused["count"] == 12
    assert call.type(code).startswith("Thank you")
    assert status(person, ident) == ("accepted", None)


def test_a_number_that_the_gateway_does_not_call_ends_it_at_once(served, gateway, person):
    gateway.script.append((400, json.dumps({"code": 21211, "message": "bad number"})))
    started = expect.ok(person.challenge(enrolled(person)), 201)
    gateway.arrived.get(timeout=20)
    deadline = time.monotonic() + 20
    while status(person, started["id"])[0] == "pending" and time.monotonic() < deadline:
        time.sleep(0.05)  # another process gives up, nothing else can be waited on
    assert status(person, started["id"]) == ("rejected", "delivery_failed")


def test_voice_is_offered_only_where_somebody_calls(tmp_path):
    server = Served(tmp_path / "silent")
    person = server.person()
    assert VOICE not in [factor["factor_id"] for factor in expect.ok(person.factors(), 200)]
    assert person.register(VOICE).status_code == 422
    server.stop()


# By a webhook

def signed(url, body, secret=SECRET, at=None):
    text = json.dumps(body)
    at = str(int(time.time()) if at is None else at)
    mac = hmac.new(secret.encode(), f"{at}.{url}.{text}".encode(), hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "Factord-Timestamp": at, "Factord-Signature": f"v1={mac}"}
    return requests.post(url, data=text, headers=headers, timeout=30, proxies={"http": None})


def test_a_webhook_calls_and_reports_in_json(authority, tmp_path):
    player = HttpPlayer(authority)
    server = Served(tmp_path / "webhook", **{
        "delivery": {"voice": ["webhook"]}, "delivery.webhook": {"url": player.url},
    })
    person = server.person()
    started = expect.ok(person.challenge(enrolled(person)), 201)
    code = started["factor_data"]["verification_token"]
    _, _, body = player.arrived.get(timeout=20)
    message = json.loads(body)
    assert (message["channel"], message["to"]) == ("voice", person.phone)
    assert "code" not in message and code not in body.decode()
    link = message["link"]
    greeted = expect.ok(signed(link, {}), 200)
    assert greeted["say"] == [message["body"]] and greeted["gather"] == {"digits": 6, "seconds": 15}
    for refused in (signed(f"{link}/digits", {"digits": code}, secret="another"),
                    signed(f"{link}/digits", {"digits": code}, at=time.time() // 1 - 400),
                    # What we posted ourselves, sent back to us.
                    requests.post(f"{link}/digits", data=body, headers=dict(player.requests[-1][1]), timeout=30)):
        assert refused.status_code == 403
    assert status(person, started["id"]) == ("pending", None)
    done = expect.ok(signed(f"{link}/digits", {"digits": code}), 200)
    assert done == {"language": "en-US", "say": ["Thank you, the code is right.", "Goodbye."], "gather": None}
    assert signed(f"{link}/status", {"status": "completed"}).status_code == 204
    assert status(person, started["id"]) == ("accepted", None)
    server.stop()
    player.stop()
