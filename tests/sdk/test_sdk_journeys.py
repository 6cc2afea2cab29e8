"""All ten operations by the official SDK, for every factor of this release: the ways that end well."""

import json

import onelogin
import pytest

from harness import oath
from harness.people import AUTHENTICATOR, EMAIL, SMS, VOICE
from harness.server import epoch


def registration(factor_id, **fields):
    return onelogin.CreateFactorRegistrationRequest(factor_id=factor_id, display_name="mine", **fields)


def otp(code):
    """As the SDK types it: an integer, which loses leading zeros."""
    return onelogin.VerifyUserRegistrationRequest(otp=int(code))


def challenge(device_id, **fields):
    return onelogin.CreateDeviceVerificationRequest(device_id=int(device_id), **fields)


def answer(code, **fields):
    return onelogin.VerifyUserVerificationRequest(otp=code, **fields)


def test_the_sdk_enrols_verifies_lists_and_deletes_an_authenticator(mfa, person, clock):
    at = clock.fresh_step()
    # get_auth_factors
    offered = {f.factor_id: f for f in mfa.get_auth_factors(person.id)}
    assert offered[AUTHENTICATOR].name == "Authenticator"
    assert offered[AUTHENTICATOR].auth_factor_name == "Google Authenticator"
    # create_factor_registration: the SDK drops factor_data …
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(AUTHENTICATOR))
    assert made.user_id == str(person.id) and made.user_display_name == "mine"
    # get_user_registration: … and delivers it here
    shown = mfa.get_user_registration(person.id, made.id)
    assert shown["status"] == "pending" and shown["device_id"] == made.device_id
    secret = shown["factor_data"]["verification_token"]
    assert shown["factor_data"]["totp_url"].startswith("otpauth://totp/")
    # verify_user_registration
    done = mfa.verify_user_registration(person.id, made.id, verify_user_registration_request=otp(oath.code(secret, at)))
    assert (done.id, done.status, done.device_id) == (made.id, "accepted", made.device_id)
    assert "factor_data" not in mfa.get_user_registration(person.id, made.id)
    # get_authentication_devices
    [device] = mfa.get_authentication_devices(person.id)
    assert device.device_id == made.device_id and device.default is True
    assert device.auth_factor_name == "Google Authenticator" and device.user_display_name == "mine"
    assert AUTHENTICATOR not in {f.factor_id for f in mfa.get_auth_factors(person.id)}
    # create_device_verification
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.device_id))
    assert started.device_id == int(device.device_id)
    # get_user_verification
    polled = mfa.get_user_verification(person.id, started.id)
    assert (polled.id, polled.status, polled.device_id) == (started.id, "pending", device.device_id)
    # verify_user_verification
    result = mfa.verify_user_verification(
        person.id, started.id, verify_user_verification_request=answer(oath.code(secret, at + 30)))
    assert (result.code, result.message, result.error, result.type) == (200, "Success", False, "success")
    assert mfa.get_user_verification(person.id, started.id).status == "accepted"
    # delete_enrolled_factor
    assert mfa.delete_enrolled_factor(person.id, device.device_id) is None
    assert mfa.get_authentication_devices(person.id) == []


@pytest.mark.parametrize("factor, channel", [(SMS, "sms"), (EMAIL, "email")])
def test_the_sdk_enrols_verifies_and_deletes_by_message(mfa, person, factor, channel):
    made = mfa.create_factor_registration(
        person.id, create_factor_registration_request=registration(factor, expires_in="300"))
    message = person.message()
    assert message["channel"] == channel
    assert mfa.get_user_registration(person.id, made.id)["status"] == "pending"
    done = mfa.verify_user_registration(person.id, made.id, verify_user_registration_request=otp(message["code"]))
    assert done.status == "accepted"
    started = mfa.create_device_verification(
        person.id, create_device_verification_request=challenge(done.device_id, expires_in="600", display_name="door"))
    assert started.display_name == "door"
    code = person.message()["code"]
    result = mfa.verify_user_verification(
        person.id, started.id, verify_user_verification_request=answer(code, device_id=int(done.device_id)))
    assert result.code == 200
    assert mfa.get_user_verification(person.id, started.id).status == "accepted"
    mfa.delete_enrolled_factor(person.id, done.device_id)
    assert mfa.get_authentication_devices(person.id) == []


def test_the_sdk_enrols_and_verifies_by_voice(mfa, person, server):
    play = lambda **what: server.dev("POST", f"/dev/voice/{person.message()['id']}", json=what)
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(VOICE))
    shown = mfa.get_user_registration(person.id, made.id)
    assert play(digits=shown["factor_data"]["verification_token"])["status"] == "accepted"
    assert mfa.get_user_registration(person.id, made.id)["status"] == "accepted"
    [device] = mfa.get_authentication_devices(person.id)
    assert (device.device_id, device.auth_factor_name) == (made.device_id, "OneLogin Voice")

    # The SDK drops factor_data from a 201, so that its caller cannot show the code of a verification: it is read raw.
    raw = mfa.create_device_verification_with_http_info(
        person.id, create_device_verification_request=challenge(device.device_id))
    code = json.loads(raw.raw_data)["factor_data"]["verification_token"]
    started = raw.data
    assert mfa.get_user_verification(person.id, started.id).status == "pending"
    with pytest.raises(onelogin.ApiException) as refused:
        mfa.verify_user_verification(person.id, started.id, verify_user_verification_request=answer(code))
    assert refused.value.status == 401
    assert play(digits=code)["status"] == "accepted"
    assert mfa.get_user_verification(person.id, started.id).status == "accepted"

    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.device_id))
    assert play(hang_up=True)["status"] == "rejected"
    assert mfa.get_user_verification(person.id, started.id).status == "rejected"


@pytest.mark.parametrize("factor", [SMS, EMAIL])
def test_the_sdk_enrols_a_destination_that_is_already_proven(mfa, person, factor):
    made = mfa.create_factor_registration(
        person.id, create_factor_registration_request=registration(factor, verified=True))
    assert [d.device_id for d in mfa.get_authentication_devices(person.id)] == [made.device_id]
    started = mfa.create_device_verification(
        person.id, create_device_verification_request=challenge(made.device_id))
    assert mfa.verify_user_verification(
        person.id, started.id, verify_user_verification_request=answer(person.message()["code"])).code == 200


def test_the_sdk_sends_a_message_of_its_own_words(mfa, person):
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(
        SMS, custom_message="Bank: {{otp_code}}, {{otp_expiry}} min"))
    message = person.message()
    assert message["body"] == f"Bank: {message['code']}, 2 min"
    assert mfa.verify_user_registration(
        person.id, made.id, verify_user_registration_request=otp(message["code"])).status == "accepted"


def test_the_sdk_gets_a_temporary_token_and_uses_it_for_any_factor(mfa, person, clock):
    device = person.enrol_sms()
    made = mfa.generate_otp(person.id, generate_otp_request=onelogin.GenerateOTPRequest(expires_in=3600, reusable=True))
    assert len(made.mfa_token) == 8 and made.reusable is True
    assert abs(epoch(made.expires_at) - clock.now() - 3600) <= 2
    assert made.device_id.startswith("user_temp_otp_")
    assert {d.device_id for d in mfa.get_authentication_devices(person.id)} == {device.id, made.device_id}
    for _ in range(2):
        started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
        assert mfa.verify_user_verification(
            person.id, started.id, verify_user_verification_request=answer(made.mfa_token)).code == 200
    mfa.delete_enrolled_factor(person.id, made.device_id)
    assert [d.device_id for d in mfa.get_authentication_devices(person.id)] == [device.id]


def test_the_sdk_gets_a_temporary_token_without_a_body_and_with_an_empty_model(mfa, person, clock):
    for keywords in ({}, {"generate_otp_request": onelogin.GenerateOTPRequest()}):
        made = mfa.generate_otp(person.id, **keywords)
        assert len(made.mfa_token) == 8 and made.reusable is False
        assert abs(epoch(made.expires_at) - clock.now() - 259200) <= 2


def test_leading_zeros_that_the_sdk_lost_on_the_way_do_not_matter(mfa, person, clock):
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(
        AUTHENTICATOR, expires_in="900"))
    secret = mfa.get_user_registration(person.id, made.id)["factor_data"]["verification_token"]
    # 900 seconds are 30 time steps: a code that begins with 0 is among them 19 times of 20; if none is, take another.
    for _ in range(8):
        upcoming = oath.codes(secret, clock.now(), 28)
        ahead = next((i for i, code in enumerate(upcoming) if i > 0 and code.startswith("0")), None)
        if ahead is not None:
            break
        made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(
            AUTHENTICATOR, expires_in="900"))
        secret = mfa.get_user_registration(person.id, made.id)["factor_data"]["verification_token"]
    code = oath.code(secret, clock.fresh_step(ahead))
    assert code.startswith("0") and len(str(int(code))) < 6
    assert mfa.verify_user_registration(
        person.id, made.id, verify_user_registration_request=otp(code)).status == "accepted"


def test_a_host_that_ends_in_a_slash_works_for_all_ten_operations(server, sdk, person, clock):
    mfa = sdk(host=server.url + "/")
    assert mfa.get_auth_factors(person.id)
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(SMS))
    assert mfa.get_user_registration(person.id, made.id)["id"] == made.id
    mfa.verify_user_registration(person.id, made.id, verify_user_registration_request=otp(person.message()["code"]))
    [device] = mfa.get_authentication_devices(person.id)
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.device_id))
    assert mfa.get_user_verification(person.id, started.id).status == "pending"
    assert mfa.verify_user_verification(
        person.id, started.id, verify_user_verification_request=answer(person.message()["code"])).code == 200
    assert mfa.generate_otp(person.id).mfa_token
    mfa.delete_enrolled_factor(person.id, device.device_id)


def test_the_sdk_sees_the_status_that_it_documents(mfa, person):
    device = person.enrol_sms()
    answers = {
        201: mfa.create_factor_registration_with_http_info(
            person.id, create_factor_registration_request=registration(EMAIL)),
        200: mfa.get_authentication_devices_with_http_info(person.id),
    }
    for status, response in answers.items():
        assert response.status_code == status
        assert response.headers["X-Request-Id"] and response.headers["Cache-Control"] == "no-store"
    assert mfa.create_device_verification_with_http_info(
        person.id, create_device_verification_request=challenge(device.id)).status_code == 201
    assert mfa.generate_otp_with_http_info(person.id).status_code == 201
    assert mfa.delete_enrolled_factor_with_http_info(person.id, device.id).status_code == 204


def test_the_sdk_works_asynchronously(mfa, person):
    threads = [mfa.get_auth_factors(person.id, async_req=True) for _ in range(5)]
    assert all(len(thread.get(20)) >= 3 for thread in threads)
