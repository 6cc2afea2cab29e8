"""A service that wants a number at every push, and an application that has the official SDK alone: the page shows the number."""

import onelogin
import pytest
import trustme

from browser.application import Application
from browser.chromium import Chromium
from harness import expect
from harness.app import Phone
from harness.people import PROTECT
from harness.serve import Installation


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Nobody on this machine knows the authority that the application's certificate is of."""
    chromium = Chromium(tmp_path_factory.mktemp("chromium"), "--ignore-certificate-errors")
    yield chromium
    chromium.stop()


@pytest.fixture
def service(tmp_path):
    service = Installation(tmp_path / "service", policy={"number_matching": "always", "number_digits": 3})
    yield service
    service.discard()


@pytest.fixture
def application(service):
    """It is known before the service starts, since its origin must be on the list."""
    application = Application(None, trustme.CA().issue_cert("localhost"))
    service.settings["redirect_origins"] = [application.url]
    service.write()
    service.start()
    configuration = onelogin.Configuration(host=service.settings["public_url"])
    configuration.access_token = service.api().token
    application.mfa = onelogin.MultiFactorAuthenticationApi(onelogin.ApiClient(configuration))
    yield application
    application.stop()


def enrolled(service, mfa, phone):
    user = expect.ok(service.api().post("/api/2/users", {"username": "ada"}), 201)["id"]
    made = mfa.create_factor_registration(user, create_factor_registration_request=onelogin.CreateFactorRegistrationRequest(
        factor_id=PROTECT, display_name="mine"))
    phone.activate(mfa.get_user_registration(user, made.id)["factor_data"]["totp_url"])
    [device] = mfa.get_authentication_devices(user)
    return user, device.device_id


def arrived(browser):
    """What the application says, once the page that looks every two seconds has sent the browser there."""
    for _ in range(10):
        if "/in?" in browser.arrive():
            return browser.text()
    pytest.fail(f"still at {browser.text()}")


def test_the_sdk_logs_in_by_a_push_with_a_number(service, application, chromium, tmp_path):
    phone = Phone(tmp_path)
    user, device = enrolled(service, application.mfa, phone)
    browser = chromium.person()
    browser.open(f"{application.url}/login?user={user}&device={device}")
    browser.evaluate("document.querySelector('button').click()")
    browser.arrive()
    number = browser.evaluate("document.querySelector('.number').textContent")
    assert len(number) == 3 and number.isdigit()
    [(_, verification)] = application.sessions.values()
    assert phone.approve(verification, number) == {"status": "approved"}
    assert arrived(browser) == "Welcome: Success"
    assert application.mfa.get_user_verification(user, verification).status == "accepted"


def test_a_link_sent_to_a_victim_finishes_nothing_for_its_sender(service, application, chromium, tmp_path):
    phone = Phone(tmp_path)
    user, device = enrolled(service, application.mfa, phone)
    attacker, victim = chromium.person(), chromium.person()
    attacker.open(f"{application.url}/login?user={user}&device={device}")
    victim.open(attacker.evaluate("location.href"))
    victim.evaluate("document.querySelector('button').click()")
    victim.arrive()
    [(_, verification)] = application.sessions.values()
    phone.approve(verification, victim.evaluate("document.querySelector('.number').textContent"))
    assert arrived(victim) == "This login was not begun here"
    assert application.mfa.get_user_verification(user, verification).status == "pending"
    with pytest.raises(onelogin.ApiException) as refused:
        application.mfa.verify_user_verification(
            user, verification, verify_user_verification_request=onelogin.VerifyUserVerificationRequest(otp="000000"))
    assert refused.value.status in (401, 422)
