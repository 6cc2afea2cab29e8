"""YubiKeys whose passwords we check ourselves: imported by the command line while the server runs, pressed by a key that is
written here."""

import json

import pytest

from harness import expect
from harness.people import SMS, YUBIKEY
from harness.serve import refused, run
from harness.yubico import DVORAK, Yubikey


@pytest.fixture
def bring_in(server, tmp_path):
    """Imports keys, as an administrator does."""

    def bring_in(*keys):
        path = tmp_path / "keys.csv"
        path.write_text("".join(f"{key.line()}\n" for key in keys))
        return run("yubikey", "import", path, *server.storage_flags())

    return bring_in


@pytest.fixture
def key(bring_in):
    key = Yubikey()
    bring_in(key)
    return key


def register(person):
    return expect.ok(person.register(YUBIKEY, display_name="key"), 201)


def enrol(person, key):
    made = register(person)
    assert "factor_data" not in made or not made["factor_data"]
    return expect.ok(person.confirm(made["id"], key.press()), 200)["device_id"]


def test_one_press_enrols_and_each_press_lets_in_once(person, key):
    device = enrol(person, key)
    [listed] = person.devices()
    assert (listed["device_id"], listed["auth_factor_name"], listed["type_display_name"]) == (device, "YubiKey", "YubiKey")
    for _ in range(3):
        otp = key.press()
        expect.accepted(person.verify(otp, device))
        expect.refused_code(person.verify(otp, device))
        key.plug_in()
    started = expect.ok(person.challenge(device), 201)
    expect.accepted(person.answer(started["id"], key.press().upper()))
    assert expect.ok(person.poll(started["id"]), 200)["status"] == "accepted"
    started = expect.ok(person.challenge(device), 201)
    expect.accepted(person.verify(key.press()))
    assert expect.ok(person.poll(started["id"]), 200)["status"] == "accepted"


def test_the_press_that_enrolled_lets_nobody_in(person, key):
    made = register(person)
    otp = key.press()
    device = expect.ok(person.confirm(made["id"], otp), 200)["device_id"]
    expect.refused_code(person.verify(otp, device))


def test_every_bad_press_is_refused_alike_counted_and_in_the_trail(person, key, bring_in):
    other = Yubikey()
    bring_in(other)
    device = enrol(person, key)
    key.session = 10
    expect.accepted(person.verify(key.press(), device))
    right = key.at(11, 0)
    bad = {
        "counters that go back": (key.at(9, 200), "used"),
        "the same counters anew": (key.at(10, 0), "used"),
        "another checksum": (key.at(11, 0, damage=1), "wrong"),
        "another private id": (key.at(11, 0, private_id=b"\0" * 6), "wrong"),
        "another key that is known": (other.press(), "not_its_owners"),
        "a key that nobody knows": (Yubikey().press(), "not_its_owners"),
        "no modhex": ("a" * 44, "wrong"),
        "a keyboard set to Dvorak": (right.translate(DVORAK), "wrong"),
        "too short": (right[:-1], "wrong"),
        "too long": (right + "c", "wrong"),
        "a letter changed": (right[:-1] + ("b" if right[-1] == "c" else "c"), "wrong"),
        "another alphabet": ("\u0441" * 44, "wrong"),
    }
    for what, (otp, reason) in bad.items():
        expect.refused_code(person.verify(otp, device))
        newest = person.events()[0]
        assert (newest["action"], newest["reason"], newest["device_id"]) == ("complete_verification", reason, device), what
    # Twelve wrong ones, and the owner is not barred.
    expect.accepted(person.verify(right, device))


def test_five_wrong_presses_end_the_verification(person, key):
    device = enrol(person, key)
    started = expect.ok(person.challenge(device), 201)
    for session in range(5):
        expect.refused_code(person.answer(started["id"], key.at(5, session, damage=7)))
    assert expect.ok(person.poll(started["id"]), 200)["status"] == "rejected"
    expect.refused_code(person.answer(started["id"], key.press()))


def test_a_key_of_somebody_else_reads_like_one_that_nobody_knows(people, key):
    owner, thief = people(), people()
    device = enrol(owner, key)
    made = register(thief)
    stolen, unknown = thief.confirm(made["id"], key.press()), thief.confirm(made["id"], Yubikey().press())
    assert expect.refused_code(stolen) == expect.refused_code(unknown)
    assert [event["reason"] for event in thief.events()[:2]] == ["not_its_owners"] * 2 or thief.events()[0]["count"] == 2
    assert thief.devices() == []
    for _ in range(3):
        expect.refused_code(thief.confirm(made["id"], key.press()))
    assert expect.ok(thief.registration(made["id"]), 200)["status"] == "rejected"
    expect.accepted(owner.verify(key.press(), device))


def test_a_deleted_key_is_free_and_its_counters_are_not_forgotten(people, key):
    first, second = people(), people()
    device = enrol(first, key)
    used = key.press()
    expect.accepted(first.verify(used, device))
    expect.ok(first.remove(device), 204)
    made = register(second)
    expect.refused_code(second.confirm(made["id"], used))
    expect.ok(second.confirm(made["id"], key.press()), 200)


def test_a_deleted_user_gives_the_key_back(people, key, server):
    first, second = people(), people()
    enrol(first, key)
    expect.ok(server.api.delete(f"/api/2/users/{first.id}"), 204)
    enrol(second, key)


def test_keys_stand_side_by_side_up_to_five(person, bring_in):
    keys = [Yubikey() for _ in range(5)]
    bring_in(*keys)
    devices = [enrol(person, key) for key in keys]
    for key, device in zip(keys, devices):
        expect.accepted(person.verify(key.press(), device))
    expect.invalid(person.register(YUBIKEY), "factor_id")


def test_guesses_of_short_codes_do_not_bar_the_key(person, key):
    device = enrol(person, key)
    sms = person.enrol_sms()
    for _ in range(6):
        person.verify("000000", sms)
    expect.delayed(person.verify("000000", sms))
    expect.accepted(person.verify(key.press(), device))


def test_a_temporary_token_stands_in_for_the_key(person, key):
    device = enrol(person, key)
    token = expect.ok(person.temporary_token(), 201)["mfa_token"]
    expect.accepted(person.verify(token, device))


def test_an_import_is_all_or_nothing_and_names_the_line(server, bring_in, tmp_path, person):
    known, new = Yubikey(), Yubikey()
    bring_in(known)
    flags = server.storage_flags()
    path = tmp_path / "bad.csv"
    bad = {
        f"# keys\n\n{new.line()}\n{known.line()}\n": ("line 4", known.public_id),
        f"{new.line()}\n{new.line()}\n": ("line 2", "line 1 too"),
        f"{new.line()}\n1,2,3\n": ("line 2", "expected"),
        f"{new.line()}\n1,{new.public_id[:-1]}a,{'0' * 12},{'0' * 32}\n": ("line 2", "modhex"),
        f"{new.line()}\n1,{Yubikey().public_id},{'0' * 11},{'0' * 32}\n": ("line 2", "private id"),
        f"{new.line()}\n1,{Yubikey().public_id},{'0' * 12},{'z' * 32}\n": ("line 2", "AES key"),
        "serial,public id,private id,AES key\n": ("nothing in it",),
    }
    for text, words in bad.items():
        path.write_text(text)
        said = refused("yubikey", "import", path, *flags)
        assert all(word in said for word in words), said
        assert new.key.hex() not in said and known.key.hex() not in said
    listed = json.loads(run("yubikey", "list", "--output", "json", *flags))
    public_ids = [it["public_id"] for it in listed]
    assert known.public_id in public_ids and new.public_id not in public_ids
    assert "no such file" in refused("yubikey", "import", tmp_path / "none.csv", *flags).lower()

    device = enrol(person, known)
    [mine] = [it for it in json.loads(run("yubikey", "list", "--output", "json", *flags)) if it["public_id"] == known.public_id]
    assert (mine["user_id"], mine["device_id"], mine["imported"]) == (person.id, device, True)


def test_no_aes_key_rests_in_the_clear(server, key, person):
    enrol(person, key)
    if server.database is not None:
        pytest.skip("the files are the database server's")
    files = [path for path in server.data.iterdir() if path.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    assert key.public_id.encode() in held
    for secret in (key.key, key.private_id):
        assert secret not in held and secret.hex().encode() not in held


def test_a_key_is_no_factor_for_which_something_is_sent(person):
    expect.invalid(person.register(YUBIKEY, verified=True), "verified")
    expect.ok(person.register(SMS), 201)
