"""OneLogin Protect by the official SDK, which can only start and poll: a person with the example app does the rest."""

import onelogin
import pytest

from harness.app import Phone
from harness.people import PROTECT


@pytest.fixture
def phone(tmp_path):
    return Phone(tmp_path)


def test_the_sdk_enrols_an_app_and_polls_what_its_person_decides(mfa, person, phone):
    request = onelogin.CreateFactorRegistrationRequest(factor_id=PROTECT, display_name="mine", expires_in="600")
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=request)
    shown = mfa.get_user_registration(person.id, made.id)
    assert shown["status"] == "pending" and "-" in shown["factor_data"]["verification_token"]
    phone.activate(shown["factor_data"]["totp_url"])
    assert mfa.get_user_registration(person.id, made.id)["status"] == "accepted"
    [device] = mfa.get_authentication_devices(person.id)
    assert (device.auth_factor_name, device.type_display_name) == ("OneLogin", "OneLogin Protect")

    challenge = onelogin.CreateDeviceVerificationRequest(device_id=int(device.device_id))
    for say, status in ((phone.approve, "accepted"), (phone.deny, "rejected")):
        started = mfa.create_device_verification(person.id, create_device_verification_request=challenge)
        assert mfa.get_user_verification(person.id, started.id).status == "pending"
        say(started.id)
        assert mfa.get_user_verification(person.id, started.id).status == status
    mfa.delete_enrolled_factor(person.id, device.device_id)
    assert mfa.get_authentication_devices(person.id) == []


def test_without_a_code_the_sdk_is_told_to_poll(mfa, person):
    request = onelogin.CreateFactorRegistrationRequest(factor_id=PROTECT, display_name="mine")
    made = mfa.create_factor_registration(person.id, create_factor_registration_request=request)
    with pytest.raises(onelogin.ApiException) as refused:
        mfa.verify_user_registration(person.id, made.id)
    assert refused.value.status == 422
