"""The command `onelogin` against a running service, as a person or a script uses it. Codes are computed by oathtool."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import oath
from harness.serve import run as factord
from harness.server import binary, clean_env
from harness.yubico import Yubikey

COMMAND = pathlib.Path(os.environ.get("ONELOGIN_BIN", pathlib.Path(binary()).parent / "onelogin"))


@pytest.fixture
def onelogin(server):
    """Runs one command; gives what it printed as JSON, or as text."""

    def run(*arguments, status=0, text_in="", table=False):
        env = clean_env(ONELOGIN_HOST=server.url, ONELOGIN_CLIENT_ID=server.CLIENT_ID,
                        ONELOGIN_CLIENT_SECRET=server.client_secret)
        output = [] if table else ["--output", "json"]
        done = subprocess.run([COMMAND, *map(str, arguments), *output], capture_output=True, text=True, timeout=60,
                              input=text_in, env=env)
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
