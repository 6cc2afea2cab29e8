"""What a user has and may still have; what the end of a device and the end of a verification mean."""

import pytest

from harness import expect
from harness.people import AUTHENTICATOR, EMAIL, SMS

TABLE = {
    58957: ("Authenticator", "Google Authenticator"),
    58959: ("OneLogin SMS", "SMS"),
    58961: ("OneLogin Email", "OneLogin Email"),
}
EVERY_ID = range(58957, 58966)


def factors(person):
    listed = expect.ok(person.factors(), 200)
    assert isinstance(listed, list)
    return {f["factor_id"]: f for f in listed}


def test_the_factors_are_those_of_the_contracts_table(person):
    listed = factors(person)
    for ident, (name, internal) in TABLE.items():
        assert listed[ident] == {"factor_id": ident, "name": name, "auth_factor_name": internal}
    assert set(listed) <= set(EVERY_ID)


def test_a_factor_that_is_enrolled_is_left_out_until_its_device_is_deleted(person):
    device = person.enrol_sms()
    assert SMS not in factors(person)
    assert AUTHENTICATOR in factors(person) and EMAIL in factors(person)
    expect.ok(person.remove(device.id), 204)
    assert SMS in factors(person)


def test_a_pending_registration_leaves_the_factor_in_the_list(person):
    expect.ok(person.register(SMS), 201)
    assert SMS in factors(person)


def test_a_disabled_factor_is_an_unknown_one(person):
    disabled = [ident for ident in EVERY_ID if ident not in factors(person)]
    for ident in disabled:
        expect.invalid(person.register(ident), "factor_id")
    assert person.devices() == []


@pytest.mark.parametrize("ident", [0, -1, 1, 58956, 2**40, "58956", "-1"])
def test_an_unknown_factor_is_refused(person, ident):
    expect.invalid(person.register(ident), "factor_id")


def test_a_second_factor_of_the_same_kind_is_refused(person, clock):
    person.enrol_sms(), person.enrol_email(), person.enrol_totp()
    for factor in (SMS, EMAIL, AUTHENTICATOR):
        expect.invalid(person.register(factor), "factor_id")
    expect.invalid(person.register(SMS, verified=True), "factor_id")
    assert len(person.devices()) == 3


def test_the_oldest_device_is_the_default_one(person):
    first, second, third = person.enrol_email(), person.enrol_sms(), person.enrol_totp()

    def default():
        return [d["device_id"] for d in person.devices() if d["default"]]

    assert default() == [first.id]
    expect.ok(person.remove(second.id), 204)
    assert default() == [first.id]
    expect.ok(person.remove(first.id), 204)
    assert default() == [third.id]
    again = person.enrol_sms()
    assert default() == [third.id] and again.id in person.device_ids()


def test_devices_are_shown_as_the_contract_says(person):
    device = person.enrol_sms(name="My mobile")
    [shown] = person.devices()
    assert shown == {
        "device_id": device.id, "user_display_name": "My mobile", "type_display_name": shown["type_display_name"],
        "auth_factor_name": "SMS", "default": True,
    }
    assert isinstance(shown["device_id"], str) and shown["device_id"].isdigit()
    assert shown["type_display_name"].strip()


def test_a_registration_is_shown_as_the_contract_says(person):
    made = expect.ok(person.register(SMS, display_name="My mobile"), 201)
    shown = expect.ok(person.registration(made["id"]), 200)
    assert shown == made
    assert expect.UUID.match(made["id"])
    assert made["status"] == "pending"
    assert made["user_id"] == str(person.id)
    assert made["device_id"].isdigit()
    assert made["auth_factor_name"] == "SMS"
    assert made["user_display_name"] == "My mobile"
    assert made["type_display_name"].strip()
    assert expect.TIME.match(made["expires_at"])


def test_a_verification_is_shown_as_the_contract_says(person):
    device = person.enrol_totp()
    started = expect.ok(person.challenge(device, display_name="at the gate", redirect_to="http://127.0.0.1:9/done"), 201)
    assert expect.UUID.match(started["id"])
    assert started["device_id"] == device.number and type(started["device_id"]) is int
    assert started["status"] == "pending"
    assert started["user_id"] == str(person.id)
    assert started["auth_factor_name"] == "Google Authenticator"
    assert started["display_name"] == "at the gate"
    assert started["redirect_to"] == "http://127.0.0.1:9/done"
    assert started["user_display_name"] == "phone app"
    assert expect.TIME.match(started["expires_at"])
    assert device.secret not in str(started)
    polled = expect.ok(person.poll(started["id"]), 200)
    assert polled == {"id": started["id"], "status": "pending", "device_id": device.id}


def test_deleting_a_device_ends_its_open_verifications(person):
    sms, email = person.enrol_sms(), person.enrol_email()
    doomed, code = person.sms_challenge(sms)
    other = expect.ok(person.challenge(email), 201)["id"]
    expect.ok(person.remove(sms.id), 204)
    assert expect.ok(person.poll(doomed), 200)["status"] == "rejected"
    expect.refused_code(person.answer(doomed, code))
    assert expect.ok(person.poll(other), 200)["status"] == "pending"


def test_a_deleted_device_is_gone(person):
    device = person.enrol_sms()
    expect.ok(person.remove(device.id), 204)
    assert person.devices() == []
    expect.not_found(person.remove(device.id))
    expect.not_found(person.challenge(device))
    expect.not_found(person.verify("123456", device))


def test_a_finished_verification_stays_readable_for_a_day_also_without_its_device(person, clock):
    sms, email = person.enrol_sms(), person.enrol_email()
    accepted, code = person.sms_challenge(sms)
    expect.accepted(person.answer(accepted, code))
    rejected, code = person.sms_challenge(email)
    for n in range(5):
        expect.refused_code(person.answer(rejected, f"{(int(code) + 1 + n) % 10**6:06d}"))
    expect.ok(person.remove(sms.id), 204)
    expect.ok(person.remove(email.id), 204)
    clock.advance(86400 - 60)
    assert expect.ok(person.poll(accepted), 200) == {"id": accepted, "status": "accepted", "device_id": sms.id}
    assert expect.ok(person.poll(rejected), 200)["status"] == "rejected"


def test_the_registration_of_a_deleted_device_has_no_second_life(person):
    made = expect.ok(person.register(SMS), 201)
    code = person.message()["code"]
    expect.ok(person.confirm(made["id"], code), 200)
    expect.ok(person.remove(made["device_id"]), 204)
    response = person.confirm(made["id"], code)
    # The registration may still be known (401: its code is used) or gone with its device (404).
    assert response.status_code in (401, 404), expect.story(response)
    assert person.devices() == []


def test_a_pending_registration_is_no_device_to_delete_or_to_challenge(person):
    made = expect.ok(person.register(SMS), 201)
    expect.not_found(person.challenge(made["device_id"]))
    expect.not_found(person.remove(made["device_id"]))


def test_what_belongs_to_one_user_reads_to_another_exactly_like_nothing(people):
    owner, other = people(), people()
    device = owner.enrol_sms()
    registration = expect.ok(owner.register(EMAIL), 201)
    mail_code = owner.message()["code"]
    verification, code = owner.sms_challenge(device)
    nobody = "00000000-0000-4000-8000-000000000000"

    def same(theirs, missing):
        one, two = expect.not_found(theirs), expect.not_found(missing)
        assert one == two

    same(other.poll(verification), other.poll(nobody))
    same(other.answer(verification, code), other.answer(nobody, code))
    same(other.registration(registration["id"]), other.registration(nobody))
    same(other.confirm(registration["id"], mail_code), other.confirm(nobody, mail_code))
    same(other.remove(device.id), other.remove("9999999"))
    same(other.challenge(device), other.challenge("9999999"))
    same(other.verify(code, device), other.verify(code, "9999999"))
    assert owner.device_ids() == [device.id]
    expect.accepted(owner.answer(verification, code))


def test_a_device_id_on_put_must_be_the_verifications_own_and_is_no_guess(person):
    sms, email = person.enrol_sms(), person.enrol_email()
    started, code = person.sms_challenge(sms)
    for _ in range(6):
        expect.invalid(person.answer(started, code, device_id=email.number), "device_id")
    expect.accepted(person.answer(started, code, device_id=sms.number))


def test_a_device_id_is_taken_as_an_integer_and_as_a_string(person):
    device = person.enrol_email()
    for given in (device.number, device.id):
        started = expect.ok(person.challenge(given), 201)
        code = person.message()["code"]
        expect.accepted(person.answer(started["id"], code, device_id=given))


def test_a_verification_can_be_finished_by_one_post_without_an_id(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    expect.accepted(person.verify(code))
    assert expect.ok(person.poll(started), 200)["status"] == "accepted"


def test_a_verification_can_be_finished_by_one_post_with_its_device(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    expect.accepted(person.verify(code, device))
    assert expect.ok(person.poll(started), 200)["status"] == "accepted"


def test_an_otp_with_nothing_to_try_it_on_is_refused(person):
    expect.refused_code(person.verify("123456"))
    person.enrol_totp()
    expect.refused_code(person.verify("123456"))
