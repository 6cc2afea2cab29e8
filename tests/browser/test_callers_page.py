"""Security keys on a page of the caller's own: Chromium reads the options and writes the credential in the JSON forms of the
specification, and the command `onelogin` sends it."""

import json
import os
import pathlib
import subprocess

import pytest

from harness import expect
from harness.people import WEBAUTHN
from harness.server import binary, clean_env

COMMAND = pathlib.Path(os.environ.get("ONELOGIN_BIN", pathlib.Path(binary()).parent / "onelogin"))


@pytest.fixture
def send(server):
    """Sends a credential by the command; it must end with `status`."""

    def send(person, credential, *pending, status=0):
        env = clean_env(ONELOGIN_HOST=server.url, ONELOGIN_CLIENT_ID=server.CLIENT_ID,
                        ONELOGIN_CLIENT_SECRET=server.client_secret)
        done = subprocess.run([COMMAND, "verify", str(person.id), *pending, "--credential", "-", "--output", "json"],
                              capture_output=True, text=True, timeout=60, input=json.dumps(credential), env=env)
        assert done.returncode == status, f"{pending}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    return send


def create(browser, options):
    return browser.evaluate(f"""navigator.credentials.create({{
        publicKey: PublicKeyCredential.parseCreationOptionsFromJSON({json.dumps(options)}),
    }}).then((made) => made.toJSON())""")


def get(browser, options):
    return browser.evaluate(f"""navigator.credentials.get({{
        publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({json.dumps(options)}),
    }}).then((used) => used.toJSON())""")


def test_what_chromium_writes_enrols_a_key_and_logs_in_once(person, chromium, send):
    browser = chromium.person()
    made = expect.ok(person.register(WEBAUTHN), 201)
    # Any page of the origin will do: the ceremony is the caller's own.
    browser.open(made["factor_data"]["url"])
    options = made["factor_data"]["public_key"]
    credential = create(browser, options)
    assert send(person, credential, "--registration", made["id"])["status"] == "accepted"
    send(person, credential, "--registration", made["id"], status=5)
    [device] = person.devices()

    started = expect.ok(person.challenge(device["device_id"]), 201)
    assertion = get(browser, started["factor_data"]["public_key"])
    other = expect.ok(person.challenge(device["device_id"]), 201)
    send(person, assertion, "--verification", other["id"], status=5)
    assert send(person, assertion, "--verification", started["id"])["status"] == "accepted"
    send(person, assertion, "--verification", started["id"], status=5)
    assert expect.ok(person.poll(other["id"]), 200)["status"] == "pending"
