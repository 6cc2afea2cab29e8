"""YubiKeys under `factord serve`, checked by validation servers of Yubico's protocol that are played here."""

import base64
import itertools

import pytest

from harness import expect
from harness.people import YUBIKEY, Person
from harness.serve import Installation, refused
from harness.server import free_port
from harness.yubico import ValidationServer, Yubikey


@pytest.fixture(scope="module")
def upstreams():
    servers = [ValidationServer(), ValidationServer()]
    servers[1].secret = servers[0].secret
    yield servers
    for server in servers:
        server.stop()


def settings(upstreams, **more):
    urls = [f"http://127.0.0.1:{free_port()}/nobody", *(server.url for server in upstreams)]
    return {"factors.yubikey": {"mode": "upstream", "client_id": 87, "urls": urls, "timeout": 3, **more}}


def environment(upstreams):
    return {"FACTORD_FACTORS_YUBIKEY_SECRET": base64.b64encode(upstreams[0].secret).decode()}


def ready(installation):
    """Gives the installation what makes people on it."""
    api, numbers = installation.api(), itertools.count(1)
    installation.number = lambda: next(numbers)
    installation.person = lambda: Person(installation, api=api)
    return installation.person


@pytest.fixture(scope="module")
def serving(tmp_path_factory, upstreams):
    installation = Installation(tmp_path_factory.mktemp("serve"), **settings(upstreams))
    installation.start(env=environment(upstreams))
    ready(installation)
    yield installation
    logs = installation.process.logs()
    installation.discard()
    assert "panicked" not in logs, logs


@pytest.fixture(autouse=True)
def honest(upstreams):
    for server in upstreams:
        server.mode = "honest"
        server.asked.clear()


@pytest.fixture
def key(upstreams):
    key = Yubikey()
    for server in upstreams:
        server.know(key)
    return key


@pytest.fixture
def person(serving):
    return serving.person()


def enrol(person, key):
    made = expect.ok(person.register(YUBIKEY), 201)
    return expect.ok(person.confirm(made["id"], key.press()), 200)["device_id"]


def unavailable(response):
    expect.error(response, 503, "ServiceUnavailable")
    assert response.headers["Retry-After"].isdigit(), expect.story(response)


def reasons(serving, person):
    events = serving.cli_json("audit", "list", "--user", person.id)
    return [event["reason"] for event in events]


def test_the_first_server_that_answers_is_believed_and_what_it_is_asked_is_signed(person, key, upstreams):
    device = enrol(person, key)
    expect.accepted(person.verify(key.press(), device))
    assert len(upstreams[0].asked) == 2 and upstreams[1].asked == []
    nonces = {query["nonce"] for query in upstreams[0].asked}
    assert len(nonces) == 2 and all(16 <= len(nonce) <= 40 for nonce in nonces)


def test_a_wrong_press_is_refused_and_counted(serving, person, key):
    device = enrol(person, key)
    for otp, reason in [(key.at(1, 9, damage=1), "wrong"), (Yubikey().press(), "not_its_owners"), ("c" * 43, "wrong")]:
        expect.refused_code(person.verify(otp, device))
        assert reasons(serving, person)[0] == reason
    replayed = key.press()
    expect.accepted(person.verify(replayed, device))
    expect.refused_code(person.verify(replayed, device))
    assert reasons(serving, person)[0] == "used"


def test_a_replay_is_refused_by_us_although_the_server_has_forgotten_it(person, key, upstreams):
    device = enrol(person, key)
    upstreams[0].mode = "forgetful"
    old, new = key.press(), key.press()
    expect.accepted(person.verify(new, device))
    for otp in (new, old):
        expect.refused_code(person.verify(otp, device))


@pytest.mark.parametrize("mode", ["broken", "unsigned", "other nonce", "other otp", "altered", "BACKEND_ERROR",
                                  "NOT_ENOUGH_ANSWERS", "REPLAYED_REQUEST", "NO_SUCH_CLIENT", "BAD_SIGNATURE"])
def test_whatever_cannot_be_believed_is_a_503_and_no_guess(serving, person, key, upstreams, mode):
    device = enrol(person, key)
    before = len(reasons(serving, person))
    for server in upstreams:
        server.mode = mode
    otp = key.at(1, 50, damage=1) if mode == "altered" else key.press()
    unavailable(person.verify(otp, device))
    started = expect.ok(person.challenge(device), 201)
    for _ in range(6):
        unavailable(person.answer(started["id"], key.at(1, 60, damage=1) if mode == "altered" else key.press()))
    for server in upstreams:
        server.mode = "honest"
    assert len(reasons(serving, person)) == before + 1
    # Six of them, and the verification is as open as before.
    expect.accepted(person.answer(started["id"], key.press()))


def test_the_next_server_is_asked_where_one_cannot_be_believed(person, key, upstreams):
    device = enrol(person, key)
    upstreams[0].mode = "unsigned"
    expect.accepted(person.verify(key.press(), device))
    assert len(upstreams[1].asked) == 1


def test_a_key_is_one_users_here_too(serving, key):
    owner, thief = serving.person(), serving.person()
    device = enrol(owner, key)
    made = expect.ok(thief.register(YUBIKEY), 201)
    expect.refused_code(thief.confirm(made["id"], key.press()))
    assert reasons(serving, thief)[0] == "not_its_owners"
    expect.accepted(owner.verify(key.press(), device))
    listed = serving.cli_json("yubikey", "list")
    assert [(it["user_id"], it["imported"]) for it in listed if it["public_id"] == key.public_id] == [(owner.id, False)]


def test_more_presses_in_a_minute_than_a_person_makes_are_a_429_and_no_guess(serving, person, key, upstreams):
    device = enrol(person, key)
    refusals = [person.verify(key.at(1, 0, damage=1), device).status_code for _ in range(30)]
    assert refusals[:20] == [401] * 20
    too_many = person.verify(key.press(), device)
    expect.too_many(too_many, 60)


def test_nothing_of_a_password_or_of_the_secret_is_logged(serving, person, key, upstreams):
    otps = [key.press()]
    made = expect.ok(person.register(YUBIKEY), 201)
    device = expect.ok(person.confirm(made["id"], otps[0]), 200)["device_id"]
    for mode in ("broken", "unsigned"):
        for server in upstreams:
            server.mode = mode
        otps.append(key.press())
        unavailable(person.verify(otps[-1], device))
    logs = serving.process.stdout_path.read_text() + serving.process.stderr_path.read_text()
    assert "validation server" in logs
    for needle in [*otps, *(otp[12:] for otp in otps), environment(upstreams)["FACTORD_FACTORS_YUBIKEY_SECRET"]]:
        assert needle not in logs


def test_without_a_way_to_check_them_yubikeys_are_not_offered(tmp_path):
    installation = Installation(tmp_path)
    installation.start()
    try:
        person = ready(installation)()
        expect.invalid(person.register(YUBIKEY), "factor_id")
        assert YUBIKEY not in [factor["factor_id"] for factor in expect.ok(person.factors(), 200)]
    finally:
        installation.discard()


def test_a_configuration_that_cannot_work_is_refused_at_the_start(tmp_path, upstreams):
    for wrong, word in [({"client_id": None}, "client_id"), ({"urls": []}, "urls"),
                        ({"urls": ["http://validation.example/verify"]}, "HTTPS"), ({"mode": "both"}, "mode")]:
        table = settings(upstreams, **wrong)["factors.yubikey"]
        table = {name: value for name, value in table.items() if value is not None}
        installation = Installation(tmp_path / word, **{"factors.yubikey": table})
        said = refused("serve", "--config", installation.config, env=environment(upstreams), cwd=tmp_path)
        assert f"factors.yubikey.{word if word != 'HTTPS' else 'urls'}" in said, said
