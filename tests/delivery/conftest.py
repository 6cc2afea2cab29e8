"""Whoever takes messages, played on loopback, and the example `deliver` that sends to them by a configuration."""

import json
import os
import pathlib
import subprocess
import textwrap

import pytest
import trustme

from delivery.players import HttpPlayer, MailPlayer, closed_port
from harness.server import ROOT, clean_env

BINARY = pathlib.Path(os.environ.get("FACTORD_DELIVER", ROOT / "target" / "debug" / "examples" / "deliver"))
SECRETS = {
    "FACTORD_DELIVERY_SMTP_PASSWORD": "correct horse",
    "FACTORD_DELIVERY_TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "FACTORD_DELIVERY_WEBHOOK_SECRET": "a secret of more than thirty-two characters",
}


class Deliver:
    """The example, running: a message goes in, what became of it comes out."""

    def __init__(self, folder, settings):
        assert BINARY.is_file(), f"{BINARY} is not built: cargo build --examples"
        config = folder / "factord.toml"
        key = folder / "sealing.key"
        key.write_text("c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=\n")
        key.chmod(0o600)
        config.write_text(
            "public_url = 'http://127.0.0.1:8080'\n"
            f"sealing_key_file = '{key}'\n"
            "log = { format = 'text', level = 'trace' }\n" + textwrap.dedent(settings)
        )
        # A password without a user name is a mistake, and is refused.
        secrets = {name: value for name, value in SECRETS.items() if "SMTP" not in name or "username" in settings}
        self.log_path = folder / "log"
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([BINARY, config], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=clean_env(**secrets))

    def send(self, channel="sms", **message):
        """Sends one message and gives the word for what became of it."""
        to = "ada@example.com" if channel == "email" else "+12025550123"
        line = {"channel": channel, "to": to, "body": "Your code is 271828.", "code": "271828", **message}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        word = self.process.stdout.readline().strip()
        assert word, self.log()
        return word

    def log(self):
        """What it wrote; all of it once it has ended."""
        return self.log_path.read_text(errors="replace")

    def stop(self):
        self.process.stdin.close()
        try:
            return self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.stdout.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """An authority that the system does not know, and the file that says to trust it."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    authority.path = path
    return authority


@pytest.fixture
def deliver(tmp_path):
    """Starts `deliver` with a few lines of configuration. At the end its log holds nothing of any message."""
    started = []

    def start(settings):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Deliver(folder, settings))
        return started[-1]

    yield start
    for one in started:
        status, log = one.stop(), one.log()
        assert status == 0, log
        assert "panicked" not in log, log
        for needle in ("271828", "2025550123", "ada@", "ada+", *SECRETS.values()):
            assert needle not in log, f"{needle} is in the log\n{log}"


@pytest.fixture
def mail(authority):
    """Starts mail servers."""
    started = []

    def start(**keywords):
        started.append(MailPlayer(authority, **keywords))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def http(authority):
    """Starts HTTP servers."""
    started = []

    def start(**keywords):
        started.append(HttpPlayer(authority, **keywords))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def nowhere():
    """A port of this machine that nobody listens on."""
    return closed_port()
