"""OneLogin Protect by the example app, against the built server."""

import json
import re

import pytest
import requests

from harness import expect
from harness.app import Phone
from harness.people import PROTECT
from harness.serve import Installation


@pytest.fixture
def phone(tmp_path):
    return Phone(tmp_path)


def enrol(person, phone):
    made = expect.ok(person.register(PROTECT), 201)
    phone.activate(made["factor_data"]["totp_url"])
    done = expect.ok(person.registration(made["id"]), 200)
    assert done["status"] == "accepted" and "factor_data" not in done
    return made["device_id"]


def status(person, verification):
    return expect.ok(person.poll(verification["id"]), 200)["status"]


def test_an_app_approves_and_denies(person, phone):
    device = enrol(person, phone)
    started = expect.ok(person.challenge(device, display_name="the wiki"), 201)
    assert status(person, started) == "pending"
    [shown] = phone.list()
    assert shown["message"] == "the wiki" and shown["number_digits"] == 0
    assert phone.approve(started["id"]) == {"status": "accepted"}
    assert status(person, started) == "accepted"
    assert phone.list() == []
    started = expect.ok(person.challenge(device), 201)
    assert phone.deny(started["id"]) == {"status": "denied"}
    ended = expect.ok(person.poll(started["id"]), 200)
    assert (ended["status"], ended["reason"]) == ("rejected", "denied")


def test_a_number_is_matched_and_a_wrong_one_denies(person, phone):
    device = enrol(person, phone)
    started = expect.ok(person.challenge(device, number_matching=True), 201)
    number = started["factor_data"]["number"]
    assert re.fullmatch(r"\d\d", number)
    assert phone.approve(started["id"], number) == {"status": "accepted"}
    started = expect.ok(person.challenge(device, number_matching="true"), 201)
    wrong = f"{(int(started['factor_data']['number']) + 1) % 100:02}"
    assert phone.approve(started["id"], wrong) == {"status": "denied"}
    assert status(person, started) == "rejected"


def test_an_app_that_waits_is_told_at_once(person, phone):
    device = enrol(person, phone)
    waiting = phone.waiting()
    started = expect.ok(person.challenge(device), 201)
    shown, _ = waiting.communicate(timeout=40)
    assert [it["id"] for it in json.loads(shown)] == [started["id"]]


def test_a_code_works_once_and_a_new_registration_voids_it(person, people, phone, tmp_path):
    made = expect.ok(person.register(PROTECT), 201)
    newer = expect.ok(person.register(PROTECT), 201)
    uri = made["factor_data"]["totp_url"]
    assert "Authentication Failure" in phone.activate(uri, status=1)
    uri = newer["factor_data"]["totp_url"]
    phone.activate(uri)
    assert "Authentication Failure" in Phone(tmp_path).activate(uri, status=1)
    reasons = [it["reason"] for it in person.events() if it["action"] == "confirm_registration"]
    assert "used" in reasons


def test_a_person_who_denies_three_times_is_left_in_peace(person, phone, server, clock):
    device = enrol(person, phone)
    for _ in range(3):
        phone.deny(expect.ok(person.challenge(device), 201)["id"])
    refused = person.challenge(device)
    assert refused.status_code == 403 and 890 <= int(refused.headers["Retry-After"]) <= 900
    alarms = [it for it in person.events() if it["action"] == "raise_alarm"]
    assert [it["reason"] for it in alarms] == ["fatigue"]
    clock.advance(900)
    assert phone.approve(expect.ok(person.challenge(device), 201)["id"]) == {"status": "accepted"}


def test_a_number_on_the_page_takes_a_code_back_to_the_caller(person, phone, server):
    device = enrol(person, phone)
    started = expect.ok(person.challenge(device, number_matching=True, redirect_to="http://localhost:3000/in?a=b"), 201)
    assert "factor_data" not in started
    page = f"{server.url}/verify/{started['id']}"
    browser, other = requests.Session(), requests.Session()
    form = {"headers": {"Content-Type": "application/x-www-form-urlencoded"}, "timeout": 30}
    assert "Show the number" in browser.get(page, timeout=30).text
    number = re.search(r'class="number">(\d\d)<', browser.post(page, **form).text)[1]
    assert other.post(page, **form).status_code == 409
    assert phone.approve(started["id"], number) == {"status": "approved"}
    assert status(person, started) == "pending"
    back = browser.post(page, **form).headers["Refresh"]
    found = re.fullmatch(r"0; url=http://localhost:3000/in\?a=b&verification_id=([0-9a-f-]{36})&otp=([\w-]+)", back)
    assert found[1] == started["id"]
    expect.ok(person.answer(started["id"], found[2]), 200)
    assert status(person, started) == "accepted"


def test_the_policy_of_serve_asks_for_numbers_of_its_own_length(tmp_path, phone):
    installation = Installation(tmp_path / "serve", policy={"number_matching": "always", "number_digits": 4})
    try:
        installation.start()
        api = installation.api()
        user = expect.ok(api.post("/api/2/users", {"email": "ada@example.com"}), 201)["id"]
        path = f"/api/2/mfa/users/{user}"
        made = expect.ok(api.post(f"{path}/registrations", {"factor_id": PROTECT, "display_name": "mine"}), 201)
        assert "web_push_key" not in api.get("/app/v1/service", token=None).json()
        phone.activate(made["factor_data"]["totp_url"])
        started = expect.ok(api.post(f"{path}/verifications", {"device_id": made["device_id"]}), 201)
        [shown] = phone.list()
        assert shown["number_digits"] == 4
        assert phone.approve(started["id"], started["factor_data"]["number"]) == {"status": "accepted"}
    finally:
        installation.discard()
