"""The audit trail: a line for every decision, its reason for support staff alone."""

import json

import pytest

from harness import expect, oath
from harness.people import EMAIL, SMS

FIELDS = {"id", "at", "user_id", "device_id", "action", "outcome", "reason", "count"}


def newest(person):
    return person.events()[0]


def test_events_have_the_documented_fields_newest_first(person):
    device = person.enrol_totp()
    expect.refused_code(person.verify("000", device))
    events = person.events()
    assert len(events) >= 2
    for event in events:
        assert set(event) == FIELDS
        assert event["user_id"] == person.id
        assert expect.TIME.match(event["at"])
    assert [e["at"] for e in events] == sorted((e["at"] for e in events), reverse=True)
    assert str(events[0]["device_id"]) == device.id


def test_every_decision_leaves_an_event_also_a_good_one(person, clock):
    steps = []

    def event_of(do):
        before = {e["id"] for e in person.events()}
        do()
        new = [e for e in person.events() if e["id"] not in before]
        assert new, "a decision without an event"
        steps.append(new[0])
        return new[0]

    made = {}
    event_of(lambda: made.update(expect.ok(person.register(SMS), 201)))
    code = person.message()["code"]
    refused = event_of(lambda: expect.refused_code(person.confirm(made["id"], oath.other(code))))
    good = event_of(lambda: expect.ok(person.confirm(made["id"], code), 200))
    assert refused["outcome"] != good["outcome"]
    assert refused["reason"] and "wrong" in refused["reason"].lower()
    event_of(lambda: expect.ok(person.challenge(made["device_id"]), 201))
    code = person.message()["code"]
    event_of(lambda: expect.accepted(person.verify(code, made["device_id"])))
    event_of(lambda: expect.ok(person.temporary_token(), 201))
    event_of(lambda: expect.ok(person.remove(made["device_id"]), 204))


def test_the_reason_is_in_the_trail_and_not_in_the_answer(people, clock):
    """Wrong, used, outside the window, expired, superseded: five reasons, one answer."""
    answers, reasons = {}, {}

    def refuse(name, person, response):
        expect.refused_code(response)
        answers[name] = response.json()
        reasons[name] = newest(person)["reason"].lower()

    person = people()
    device = person.enrol_totp()
    at = clock.fresh_step(5)
    refuse("wrong", person, person.verify(device.wrong(at), device))
    refuse("window", person, person.verify(device.code(at, 2), device))
    expect.accepted(person.verify(device.code(at), device))
    refuse("used", person, person.verify(device.code(at), device))

    person = people()
    sms = person.enrol_sms()
    older, code = person.sms_challenge(sms)
    newer, newer_code = person.sms_challenge(sms)
    refuse("superseded", person, person.answer(older, code))
    clock.advance(130)
    refuse("expired", person, person.answer(newer, newer_code))

    assert len({json.dumps(a, sort_keys=True) for a in answers.values()}) == 1, answers
    for name, reason in reasons.items():
        assert name in reason, (name, reason)
    assert len(set(reasons.values())) == 5


def test_a_code_for_somebody_elses_device_is_audited_as_such(people):
    owner, other = people(), people()
    device = owner.enrol_sms()
    before = len(other.events())
    expect.not_found(other.verify("123456", device))
    events = other.events()
    assert len(events) == before + 1
    assert "owner" in events[0]["reason"].lower() or "not_theirs" in events[0]["reason"].lower(), events[0]


def test_repeated_refusals_of_a_locked_device_are_one_event_with_a_count(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    for n in range(5):
        expect.refused_code(person.verify(device.wrong(at, n), device))
    before = len(person.events())
    for n in range(40):
        expect.delayed(person.verify(device.wrong(at, n), device))
    events = person.events()
    assert len(events) == before + 1
    assert events[0]["count"] == 40
    assert "throttled" in events[0]["reason"].lower() or "delayed" in events[0]["reason"].lower()


def test_repeated_refusals_of_a_disabled_device_are_one_event_too(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    for n in range(100):
        if n >= 5:
            clock.advance(901)
        expect.refused_code(person.verify(device.wrong(clock.now(), n), device))
    clock.advance(901)
    before = len(person.events())
    for _ in range(20):
        expect.forbidden(person.verify("000000", device))
    events = person.events()
    assert len(events) == before + 1
    assert events[0]["count"] == 20 and "disabled" in events[0]["reason"].lower()


def test_a_request_without_a_known_user_makes_no_event_but_a_metric(server, person):
    before = len(person.events())
    expect.bad_token(person.api.get(person.path("/devices"), token="nonsense"))
    expect.not_found(person.api.get("/api/2/mfa/users/999999999/devices"))
    assert len(person.events()) == before
    assert server.events(999999999) == []
    metrics = person.api.get("/metrics", token=None)
    assert metrics.status_code == 200
    assert any(not line.startswith("#") and line.strip() for line in metrics.text.splitlines())


def test_no_event_holds_a_code(person):
    made = expect.ok(person.register(EMAIL), 201)
    code = person.message()["code"]
    wrong = oath.other(code)
    expect.refused_code(person.confirm(made["id"], wrong))
    expect.ok(person.confirm(made["id"], code), 200)
    text = json.dumps([{k: v for k, v in e.items() if k not in ("id", "at")} for e in person.events()])
    assert code not in text and wrong not in text


@pytest.mark.parametrize("user", ["", "abc", "-1"])
def test_events_are_asked_for_one_user(server, user):
    import requests

    answer = requests.get(f"{server.url}/dev/events", params={"user_id": user}, timeout=10, proxies={"http": None})
    assert answer.status_code in (400, 422)
