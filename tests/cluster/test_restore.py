"""A backup is put back: nothing that was used since works again, and what was taken away since stays away."""

import json
import subprocess

import pytest

from harness import expect
from harness.people import RECOVERY, Person
from harness.serve import run


@pytest.fixture
def lived(start_dev):
    """A server with people, backed up; and what happened afterwards."""
    server = start_dev()
    world = {"server": server}
    for name in ("keeps", "deleted", "suspended", "guessed", "stripped"):
        person = Person(server)
        world[name] = (person, person.enrol_totp())
    keeps, device = world["keeps"]
    world["recovery"] = expect.ok(keeps.register(RECOVERY), 201)
    world["token"] = expect.ok(keeps.temporary_token(), 201)["mfa_token"]
    world["bearer"] = server.api.token
    at = server.clock.fresh_step()
    world["open"] = expect.ok(keeps.challenge(device), 201)["id"]
    backup = server.data.parent / "backup.db"
    run("backup", backup, "--data", server.data)
    assert backup.stat().st_mode & 0o777 == 0o600

    world["code"] = device.code(at)
    expect.accepted(keeps.verify(world["code"], device))
    expect.accepted(keeps.verify(world["token"]))
    assert server.api.delete(f"/api/2/users/{world['deleted'][0].id}").status_code == 204
    expect.ok(world["suspended"][0].update(status=2), 200)
    person, device = world["guessed"]
    for n in range(5):
        expect.refused_code(person.verify(device.wrong(at, n), device))
    person, device = world["stripped"]
    assert person.remove(device.id).status_code == 204
    events = server.data.parent / "events.json"
    events.write_text(run("audit", "list", "--limit", "10000", "--output", "json", "--data", server.data))
    world.update(backup=backup, events=events, at=at)
    server.stop()
    for lost in server.data.glob("factord.db*"):
        lost.unlink()
    return world


def restore(world, *arguments):
    server = world["server"]
    done = json.loads(run("restore", "--from", world["backup"], *arguments, "--yes", "--data", server.data, "--output", "json"))
    server.restart()
    return done


def test_nothing_that_was_used_since_works_again(lived):
    done = restore(lived, "--audit", lived["events"])
    server = lived["server"]
    assert server.clock.now() - lived["at"] < 25, "too slow to say anything about the window"
    keeps, device = lived["keeps"]
    assert server.api.get("/api/2/users", token=lived["bearer"]).status_code == 401
    expect.refused_code(keeps.verify(lived["code"], device))
    expect.refused_code(keeps.verify(device.code(lived["at"], 1), device))
    expect.refused_code(keeps.verify(lived["token"]))
    assert expect.ok(keeps.poll(lived["open"]), 200)["status"] == "rejected"
    assert done["users"] == 5 and done["users_deleted"] == 1 and done["devices_deleted"] == 1
    assert done["users_suspended"] == 1 and done["devices_moved"] >= 3

    # Past the moment of restoring and the look-around the app works again.
    at = server.clock.fresh_step(3)
    expect.accepted(keeps.verify(device.code(at), device))
    assert expect.not_found(lived["deleted"][0].list_devices())
    person, device = lived["suspended"]
    expect.forbidden(person.challenge(device))
    person, device = lived["stripped"]
    assert person.device_ids() == []


def test_wrong_guesses_since_still_count(lived):
    restore(lived, "--audit", lived["events"])
    person, device = lived["guessed"]
    expect.delayed(person.verify(device.code(lived["server"].clock.now()), device))


def test_without_the_audit_events_the_operator_must_say_so(lived):
    server = lived["server"]
    refused = subprocess.run([*server.arguments[:1], "restore", "--from", lived["backup"], "--yes", "--data", server.data],
                             capture_output=True, text=True, timeout=30)
    assert refused.returncode == 2 and "--accept-lost-revocations" in refused.stderr, refused.stderr
    done = restore(lived, "--accept-lost-revocations")
    assert done["users_deleted"] == 0 and done["users"] == 5
    keeps, device = lived["keeps"]
    expect.refused_code(keeps.verify(lived["code"], device))


def test_a_restore_never_overwrites_a_database(lived):
    restore(lived, "--accept-lost-revocations")
    server = lived["server"]
    server.stop()
    refused = subprocess.run([*server.arguments[:1], "restore", "--from", lived["backup"], "--yes", "--data", server.data,
                              "--accept-lost-revocations"], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "holds a database" in refused.stderr, refused.stderr
    server.restart()
