"""The command `onelogin` against a running service, as a person or a script uses it. Codes are computed by oathtool."""

import json
import os
import pathlib
import re
import subprocess

import pytest
import requests

from delivery.players import HttpPlayer
from harness import expect, oath
from harness.app import Phone
from harness.people import MAGIC_LINK, PROTECT
from harness.serve import Installation
from harness.serve import run as factord
from harness.server import binary, clean_env
from harness.yubico import Yubikey

COMMAND = pathlib.Path(os.environ.get("ONELOGIN_BIN", pathlib.Path(binary()).parent / "onelogin"))


def environment(api):
    return clean_env(ONELOGIN_HOST=api.server.url, ONELOGIN_CLIENT_ID=api.client_id, ONELOGIN_CLIENT_SECRET=api.client_secret)


@pytest.fixture
def onelogin(server):
    """Runs one command; gives what it printed as JSON, or as text."""

    def run(*arguments, status=0, text_in="", table=False):
        output = [] if table else ["--output", "json"]
        done = subprocess.run([COMMAND, *map(str, arguments), *output], capture_output=True, text=True, timeout=60,
                              input=text_in, env=environment(server.api))
        assert done.returncode == status, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if table or not done.stdout.strip() else json.loads(done.stdout)

    return run


def test_an_app_is_enrolled_and_logs_in_and_is_deleted(onelogin, person, clock):
    now = clock.fresh_step()
    begun = onelogin("enroll", person.id, "--factor", "Authenticator", "--name", "My app")
    secret = begun["factor_data"]["verification_token"]
    done = onelogin("verify", person.id, "--registration", begun["id"], "--code", oath.code(secret, now))
    assert done["status"] == "accepted"
    assert [device["user_display_name"] for device in onelogin("devices", person.id)] == ["My app"]
    now = clock.fresh_step()
    device, code = done["device_id"], oath.code(secret, now)
    onelogin("verify", person.id, "--device", device, "--code", code)
    onelogin("verify", person.id, "--device", device, "--code", code, status=5)
    onelogin("delete", person.id, done["device_id"], "--yes")
    assert onelogin("devices", person.id) == []


def test_a_code_by_message_completes_what_was_started(onelogin, person):
    onelogin("enroll", person.id, "--factor", "SMS", "--verified")
    begun = onelogin("verify", person.id, "--start")
    assert onelogin("poll", person.id, begun["id"], status=6)["status"] == "pending"
    code = person.message()["code"]
    onelogin("verify", person.id, "--verification", begun["id"], "--code", oath.other(code), status=5)
    onelogin("verify", person.id, "--verification", begun["id"], "--code", code)
    assert onelogin("poll", person.id, begun["id"])["status"] == "accepted"


def test_a_temporary_token_stands_in_for_a_device(onelogin, person):
    onelogin("enroll", person.id, "--factor", "SMS", "--verified")
    token = onelogin("token", person.id, "--expires-in", "600")["mfa_token"]
    onelogin("verify", person.id, "--code", token)


def test_a_person_is_found_by_name_and_nobody_by_another(onelogin, person):
    shown = onelogin("users", "show", person.id)
    assert "OneLogin SMS" in onelogin("factors", shown["username"], table=True)
    onelogin("factors", "nobody@nowhere.example", status=4)


def test_a_yubikey_is_enrolled_by_one_press_and_lets_in_by_another(onelogin, server, person):
    key = Yubikey()
    factord("yubikey", "import", "-", *server.storage_flags(), text_in=key.line())
    begun = onelogin("enroll", person.id, "--factor", "YubiKey", "--name", "My key")
    done = onelogin("verify", person.id, "--registration", begun["id"], "--code", key.press())
    assert done["status"] == "accepted"
    otp = key.press()
    onelogin("verify", person.id, "--device", done["device_id"], "--code", otp)
    onelogin("verify", person.id, "--device", done["device_id"], "--code", otp, status=5)


class Waiting:
    """A `verify` that waits for its person, who reads what it says and types into it."""

    def __init__(self, api, *arguments):
        command = [COMMAND, "verify", *map(str, arguments), "--output", "json"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment(api))

    def says(self):
        """Its next line."""
        return self.process.stderr.readline()

    def ends(self, typed=None):
        """The exit code and the status that it printed, after this was typed; without, its input stays open."""
        if typed is not None:
            self.process.stdin.write(f"{typed}\n")
            self.process.stdin.flush()
        status = self.process.wait(timeout=60)
        printed = self.process.stdout.read()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        return status, json.loads(printed)["status"]


def press(session, page):
    """The button of a page; gives the page that follows, and the otp with which it leaves, if it does."""
    answer = session.post(page, headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=30)
    left = re.search(r"[?&]otp=([\w-]+)", answer.headers.get("Refresh", ""))
    return answer.text, left and left[1]


def test_a_push_whose_number_is_on_a_page_is_completed_by_the_code_of_the_page(server, person, tmp_path):
    phone, browser = Phone(tmp_path), requests.Session()
    phone.activate(expect.ok(person.register(PROTECT), 201)["factor_data"]["totp_url"])
    waiting = Waiting(server.api, person.id, "--number-matching", "--redirect-to", "http://localhost:3000/in")
    page = re.search(rf"{server.url}/verify/([0-9a-f-]{{36}})", waiting.says())
    assert "type it here" in waiting.says()
    shown, _ = press(browser, page[0])
    phone.approve(page[1], re.search(r'class="number">(\d\d)<', shown)[1])
    _, otp = press(browser, page[0])
    assert waiting.ends(otp) == (0, "accepted")
    assert expect.ok(person.poll(page[1]), 200)["status"] == "accepted"


def test_a_push_without_a_number_needs_no_code_although_it_has_somewhere_to_go(server, person, tmp_path):
    phone = Phone(tmp_path)
    phone.activate(expect.ok(person.register(PROTECT), 201)["factor_data"]["totp_url"])
    waiting = Waiting(server.api, person.id, "--redirect-to", "http://localhost:3000/in")
    assert "If it asks for a number" in waiting.says()
    phone.approve(phone.list()[0]["id"])
    assert waiting.ends() == (0, "accepted")


def test_a_polled_link_is_completed_by_the_press_alone(server, person, tmp_path):
    made = expect.ok(person.register(MAGIC_LINK), 201)
    press(requests.Session(), person.message()["link"])
    assert expect.ok(person.registration(made["id"]), 200)["status"] == "accepted"
    waiting = Waiting(server.api, person.id, "--redirect-to", "http://localhost:3000/in")
    assert "Press the button" in waiting.says()
    assert press(requests.Session(), person.message()["link"])[1] is None
    assert waiting.ends() == (0, "accepted")


@pytest.fixture
def postman():
    player = HttpPlayer(None)
    yield player
    player.stop()


def test_a_bound_link_is_completed_by_the_code_that_it_leads_to(postman, tmp_path):
    service = Installation(tmp_path, redirect_origins=["https://app.example.com"], **{
        "delivery": {"email": ["webhook"]}, "delivery.webhook": {"url": postman.url}})
    try:
        service.start(env={"FACTORD_DELIVERY_WEBHOOK_SECRET": "a secret of more than thirty-two characters"})
        api = service.api()
        user = expect.ok(api.post("/api/2/users", {"email": "ada@example.com"}), 201)["id"]
        expect.ok(api.post(f"/api/2/mfa/users/{user}/registrations", {"factor_id": MAGIC_LINK, "display_name": "mine"}), 201)
        press(requests.Session(), link(postman))
        waiting = Waiting(api, user, "--redirect-to", "https://app.example.com/in")
        assert "Press the button" in waiting.says()
        _, otp = press(requests.Session(), link(postman))
        assert waiting.ends(otp) == (0, "accepted")
    finally:
        service.discard()


def link(postman):
    """The link of the next e-mail that has one."""
    while True:
        message = json.loads(postman.arrived.get(timeout=30)[2])
        if "link" in message:
            return message["link"]
