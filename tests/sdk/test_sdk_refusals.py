"""The official SDK where things go wrong: it must raise its own exception of the right kind, with a body it can read."""

import json

import onelogin
import pytest
from onelogin.exceptions import ApiException, ForbiddenException, NotFoundException, UnauthorizedException

from harness import expect, oath
from harness.people import AUTHENTICATOR, EMAIL, SMS

NOBODY = "00000000-0000-4000-8000-000000000000"


def registration(factor_id, display_name="mine", **fields):
    return onelogin.CreateFactorRegistrationRequest(factor_id=factor_id, display_name=display_name, **fields)


def challenge(device_id, **fields):
    return onelogin.CreateDeviceVerificationRequest(device_id=int(device_id), **fields)


def answer(code, **fields):
    return onelogin.VerifyUserVerificationRequest(otp=code, **fields)


def confirm(code):
    return onelogin.VerifyUserRegistrationRequest(otp=int(code))


def refused(status, name, call, *arguments, **keywords):
    """The SDK's exception and its body, when `call` is refused just so."""
    kind = {401: UnauthorizedException, 403: ForbiddenException, 404: NotFoundException}.get(status, ApiException)
    with pytest.raises(kind) as caught:
        call(*arguments, **keywords)
    assert caught.value.status == status
    body = json.loads(caught.value.body)
    assert body["statusCode"] == status and body["name"] == name
    return body, caught.value


def test_a_wrong_code_of_each_factor_raises_unauthorized(mfa, person, clock):
    sms, email, totp = person.enrol_sms(), person.enrol_email(), person.enrol_totp()
    at = clock.fresh_step()
    for device in (sms, email, totp):
        started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
        wrong = totp.wrong(at) if device is totp else oath.other(person.message()["code"])
        body, _ = refused(401, "Unauthorized", mfa.verify_user_verification, person.id, started.id,
                          verify_user_verification_request=answer(wrong))
        assert body["status"] == expect.UNAUTHORIZED
        assert mfa.get_user_verification(person.id, started.id).status == "pending"


@pytest.mark.parametrize("factor", [AUTHENTICATOR, SMS, EMAIL])
def test_a_wrong_code_confirms_no_registration(mfa, person, clock, factor):
    at = clock.fresh_step()
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(factor))
    if factor == AUTHENTICATOR:
        secret = mfa.get_user_registration(person.id, made.id)["factor_data"]["verification_token"]
        wrong = oath.wrong_code(secret, at, 17)
    else:
        wrong = oath.other(person.message()["code"])
    refused(401, "Unauthorized", mfa.verify_user_registration, person.id, made.id,
            verify_user_registration_request=confirm(wrong))
    assert mfa.get_user_registration(person.id, made.id)["status"] == "pending"
    assert mfa.get_authentication_devices(person.id) == []


def test_a_used_code_raises_unauthorized_and_polling_says_accepted(mfa, person):
    device = person.enrol_sms()
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    code = person.message()["code"]
    mfa.verify_user_verification(person.id, started.id, verify_user_verification_request=answer(code))
    for _ in range(6):
        refused(401, "Unauthorized", mfa.verify_user_verification, person.id, started.id,
                verify_user_verification_request=answer(code))
    assert mfa.get_user_verification(person.id, started.id).status == "accepted"


def test_an_expired_code_raises_unauthorized_and_polling_says_rejected(mfa, person, clock):
    device = person.enrol_email()
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    code = person.message()["code"]
    clock.advance(121)
    refused(401, "Unauthorized", mfa.verify_user_verification, person.id, started.id,
            verify_user_verification_request=answer(code))
    assert mfa.get_user_verification(person.id, started.id).status == "rejected"


def test_a_locked_device_raises_forbidden_with_a_retry_after(mfa, person, clock):
    device = person.enrol_totp()
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    at = clock.fresh_step()
    for n in range(5):
        refused(401, "Unauthorized", mfa.verify_user_verification, person.id, started.id,
                verify_user_verification_request=answer(device.wrong(at, n)))
    _, error = refused(403, "ForbiddenAction", mfa.verify_user_verification, person.id, started.id,
                       verify_user_verification_request=answer(device.code(at)))
    assert 28 <= int(error.headers["Retry-After"]) <= 30
    assert mfa.get_user_verification(person.id, started.id).status == "rejected"


def test_a_flooded_phone_raises_429(mfa, person):
    device = person.enrol_sms()
    for _ in range(5):
        mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    # A POST: the SDK does not repeat it by itself.
    _, error = refused(429, "TooManyRequests", mfa.create_device_verification, person.id,
                       create_device_verification_request=challenge(device.id))
    assert int(error.headers["Retry-After"]) > 0


def test_no_body_at_all_names_the_missing_field(mfa, person):
    """The SDK leaves the body out of all five writes when it is given none, and sends zero bytes."""
    device = person.enrol_sms()
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(EMAIL))
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    for call, arguments, field in (
        (mfa.create_factor_registration, (person.id,), "factor_id"),
        (mfa.verify_user_registration, (person.id, made.id), "otp"),
        (mfa.create_device_verification, (person.id,), "device_id"),
        (mfa.verify_user_verification, (person.id, started.id), "otp"),
    ):
        body, _ = refused(400, "BadRequest", call, *arguments)
        assert field in body["message"]


def test_an_empty_model_names_the_missing_field_and_is_no_guess(mfa, person):
    device = person.enrol_sms()
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(device.id))
    code = person.message()["code"]
    for _ in range(6):
        body, _ = refused(400, "BadRequest", mfa.verify_user_verification, person.id, started.id,
                          verify_user_verification_request=onelogin.VerifyUserVerificationRequest())
        assert "otp" in body["message"]
    assert mfa.verify_user_verification(person.id, started.id, verify_user_verification_request=answer(code)).code == 200


def test_what_the_sdk_lets_through_unchecked_is_refused(mfa, person):
    def call(**keywords):
        fields = {"factor_id": SMS, **keywords}
        return lambda: mfa.create_factor_registration(person.id, create_factor_registration_request=registration(**fields))

    for lifetime in ("119", "901", "-1"):
        body, _ = refused(422, "ValidationError", call(expires_in=lifetime))
        assert body["details"]["parameters"] == ["expires_in"] and body["message"] == "Validations failed"
    body, _ = refused(422, "ValidationError", call(display_name=""))
    assert body["details"]["parameters"] == ["display_name"]
    for factor in (-1, 0, 1):
        body, _ = refused(422, "ValidationError", call(factor_id=factor))
        assert body["details"]["parameters"] == ["factor_id"]
    with pytest.raises(ApiException) as caught:
        call(expires_in="abc")()
    assert caught.value.status in (400, 422) and "expires_in" in caught.value.body
    assert mfa.get_authentication_devices(person.id) == []


@pytest.mark.parametrize("user_id", [0, -1, 2**63, 2**70])
def test_a_user_id_out_of_range_is_a_bad_request(mfa, user_id):
    if user_id == 0:
        # The SDK leaves a zero out of the path altogether and sends the placeholder itself.
        with pytest.raises(ApiException) as caught:
            mfa.get_authentication_devices(user_id)
        assert caught.value.status == 400
        return
    body, _ = refused(400, "BadRequest", mfa.get_authentication_devices, user_id)
    assert "user_id" in body["message"]


def test_nobody_and_nothing_raise_not_found(mfa, person):
    refused(404, "NotFound", mfa.get_auth_factors, 987654321)
    refused(404, "NotFound", mfa.generate_otp, 987654321)
    refused(404, "NotFound", mfa.get_user_registration, person.id, NOBODY)
    refused(404, "NotFound", mfa.get_user_verification, person.id, NOBODY)
    refused(404, "NotFound", mfa.get_user_verification, person.id, "nonsense")
    refused(404, "NotFound", mfa.delete_enrolled_factor, person.id, "1")
    refused(404, "NotFound", mfa.delete_enrolled_factor, person.id, "../../users")
    refused(404, "NotFound", mfa.create_device_verification, person.id,
            create_device_verification_request=challenge(987654321))


def test_another_users_things_are_not_found(mfa, people):
    owner, other = people(), people()
    device = owner.enrol_sms()
    started = mfa.create_device_verification(owner.id, create_device_verification_request=challenge(device.id))
    code = owner.message()["code"]
    refused(404, "NotFound", mfa.get_user_verification, other.id, started.id)
    refused(404, "NotFound", mfa.verify_user_verification, other.id, started.id,
            verify_user_verification_request=answer(code))
    refused(404, "NotFound", mfa.delete_enrolled_factor, other.id, device.id)
    assert mfa.verify_user_verification(owner.id, started.id, verify_user_verification_request=answer(code)).code == 200


def test_a_device_that_is_not_the_verifications_own_is_refused(mfa, person):
    sms, email = person.enrol_sms(), person.enrol_email()
    started = mfa.create_device_verification(person.id, create_device_verification_request=challenge(sms.id))
    code = person.message()["code"]
    body, _ = refused(422, "ValidationError", mfa.verify_user_verification, person.id, started.id,
                      verify_user_verification_request=answer(code, device_id=email.number))
    assert body["details"]["parameters"] == ["device_id"]


def test_a_token_lifetime_out_of_bounds_is_refused(mfa, person):
    for lifetime in (119, 259201, 0, -1):
        body, _ = refused(422, "ValidationError", mfa.generate_otp, person.id,
                          generate_otp_request=onelogin.GenerateOTPRequest(expires_in=lifetime))
        assert body["details"]["parameters"] == ["expires_in"]
    for _ in range(3):
        mfa.generate_otp(person.id)
    refused(422, "ValidationError", mfa.generate_otp, person.id)


def test_a_suspended_user_raises_forbidden(mfa, person):
    device = person.enrol_sms()
    expect.ok(person.update(status=2), 200)
    refused(403, "ForbiddenAction", mfa.create_device_verification, person.id,
            create_device_verification_request=challenge(device.id))
    refused(403, "ForbiddenAction", mfa.create_factor_registration, person.id,
            create_factor_registration_request=registration(EMAIL))
    assert [d.device_id for d in mfa.get_authentication_devices(person.id)] == [device.id]


def test_a_wrong_token_and_a_small_scope_raise_their_exceptions(server, sdk, person):
    import dataclasses

    @dataclasses.dataclass
    class Stranger:
        token: str = "nonsense"

    body, error = refused(401, "InvalidCredentials", sdk(api=Stranger()).get_authentication_devices, person.id)
    assert body["message"] == "Please provide valid credentials"
    assert error.headers["WWW-Authenticate"].startswith("Bearer")
    refused(403, "ForbiddenAction", sdk(api=server.as_scope("Read Users")).get_authentication_devices, person.id)


def test_a_message_in_any_script_comes_back_readable(mfa, person):
    device = mfa.create_factor_registration(person.id, create_factor_registration_request=registration(
        SMS, display_name="Телефон 電話 📱", verified=True))
    assert device.user_display_name == "Телефон 電話 📱"
    assert mfa.get_authentication_devices(person.id)[0].user_display_name == "Телефон 電話 📱"
