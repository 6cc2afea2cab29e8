"""What a caller may put into a message, and where a browser may be sent."""

import pytest

from harness import expect
from harness.people import AUTHENTICATOR, EMAIL, SMS, silence

GOOD = "Your code is {{otp_code}}, good for {{otp_expiry}} minutes."


def test_both_placeholders_are_filled(person):
    expect.ok(person.register(SMS, custom_message=GOOD, expires_in=600), 201)
    message = person.message()
    assert message["body"] == f"Your code is {message['code']}, good for 10 minutes."


def test_a_verification_takes_a_custom_message_too(person):
    device = person.enrol_sms()
    expect.ok(person.challenge(device, custom_message=GOOD), 201)
    message = person.message()
    assert message["body"] == f"Your code is {message['code']}, good for 2 minutes."


def test_the_expiry_may_be_left_out_and_the_code_may_come_twice(person):
    expect.ok(person.register(SMS, custom_message="{{otp_code}} {{otp_code}}"), 201)
    message = person.message()
    assert message["body"] == f"{message['code']} {message['code']}"


@pytest.mark.parametrize("template", [
    "no code in here", "{{otp_expiry}} minutes", "", "{{ otp_code }}", "{{OTP_CODE}}", "{otp_code}",
    "{{otp_code}} {{user}}", "{{otp_code}} {{otp_code_}}", "{{otp_code}} {{}}",
])
def test_a_message_without_the_code_or_with_another_placeholder_is_refused(person, template):
    device = person.enrol_sms()
    expect.invalid(person.challenge(device, custom_message=template), "custom_message")


@pytest.mark.parametrize("control", ["\n", "\r\n", "\t", "\x00", "\x07", "\x1b[31m", "\x7f", "\x85"])
def test_control_characters_are_refused(person, control):
    expect.invalid(person.register(SMS, custom_message="{{otp_code}}" + control), "custom_message")


def test_160_characters_after_filling_are_sent_and_161_are_refused(server, people):
    fits, spills = people(), people()
    # {{otp_code}} takes 12 characters in the template and 6 in the message.
    template = "{{otp_code}}" + "x" * 154
    assert len(template) == 166
    expect.ok(fits.register(SMS, custom_message=template), 201)
    assert len(fits.message()["body"]) == 160
    expect.invalid(spills.register(SMS, custom_message=template + "x"), "custom_message")
    assert silence(server, spills) == []


def test_characters_are_counted_and_not_bytes(person):
    expect.ok(person.register(SMS, custom_message="{{otp_code}}" + "ü" * 154), 201)
    assert person.message()["body"].endswith("ü" * 154)


def test_the_expiry_counts_by_its_filled_length(person):
    # "15" and the six digits: 8 characters after filling.
    template = "{{otp_code}}{{otp_expiry}}" + "x" * 152
    expect.ok(person.register(SMS, custom_message=template, expires_in=900), 201)
    assert len(person.message()["body"]) == 160


@pytest.mark.parametrize("template", ["no code in here", "{{otp_code}}" + "x" * 300, "a\nb"])
def test_other_factors_than_sms_ignore_it(person, template):
    expect.ok(person.register(EMAIL, custom_message=template), 201)
    assert template not in person.message()["body"]
    expect.ok(person.register(AUTHENTICATOR, custom_message=template), 201)


@pytest.mark.parametrize("target", [
    "http://127.0.0.1/", "http://127.0.0.1:3000/done?x=1", "https://127.0.0.1:8443/", "http://localhost:5173/app",
    "http://[::1]:8080/",
])
def test_dev_sends_browsers_to_any_loopback_address(person, target):
    device = person.enrol_sms()
    assert expect.ok(person.challenge(device, redirect_to=target), 201)["redirect_to"] == target
    expect.ok(person.register(EMAIL, redirect_to=target), 201)


@pytest.mark.parametrize("target", [
    "https://evil.example/", "http://evil.example/", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/",
    "http://localhost.evil.example/", "http://localhost@evil.example/", "javascript:alert(1)",
    "data:text/html,hello", "file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/", "/done", "done", "",
    "http://", "not a url", "http://127.0.0.1\\@evil.example/",
])
def test_dev_sends_browsers_nowhere_else(server, person, target):
    device = person.enrol_sms()
    for factor in (EMAIL, AUTHENTICATOR):
        expect.invalid(person.register(factor, redirect_to=target), "redirect_to")
    expect.invalid(person.challenge(device, redirect_to=target), "redirect_to")
    assert silence(server, person) == []


def test_an_explicit_null_means_absent(person):
    made = expect.ok(person.register(
        SMS, expires_in=None, verified=None, redirect_to=None, custom_message=None), 201)
    assert made["status"] == "pending"
    code = person.message()["code"]
    expect.bad_request(person.confirm(made["id"], None), "otp")
    expect.ok(person.confirm(made["id"], code), 200)
    started = expect.ok(person.challenge(
        made["device_id"], otp=None, expires_in=None, display_name=None, redirect_to=None, custom_message=None), 201)
    code = person.message()["code"]
    expect.bad_request(person.challenge(None), "device_id")
    expect.bad_request(person.answer(started["id"], None), "otp")
    expect.accepted(person.answer(started["id"], code, device_id=None))
    expect.ok(person.temporary_token(expires_in=None, reusable=None), 201)
    expect.bad_request(person.register(None), "factor_id")
    expect.bad_request(person.register(EMAIL, display_name=None), "display_name")
