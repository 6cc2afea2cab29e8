"""Text messages to a fake Twilio and to a webhook: what is posted, how it is signed, and what each answer means."""

import base64
import hashlib
import hmac
import json
import re
import time
import urllib.parse

import pytest

from delivery.conftest import SECRETS
from delivery.players import HANG
from harness.server import ROOT

SID = "AC0123456789abcdef0123456789abcdef"
TOKEN = SECRETS["FACTORD_DELIVERY_TWILIO_AUTH_TOKEN"]
SECRET = SECRETS["FACTORD_DELIVERY_WEBHOOK_SECRET"]


def by_twilio(player, sender="+12025550100", **more):
    return ("[delivery]\nsms = ['twilio']\ntimeout = 2\n" + "".join(f"{k} = {v!r}\n" for k, v in more.items())
            + f"[delivery.twilio]\naccount_sid = '{SID}'\nfrom = '{sender}'\nbase_url = '{player.url}'\n")


def by_webhook(player, **more):
    return ("[delivery]\nsms = ['webhook']\nemail = ['webhook']\ntimeout = 2\n" + "".join(f"{k} = {v!r}\n" for k, v in more.items())
            + f"[delivery.webhook]\nurl = '{player.url}/take?from=factord'\n")


def refusal(status, code):
    return status, json.dumps({"code": code, "message": "The 'To' number +12025550123 is bad", "status": status})


# Twilio

@pytest.mark.parametrize("sender, field", [
    ("+12025550100", "From"), ("Example", "From"), ("MG0123456789abcdef0123456789abcdef", "MessagingServiceSid"),
])
def test_a_text_is_posted_as_twilio_has_it(deliver, http, sender, field):
    player = http(script=[(201, json.dumps({"sid": "SM1"}))])
    assert deliver(by_twilio(player, sender)).send(body="Ihr Schlüssel & Code: 271828") == "done"
    ((path, headers, body),) = player.requests
    assert path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"{SID}:{TOKEN}"
    form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
    assert 1 <= int(form.pop("ValidityPeriod")) <= 120
    assert form == {"To": "+12025550123", field: sender, "Body": "Ihr Schlüssel & Code: 271828"}


@pytest.mark.parametrize("answer, expected", [
    (refusal(400, 21211), "never"), (refusal(400, 21610), "never"), (refusal(400, 21606), "later"),
    (refusal(401, 20003), "later"), (refusal(429, 20429), "later"), (refusal(500, 20500), "later"), (503, "later"),
    ((400, "not JSON"), "later"), ((400, "x" * 200_000), "later"), (302, "later"), (HANG, "later"),
])
def test_what_twilio_answers_decides_whether_it_is_tried_again(deliver, http, answer, expected):
    player = http(script=[answer])
    sender = deliver(by_twilio(player))
    assert sender.send() == expected
    assert sender.send() == "done"
    assert all(path.endswith("/Messages.json") for path, _, _ in player.requests), "no redirect is followed"


# The webhook

def documented_verify():
    """The function that docs/delivery.md shows."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "delivery.md").read_text(), re.M | re.S)
    names = {}
    exec(text, names)
    return names["verify"]


def test_a_message_is_posted_and_signed_so_that_the_documented_lines_and_plain_hmac_accept_it(deliver, http):
    player = http(script=[204])
    assert deliver(by_webhook(player)).send("email", subject="Schlüssel") == "done"
    ((path, headers, body),) = player.requests
    timestamp, signature = headers["Factord-Timestamp"], headers["Factord-Signature"]
    computed = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert signature == f"v1={computed}"
    verify, now = documented_verify(), time.time()
    assert verify(SECRET, headers, body, now)
    assert not verify(SECRET, headers, body + b" ", now)
    assert not verify("another secret", headers, body, now)
    assert not verify(SECRET, headers, body, now + 301), "an old one is somebody's recording"
    assert not verify(SECRET, {}, body, now)
    assert path == "/take?from=factord" and headers["Content-Type"] == "application/json"
    message = json.loads(body)
    assert message.pop("at") < message.pop("expires_at")
    assert message.pop("id") == headers["Idempotency-Key"]
    assert message == {"channel": "email", "to": "ada@example.com", "subject": "Schlüssel",
                       "body": "Your code is 271828.", "code": "271828"}


def test_the_webhook_s_certificate_must_be_of_a_trusted_authority(deliver, http, authority):
    player = http(tls=True)
    assert deliver(by_webhook(player, ca_file=str(authority.path))).send() == "done"
    assert deliver(by_webhook(player)).send() == "later"
    assert len(player.requests) == 1


@pytest.mark.parametrize("answer, expected", [
    (200, "done"), (202, "done"), (400, "never"), (403, "never"), (404, "never"), (408, "later"), (429, "later"),
    (500, "later"), (503, "later"), (307, "later"), (HANG, "later"),
])
def test_what_the_webhook_answers_decides_whether_it_is_tried_again(deliver, http, answer, expected):
    player = http(script=[answer])
    sender = deliver(by_webhook(player))
    assert sender.send() == expected
    assert sender.send() == "done"
    assert [path for path, _, _ in player.requests] == ["/take?from=factord"] * 2


# Chains

def chain(twilio_url, webhook, **more):
    return ("[delivery]\nsms = ['twilio', 'webhook']\ntimeout = 1\n" + "".join(f"{k} = {v!r}\n" for k, v in more.items())
            + f"[delivery.twilio]\naccount_sid = '{SID}'\nfrom = '+12025550100'\nbase_url = '{twilio_url}'\n"
            f"[delivery.webhook]\nurl = '{webhook.url}'\n")


@pytest.mark.parametrize("trouble", [500, HANG, refusal(400, 21211), "nobody there"])
def test_the_fallback_sends_what_the_first_does_not_take(deliver, http, nowhere, trouble):
    first, second = http(script=[trouble]), http()
    url = f"http://localhost:{nowhere}" if trouble == "nobody there" else first.url
    sender = deliver(chain(url, second))
    assert sender.send() == "done"
    assert len(second.requests) == 1
    if trouble != "nobody there":
        assert sender.send() == "done"
        assert (len(first.requests), len(second.requests)) == (2, 1), "the next one is the first's again"


def test_only_what_all_refuse_is_given_up(deliver, http):
    first, second = http(script=[refusal(400, 21211)] * 2), http(script=[500, 400])
    sender = deliver(chain(first.url, second))
    assert [sender.send(), sender.send()] == ["later", "never"]


def test_a_provider_that_fails_again_and_again_is_left_alone_until_it_works_again(deliver, http):
    first, second = http(script=[500, 500, 500]), http()
    sender = deliver(chain(first.url, second, breaker_failures=2, breaker_pause=1))
    assert [sender.send(), sender.send()] == ["done", "done"]
    assert (len(first.requests), len(second.requests)) == (2, 2)
    assert sender.send() == "done"
    assert (len(first.requests), len(second.requests)) == (2, 3), "the first is not asked"
    # It is tried again after each pause: fails once more, then works.
    deadline = time.monotonic() + 30
    while len(first.requests) < 5 and time.monotonic() < deadline:
        assert sender.send() == "done"
        time.sleep(0.1)  # the pause is another process's, nothing else can be waited on
    before = len(second.requests)
    assert sender.send() == "done"
    assert len(second.requests) == before, "the first takes everything again"
    sender.stop()
    assert "left alone for a while" in sender.log() and "works again" in sender.log()
