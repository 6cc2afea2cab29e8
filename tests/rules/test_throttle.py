"""Wrong codes: five end what they were tried on, delays grow, a hundred disable for good."""

import pytest

from harness import expect, oath
from harness.people import AUTHENTICATOR, EMAIL, SMS

DELAYS = [30, 60, 120, 240, 480, 900, 900, 900]


def fail(person, device, times, clock):
    """So many wrong codes at once, all looked at."""
    now = clock.now()
    for n in range(times):
        expect.refused_code(person.verify(device.wrong(now, n), device))


def test_five_wrong_codes_reject_the_verification(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    for n in range(1, 5):
        expect.refused_code(person.answer(started, oath.other(code, n)))
        assert expect.ok(person.poll(started), 200)["status"] == "pending"
    expect.refused_code(person.answer(started, oath.other(code, 5)))
    polled = expect.ok(person.poll(started), 200)
    assert polled["status"] == "rejected"
    assert polled.get("reason") != "expired"


def test_the_right_code_does_not_revive_a_rejected_verification(person, clock):
    device = person.enrol_sms()
    started = expect.ok(person.challenge(device, expires_in=900), 201)["id"]
    code = person.message()["code"]
    for n in range(1, 6):
        expect.refused_code(person.answer(started, oath.other(code, n)))
    expect.delayed(person.answer(started, code), 30)
    clock.advance(31)
    expect.refused_code(person.answer(started, code))
    assert expect.ok(person.poll(started), 200)["status"] == "rejected"


def test_five_wrong_codes_reject_a_registration_too(person, clock):
    made = expect.ok(person.register(SMS, expires_in=900), 201)
    code = person.message()["code"]
    for n in range(1, 6):
        expect.refused_code(person.confirm(made["id"], oath.other(code, n)))
    assert expect.ok(person.registration(made["id"]), 200)["status"] == "rejected"
    clock.advance(31)
    expect.refused_code(person.confirm(made["id"], code))
    assert person.devices() == []


def test_wrong_codes_of_a_registration_count_for_the_user(person):
    device = person.enrol_sms()
    made = expect.ok(person.register(EMAIL), 201)
    code = person.message()["code"]
    for n in range(1, 6):
        expect.refused_code(person.confirm(made["id"], oath.other(code, n)))
    # The SMS device itself never failed: what holds it back is the user's count.
    expect.delayed(person.challenge(device), 30)


def test_the_fifth_failure_locks_the_device_for_30_seconds(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    fail(person, device, 5, clock)
    expect.delayed(person.verify(device.code(at), device), 30)


def test_a_code_is_not_looked_at_while_the_device_is_locked(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step(3)
    fail(person, device, 5, clock)
    code = device.code(at, 1)
    for _ in range(3):
        expect.delayed(person.verify(code, device))
    clock.advance(31)
    # Refused above without being looked at, so it is neither used nor a failure: now it is taken.
    expect.accepted(person.verify(code, device))


def test_the_delay_doubles_to_15_minutes_and_each_look_costs_one_failure(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    fail(person, device, 4, clock)
    for salt, delay in enumerate(DELAYS, start=5):
        expect.refused_code(person.verify(device.wrong(clock.now(), salt), device))
        expect.delayed(person.verify("000000", device), delay)
        clock.advance(delay - 5)
        remaining = expect.delayed(person.verify("000000", device))
        assert 1 <= remaining <= 5
        clock.advance(6)


def test_a_success_after_the_delay_clears_the_count(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    fail(person, device, 5, clock)
    at = clock.fresh_step(2)
    expect.accepted(person.verify(device.code(at), device))
    fail(person, device, 4, clock)
    expect.accepted(person.verify(device.code(at, 1), device))


def test_a_new_challenge_clears_nothing(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    for n in range(4):
        started = expect.ok(person.challenge(device), 201)["id"]
        expect.refused_code(person.answer(started, device.wrong(clock.now(), n)))
    started = expect.ok(person.challenge(device), 201)["id"]
    expect.refused_code(person.answer(started, device.wrong(clock.now(), 9)))
    expect.delayed(person.answer(started, device.wrong(clock.now(), 10)), 30)


def test_a_resend_clears_nothing(person):
    device = person.enrol_sms()
    for n in range(1, 5):
        started, code = person.sms_challenge(device)
        expect.refused_code(person.answer(started, oath.other(code, n)))
    started, code = person.sms_challenge(device)
    expect.refused_code(person.answer(started, oath.other(code)))
    expect.delayed(person.answer(started, code), 30)


def test_while_locked_a_challenge_is_refused_and_nothing_is_sent(server, person, clock):
    from harness.people import silence

    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    for n in range(1, 6):
        expect.refused_code(person.answer(started, oath.other(code, n)))
    expect.delayed(person.challenge(device), 30)
    assert len(silence(server, person)) == 1
    clock.advance(31)
    expect.ok(person.challenge(device), 201)


def test_failures_over_several_devices_delay_the_user(person, clock):
    totp, sms = person.enrol_totp(), person.enrol_sms()
    at = clock.fresh_step()
    started, code = person.sms_challenge(sms)
    expect.refused_code(person.answer(started, oath.other(code, 1)))
    expect.refused_code(person.answer(started, oath.other(code, 2)))
    fail(person, totp, 3, clock)
    expect.delayed(person.answer(started, code), 30)
    expect.delayed(person.verify(totp.code(at), totp), 30)
    clock.advance(31)
    expect.accepted(person.answer(started, code))


def test_another_user_is_not_delayed(people, clock):
    attacked, bystander = people(), people()
    device = attacked.enrol_totp()
    other = bystander.enrol_totp()
    at = clock.fresh_step()
    fail(attacked, device, 5, clock)
    expect.delayed(attacked.verify("000000", device))
    expect.accepted(bystander.verify(other.code(at), other))


def test_a_success_clears_only_the_device_that_was_used_and_the_users_delay(person, clock):
    totp, sms = person.enrol_totp(), person.enrol_sms()
    at = clock.fresh_step()
    started, code = person.sms_challenge(sms)
    for n in range(1, 5):
        expect.refused_code(person.answer(started, oath.other(code, n)))
    expect.accepted(person.verify(totp.code(at), totp))
    # The SMS device stands at 4, the user at 0: one more failure locks that device and not the user.
    started, code = person.sms_challenge(sms)
    expect.refused_code(person.answer(started, oath.other(code)))
    expect.delayed(person.answer(started, code), 30)
    expect.accepted(person.verify(totp.code(at, 1), totp))
    expect.delayed(person.answer(started, code))


def test_a_code_counts_against_every_device_that_it_was_compared_with(person, clock):
    totp, sms = person.enrol_totp(), person.enrol_sms()
    at = clock.fresh_step()
    by_totp = expect.ok(person.challenge(totp), 201)["id"]
    by_sms, code = person.sms_challenge(sms)
    wrong = next(w for w in (totp.wrong(at, n) for n in range(9)) if w != code)
    for _ in range(4):
        expect.refused_code(person.verify(wrong))
    expect.accepted(person.answer(by_totp, totp.code(at)))
    # The success cleared the user and the Authenticator; the SMS device still stands at 4.
    expect.refused_code(person.answer(by_sms, oath.other(code)))
    expect.delayed(person.answer(by_sms, code), 30)
    expect.accepted(person.verify(totp.code(at, 1), totp))


@pytest.mark.parametrize("bad", ["12345", "1234567", "123456789", "１２３４５６", " 123456", "123456 ", "12 3456", "abcdef", ""])
def test_a_code_of_a_wrong_length_or_alphabet_is_wrong_and_counted(person, clock, bad):
    device = person.enrol_totp()
    clock.fresh_step()
    for _ in range(5):
        expect.refused_code(person.verify(bad, device))
    expect.delayed(person.verify(bad, device), 30)


@pytest.mark.parametrize("dress", [" {}", "{} ", "\t{}", "{}\n"])
def test_blanks_around_the_right_code_make_it_wrong(person, clock, dress):
    device = person.enrol_totp()
    at = clock.fresh_step()
    code = device.code(at)
    expect.refused_code(person.verify(dress.format(code), device))
    expect.accepted(person.verify(code, device))


def test_full_width_digits_of_the_right_code_are_wrong(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    code = device.code(at)
    wide = "".join(chr(ord("０") + int(d)) for d in code)
    expect.refused_code(person.verify(wide, device))
    expect.accepted(person.verify(code, device))


def test_the_last_accepted_code_sent_again_is_refused_but_is_no_guess(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    code = device.code(at)
    started = expect.ok(person.challenge(device), 201)["id"]
    expect.accepted(person.answer(started, code))
    for _ in range(8):
        expect.refused_code(person.answer(started, code))
        expect.refused_code(person.verify(code, device))
    fail(person, device, 4, clock)
    expect.accepted(person.verify(device.code(at, 1), device))


def test_the_last_accepted_sms_code_sent_again_is_no_guess_either(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    expect.accepted(person.answer(started, code))
    for _ in range(8):
        expect.refused_code(person.answer(started, code))
    started, code = person.sms_challenge(device)
    expect.accepted(person.answer(started, code))


def test_a_replay_is_audited_as_used(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    code = device.code(at)
    expect.accepted(person.verify(code, device))
    expect.refused_code(person.verify(code, device))
    assert "used" in person.events()[0]["reason"].lower() or "replay" in person.events()[0]["reason"].lower()


def test_while_locked_a_replay_is_not_looked_at_either(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    code = device.code(at)
    expect.accepted(person.verify(code, device))
    fail(person, device, 5, clock)
    expect.delayed(person.verify(code, device), 30)


def test_a_used_code_that_is_not_the_last_accepted_one_is_a_guess(person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step(3)
    older = device.code(at, -1)
    expect.accepted(person.verify(older, device))
    expect.accepted(person.verify(device.code(at), device))
    for _ in range(5):
        expect.refused_code(person.verify(older, device))
    expect.delayed(person.verify(older, device), 30)


def test_a_hundred_consecutive_failures_disable_the_device_for_good(server, person, clock):
    device = person.enrol_totp()
    sms = person.enrol_sms()
    clock.fresh_step()
    fail(person, device, 5, clock)
    for n in range(6, 101):
        # 15 minutes is the longest delay of all.
        clock.advance(901)
        expect.refused_code(person.verify(device.wrong(clock.now(), n), device))
    at = clock.fresh_step(40)
    expect.forbidden(person.verify(device.code(at), device))
    expect.forbidden(person.challenge(device))
    assert device.id in person.device_ids(), "a disabled device stays listed"
    clock.advance(10 * 86400)
    at = clock.fresh_step()
    expect.forbidden(person.verify(device.code(at), device))
    # The owner still gets in with the other device, and even that does not bring the first one back.
    started, code = person.sms_challenge(sms)
    expect.accepted(person.answer(started, code))
    expect.forbidden(person.verify(device.code(at), device))
    reasons = [e["reason"] for e in person.events() if e["reason"]]
    assert any("disabled" in reason.lower() for reason in reasons), reasons[:5]
    # It can only be deleted and enrolled anew.
    expect.invalid(person.register(AUTHENTICATOR), "factor_id")
    expect.ok(person.remove(device.id), 204)
    again = person.enrol_totp()
    at = clock.fresh_step()
    expect.accepted(person.verify(again.code(at), again))


def test_ninety_nine_failures_do_not_disable(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    fail(person, device, 5, clock)
    for n in range(6, 100):
        clock.advance(901)
        expect.refused_code(person.verify(device.wrong(clock.now(), n), device))
    at = clock.fresh_step(40)
    expect.accepted(person.verify(device.code(at), device))


def test_the_count_survives_a_restart(start_dev):
    from harness.people import Person

    server = start_dev()
    person = Person(server)
    device = person.enrol_totp()
    server.clock.fresh_step()
    fail(person, device, 3, server.clock)
    server.stop()
    server.restart()
    fail(person, device, 2, server.clock)
    expect.delayed(person.verify("000000", device), 30)
    server.stop()
    server.restart()
    expect.delayed(person.verify("000000", device))


def test_deleting_and_enrolling_anew_does_not_clear_the_users_delay(person, clock):
    device = person.enrol_totp()
    clock.fresh_step()
    fail(person, device, 5, clock)
    expect.ok(person.remove(device.id), 204)
    sms = person.enrol_sms()
    expect.delayed(person.challenge(sms), 30)


def test_a_delay_holds_back_no_email_registration_made_with_verified(person, clock):
    # Enrolling with `verified` compares nothing that can be guessed, and delays hold back guessable comparisons only.
    device = person.enrol_totp()
    clock.fresh_step()
    fail(person, device, 5, clock)
    made = expect.ok(person.register(EMAIL, verified=True), 201)
    assert made["status"] == "accepted"
