"""The temporary MFA token: eight digits that stand in for a code, for a while."""

import re

import pytest

from harness import expect, oath
from harness.people import AUTHENTICATOR, SMS
from harness.server import epoch


def token_of(person, **fields):
    return expect.ok(person.temporary_token(**fields), 201)


def test_a_token_has_eight_digits_a_device_and_an_end(person, clock):
    now = clock.now()
    made = token_of(person)
    assert set(made) == {"mfa_token", "expires_at", "reusable", "device_id"}
    assert re.fullmatch(r"\d{8}", made["mfa_token"])
    assert re.fullmatch(r"user_temp_otp_\d+", made["device_id"])
    assert made["reusable"] is False
    assert expect.TIME.match(made["expires_at"])
    assert now + 259200 <= epoch(made["expires_at"]) <= clock.now() + 259201


def test_the_body_may_be_empty(person):
    response = person.api.call("POST", person.path("/mfa_token"), body=b"", headers={"Content-Type": "application/json"})
    assert re.fullmatch(r"\d{8}", expect.ok(response, 201)["mfa_token"])


@pytest.mark.parametrize("lifetime", [120, "120", 3600, 259200, "259200"])
def test_expires_in_is_kept_to_the_second(person, clock, lifetime):
    now = clock.now()
    made = token_of(person, expires_in=lifetime)
    assert now + int(lifetime) <= epoch(made["expires_at"]) <= clock.now() + int(lifetime) + 1


@pytest.mark.parametrize("lifetime", [119, "119", 0, -5, 259201, "259201", 2**40])
def test_expires_in_outside_its_bounds_is_refused(person, lifetime):
    expect.invalid(person.temporary_token(expires_in=lifetime), "expires_in")
    assert person.devices() == []


@pytest.mark.parametrize("given, shown", [(True, True), (False, False), ("true", True), ("false", False), (None, False)])
def test_reusable_is_a_boolean_or_its_name(person, given, shown):
    assert token_of(person, reusable=given)["reusable"] is shown


@pytest.mark.parametrize("given", ["yes", 1, [], {}])
def test_reusable_that_is_neither_is_a_bad_request(person, given):
    response = person.temporary_token(reusable=given)
    # "yes" has an accepted JSON type and a value that is not allowed; the others have a wrong type.
    if given == "yes":
        assert response.status_code in (400, 422), expect.story(response)
    else:
        expect.bad_request(response, "reusable")


def test_at_most_three_are_alive_and_a_fourth_is_refused(person, clock):
    made = [token_of(person, expires_in=120), token_of(person), token_of(person)]
    # The contract asks for the parameters' names; no parameter of this request is at fault, so any list will do.
    body = expect.error(person.temporary_token(), 422, "ValidationError")
    assert isinstance(body["details"]["parameters"], list)
    assert sorted(person.device_ids()) == sorted(m["device_id"] for m in made)
    clock.advance(121)
    token_of(person)


def test_using_or_deleting_one_makes_room(person):
    made = [token_of(person) for _ in range(3)]
    expect.accepted(person.verify(made[0]["mfa_token"]))
    made.append(token_of(person))
    expect.error(person.temporary_token(), 422, "ValidationError")
    expect.ok(person.remove(made[1]["device_id"]), 204)
    token_of(person)


def test_a_token_is_listed_as_a_device_until_it_ends(person, clock):
    made = token_of(person, expires_in=120)
    [listed] = person.devices()
    assert listed["device_id"] == made["device_id"]
    assert listed["auth_factor_name"] == "Temporary MFA Token"
    assert set(listed) >= {"device_id", "user_display_name", "type_display_name", "auth_factor_name", "default"}
    assert made["mfa_token"] not in str(listed)
    clock.advance(121)
    assert person.devices() == []


def test_a_token_is_good_until_its_lifetime_ends_and_not_after(people, clock):
    person = people()
    made = token_of(person, expires_in=120, reusable=True)
    clock.advance(epoch(made["expires_at"]) - clock.now() - 3)
    expect.accepted(person.verify(made["mfa_token"]))
    clock.advance(4)
    expect.refused_code(person.verify(made["mfa_token"]))


def test_a_token_works_once_and_is_no_device_afterwards(person):
    made = token_of(person)
    expect.accepted(person.verify(made["mfa_token"]))
    assert person.devices() == []
    expect.refused_code(person.verify(made["mfa_token"]))


def test_a_reusable_token_works_until_it_ends(person):
    made = token_of(person, reusable=True)
    for _ in range(4):
        expect.accepted(person.verify(made["mfa_token"]))
    assert person.device_ids() == [made["device_id"]]


def test_a_token_stands_in_for_the_code_of_any_factor(person, clock):
    totp, sms, email = person.enrol_totp(), person.enrol_sms(), person.enrol_email()
    made = token_of(person, reusable=True)
    for device in (totp, sms, email):
        started = expect.ok(person.challenge(device), 201)["id"]
        expect.accepted(person.answer(started, made["mfa_token"]))
        polled = expect.ok(person.poll(started), 200)
        assert polled["status"] == "accepted"


def test_a_token_stands_in_when_the_device_is_named_too(person):
    sms = person.enrol_sms()
    made = token_of(person)
    expect.accepted(person.verify(made["mfa_token"], sms))


def test_a_single_use_token_does_not_finish_two_verifications(person):
    sms, email = person.enrol_sms(), person.enrol_email()
    made = token_of(person)
    first = expect.ok(person.challenge(sms), 201)["id"]
    second = expect.ok(person.challenge(email), 201)["id"]
    expect.accepted(person.answer(first, made["mfa_token"]))
    expect.refused_code(person.answer(second, made["mfa_token"]))
    assert expect.ok(person.poll(second), 200)["status"] == "pending"


def test_a_token_never_confirms_a_registration(person, clock):
    made = token_of(person, reusable=True)
    sms = expect.ok(person.register(SMS), 201)
    expect.refused_code(person.confirm(sms["id"], made["mfa_token"]))
    totp = expect.ok(person.register(AUTHENTICATOR), 201)
    expect.refused_code(person.confirm(totp["id"], made["mfa_token"]))
    assert person.device_ids() == [made["device_id"]]


def test_a_deleted_token_is_refused(person):
    made = token_of(person, reusable=True)
    expect.ok(person.remove(made["device_id"]), 204)
    assert person.devices() == []
    expect.refused_code(person.verify(made["mfa_token"]))
    expect.not_found(person.remove(made["device_id"]))


def test_a_token_of_another_user_is_a_wrong_code(people):
    owner, thief = people(), people()
    made = token_of(owner)
    expect.refused_code(thief.verify(made["mfa_token"]))
    expect.not_found(thief.remove(made["device_id"]))
    expect.accepted(owner.verify(made["mfa_token"]))


def test_a_challenge_for_a_token_without_an_otp_is_refused(person):
    made = token_of(person)
    expect.invalid(person.challenge(made["device_id"]), "otp")


def test_a_token_named_as_the_device_is_verified_at_once(person):
    made = token_of(person)
    expect.accepted(person.verify(made["mfa_token"], made["device_id"]))


def test_a_number_is_padded_to_the_eight_digits_of_a_token(people):
    for _ in range(100):
        person = people()
        made = token_of(person)
        if made["mfa_token"].startswith("0"):
            expect.accepted(person.verify(int(made["mfa_token"])))
            return
    raise AssertionError("no token of 100 began with 0: the draw is not uniform")


def test_a_number_is_one_guess_although_it_is_padded_to_both_lengths(person, clock):
    totp = person.enrol_totp()
    token_of(person)
    at = clock.fresh_step()
    wrong = int(totp.wrong(at, 3))
    for _ in range(4):
        expect.refused_code(person.verify(wrong, totp))
    # Four guesses so far, not eight: nobody is held back.
    expect.accepted(person.verify(totp.code(at), totp))


def test_wrong_tokens_are_held_back_like_any_guess(person):
    made = token_of(person, reusable=True)
    for n in range(1, 6):
        expect.refused_code(person.verify(oath.other(made["mfa_token"], n)))
    expect.delayed(person.verify(made["mfa_token"]), 30)


def test_a_token_resent_after_its_use_is_no_guess(person):
    # "The code that a device accepted last, sent again (the SDK resends), is refused and audited but is not a guess":
    # read literally, a temporary token is a device that accepted this code last.
    used = token_of(person)
    other = token_of(person)
    expect.accepted(person.verify(used["mfa_token"]))
    for _ in range(6):
        expect.refused_code(person.verify(used["mfa_token"]))
    expect.accepted(person.verify(other["mfa_token"]))


def test_a_token_survives_a_restart(start_dev):
    from harness.people import Person

    server = start_dev()
    person = Person(server)
    made = token_of(person)
    server.stop()
    server.restart()
    assert person.device_ids() == [made["device_id"]]
    expect.accepted(person.verify(made["mfa_token"]))
    server.stop()
    server.restart()
    expect.refused_code(person.verify(made["mfa_token"]))
