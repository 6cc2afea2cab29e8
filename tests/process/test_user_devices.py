"""`factord user devices`: what support staff see when somebody cannot log in."""

import json

import pytest

from harness import expect
from harness.people import RECOVERY, Person
from harness.serve import Installation, refused, run


@pytest.fixture
def dev(start_dev):
    return start_dev()


def devices(server, person):
    return json.loads(run("user", "devices", person.id, "--data", server.data, "--output", "json"))


def test_each_device_says_what_it_is_and_whether_it_works(dev):
    person = Person(dev)
    assert devices(dev, person) == []
    app = person.enrol_totp()
    made = person.register(RECOVERY).json()
    codes = person.confirm(made["id"], None).json()["device_id"]
    shown = {device["factor"]: device for device in devices(dev, person)}
    assert shown["authenticator"]["device_id"] == app.id and shown["authenticator"]["state"] == "working"
    assert shown["recovery_codes"]["detail"] == "10 of 10 codes left"
    assert shown["recovery_codes"]["device_id"] == codes
    for salt in range(5):
        expect.refused_code(person.verify(app.wrong(dev.clock.now(), salt), app.id))
    delayed = devices(dev, person)[0]
    assert (delayed["state"], delayed["failures"]) == ("delayed", 5) and 0 < delayed["delay"] <= 30
    table = run("user", "devices", person.id, "--data", dev.data)
    assert table.splitlines()[0].split() == ["ID", "FACTOR", "NAME", "DETAIL", "STATE", "FAILURES", "CREATED"]
    assert "10 of 10 codes left" in table and app.secret not in table


def test_a_stranger_has_none_and_nobody_is_invented(dev):
    assert "no user is called" in refused("user", "devices", "nobody@people.example", "--data", dev.data)


def test_a_factor_that_the_policy_disables_is_said_to_be(tmp_path):
    one = Installation(tmp_path / "one")
    one.start()
    try:
        api = one.api()
        user = api.post("/api/2/users", {"username": "ada"}).json()["id"]
        made = api.post(f"/api/2/mfa/users/{user}/registrations", {"factor_id": 58965, "display_name": "Paper"}).json()
        api.put(f"/api/2/mfa/users/{user}/registrations/{made['id']}", {})
        assert one.cli_json("user", "devices", "ada")[0]["state"] == "working"
        one.settings["policy"] = {"disabled": ["recovery_codes"]}
        one.write()
        assert one.cli_json("user", "devices", "ada")[0]["state"] == "factor disabled"
    finally:
        one.discard()
