"""Who may not get in at all, and what is left of a user who was deleted."""

import sqlite3
import subprocess

import pytest

from harness import expect
from harness.people import AUTHENTICATOR, EMAIL, SMS, Person, silence

INACTIVE = [{"status": 2}, {"status": 3}, {"state": 0}, {"state": 2}, {"state": 3}]
inactive = pytest.mark.parametrize("fields", INACTIVE, ids=str)


def test_a_new_user_is_approved_and_active(person):
    assert (person.user["state"], person.user["status"]) == (1, 1)


@inactive
def test_a_user_who_is_not_active_enrols_and_verifies_nothing(server, person, fields):
    device = person.enrol_totp()
    sms = person.enrol_sms()
    registration = expect.ok(person.register(EMAIL), 201)["id"]
    mail_code = person.message()["code"]
    verification, code = person.sms_challenge(sms)
    expect.ok(person.update(**fields), 200)
    at = server.clock.fresh_step()
    expect.forbidden(person.register(EMAIL))
    expect.forbidden(person.confirm(registration, mail_code))
    expect.forbidden(person.challenge(sms))
    expect.forbidden(person.answer(verification, code))
    expect.forbidden(person.verify(device.code(at), device))
    assert len(silence(server, person)) == 2


@inactive
def test_reading_still_answers_for_a_user_who_is_not_active(person, fields):
    device = person.enrol_sms()
    registration = expect.ok(person.register(EMAIL), 201)["id"]
    verification = expect.ok(person.challenge(device), 201)["id"]
    expect.ok(person.update(**fields), 200)
    assert person.device_ids() == [device.id]
    expect.ok(person.factors(), 200)
    expect.ok(person.registration(registration), 200)
    expect.ok(person.poll(verification), 200)


@pytest.mark.parametrize("fields", [{"status": 2}, {"status": 3}], ids=str)
def test_suspending_ends_what_is_open_for_good(person, fields):
    sms = person.enrol_sms()
    registration = expect.ok(person.register(EMAIL), 201)["id"]
    mail_code = person.message()["code"]
    verification, code = person.sms_challenge(sms)
    expect.ok(person.update(**fields), 200)
    assert expect.ok(person.poll(verification), 200)["status"] == "rejected"
    assert expect.ok(person.registration(registration), 200)["status"] == "rejected"
    expect.ok(person.update(status=1), 200)
    expect.refused_code(person.answer(verification, code))
    expect.refused_code(person.confirm(registration, mail_code))
    assert person.device_ids() == [sms.id]


def test_a_user_who_is_active_again_gets_in(person, clock):
    device = person.enrol_totp()
    expect.ok(person.update(status=2), 200)
    at = clock.fresh_step()
    for _ in range(6):
        expect.forbidden(person.verify(device.code(at), device))
    expect.ok(person.update(status=1), 200)
    expect.accepted(person.verify(device.code(at), device))


def test_a_user_can_be_made_suspended(server):
    person = Person(server, status=2)
    expect.forbidden(person.register(AUTHENTICATOR))


def test_the_code_of_a_suspended_user_is_audited_with_that_reason(person):
    device = person.enrol_totp()
    expect.ok(person.update(status=2), 200)
    expect.forbidden(person.verify("123456", device))
    newest = person.events()[0]
    assert "active" in newest["reason"].lower() or "suspended" in newest["reason"].lower(), newest


def test_not_there_comes_before_not_active(person):
    expect.ok(person.update(status=2), 200)
    expect.not_found(person.challenge("9999999"))
    expect.not_found(person.poll("00000000-0000-4000-8000-000000000000"))


def cells(server):
    """Every value of every table of the server's database, as text or bytes."""
    found = rows_of_postgres(server.database) if server.database else rows_of_sqlite(server.data)
    assert found, f"no database of {server.database or server.data}"
    return found


def rows_of_sqlite(data):
    """Read through SQLite itself, WAL included."""
    found = []
    for path in data.rglob("*"):
        if not path.is_file() or path.open("rb").read(15) != b"SQLite format 3":
            continue
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        tables = [row[0] for row in database.execute("select name from sqlite_master where type='table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                found += [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row if v is not None]
        database.close()
    return found


def rows_of_postgres(url):
    def ask(sql):
        command = ["psql", "-X", "-q", "-A", "-t", url, "-c", "SET bytea_output = 'escape'", "-c", sql]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()

    tables = ask("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
    return [line for table in tables for line in ask(f'SELECT * FROM "{table}"')]


def test_deleting_a_user_erases_the_person_and_keeps_the_audit_trail(server):
    person = Person(server, firstname="Zebulon", lastname="Quartermaine", username="zebulon@erased.example",
                    email="zebulon@erased.example", external_id="ext-zebulon-7", phone=server.phone())
    person.enrol_totp(name="Zebulons app")
    sms = person.enrol_sms(name="Zebulons mobile")
    started, code = person.sms_challenge(sms)
    expect.accepted(person.answer(started, code))
    pending = expect.ok(person.register(EMAIL, display_name="Zebulons mail"), 201)["id"]
    person.message()
    traces = ["ebulon", "Quartermaine", person.phone, person.phone[1:]]
    before = "\n".join(cells(server))
    assert "ebulon" in before, "the search would not find what is there"
    audit = person.events()
    assert audit

    expect.ok(person.api.delete(f"/api/2/users/{person.id}"), 204)
    expect.not_found(person.api.get(f"/api/2/users/{person.id}"))
    for response in (person.list_devices(), person.factors(), person.poll(started), person.registration(pending),
                     person.register(SMS), person.challenge(sms), person.verify(code, sms), person.temporary_token(),
                     person.remove(sms.id), person.api.delete(f"/api/2/users/{person.id}")):
        expect.not_found(response)
    assert expect.ok(person.api.get("/api/2/users", params={"email": person.email}), 200) == []
    after = "\n".join(cells(server))
    assert [t for t in traces if t in after] == []
    kept = {event["id"] for event in person.events()}
    assert {event["id"] for event in audit} <= kept
    assert "ebulon" not in str(person.events())


def test_the_id_of_a_deleted_user_is_not_given_out_again(server, people):
    person = people()
    expect.ok(person.api.delete(f"/api/2/users/{person.id}"), 204)
    assert people().id != person.id
