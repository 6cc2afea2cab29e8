"""Security keys in a real browser with a virtual authenticator, for applications that use the unmodified Python SDK."""

import urllib.parse

import onelogin
import pytest
from onelogin.exceptions import UnauthorizedException

from harness.people import WEBAUTHN


def begin_enrolment(mfa, person):
    """Starts an enrolment by the SDK, which reads the page's link where it delivers it; gives the id and the link."""
    made = mfa.create_factor_registration(
        person.id, create_factor_registration_request=onelogin.CreateFactorRegistrationRequest(
            factor_id=WEBAUTHN, display_name="My key"))
    shown = mfa.get_user_registration(person.id, made.id)
    return made.id, shown["factor_data"]["url"]


def enrol(mfa, person, browser):
    """Enrols the browser's key on the page; gives the device's id."""
    registration, url = begin_enrolment(mfa, person)
    browser.open(url)
    browser.press()
    assert browser.told() == "The key is added. You can close this page."
    done = mfa.get_user_registration(person.id, registration)
    assert done["status"] == "accepted"
    return done["device_id"]


def status(mfa, person, verification):
    return mfa.get_user_verification(person.id, verification).status


def test_the_sdk_enrols_a_key_and_logs_in_with_it(mfa, person, chromium, application):
    browser = chromium.person()
    device = enrol(mfa, person, browser)
    [listed] = mfa.get_authentication_devices(person.id)
    assert (listed.device_id, listed.auth_factor_name) == (device, "WebAuthn")
    [kept] = browser.credentials()
    assert kept["rpId"] == "localhost"
    for _ in range(2):
        browser.open(f"{application.url}/login?user={person.id}&device={device}")
        assert "My key" not in browser.text()  # the page says no more than must be checked
        [(_, verification)] = list(application.sessions.values())[-1:]
        assert status(mfa, person, verification) == "pending"
        browser.press()
        arrived = urllib.parse.urlsplit(browser.arrive())
        assert f"{arrived.scheme}://{arrived.netloc}" == application.url
        query = urllib.parse.parse_qs(arrived.query)
        assert query["verification_id"] == [verification] and query["from"] == ["login"]
        assert browser.text() == "Welcome: Success"
        assert status(mfa, person, verification) == "accepted"
        with pytest.raises(UnauthorizedException):
            mfa.verify_user_verification(person.id, verification, verify_user_verification_request=(
                onelogin.VerifyUserVerificationRequest(otp=query["otp"][0])))
    assert browser.complaints() == []


def test_a_link_sent_to_a_victim_finishes_nothing_for_its_sender(mfa, person, people, chromium, application):
    victim, attacker = chromium.person(), chromium.person()
    device = enrol(mfa, person, victim)
    # The attacker knows the victim's password, begins a login as the victim, and sends on the page that it leads to …
    attacker.open(f"{application.url}/login?user={person.id}&device={device}")
    link = attacker.evaluate("location.href")
    [(_, verification)] = application.sessions.values()
    # … which a key of the attacker's own does not answer.
    enrol(mfa, people(), attacker)
    attacker.open(link)
    attacker.press()
    assert attacker.told().startswith("That did not work")

    victim.open(link)
    victim.press()
    arrived = victim.arrive()
    # The victim's browser holds the code, and the application, which did not begin the login there, refuses it.
    assert victim.text() == "This login was not begun here"
    assert len(application.refused) == 1 and "otp=" in arrived
    assert status(mfa, person, verification) == "pending"
    # The attacker's browser gets no code: what was answered is over for the page.
    attacker.open(link)
    assert "This link does not work any more" in attacker.text()
    for guess in ("", "0" * 22, "00000000"):
        with pytest.raises(UnauthorizedException):
            mfa.verify_user_verification(person.id, verification, verify_user_verification_request=(
                onelogin.VerifyUserVerificationRequest(otp=guess)))
    assert status(mfa, person, verification) == "pending"


def test_a_link_for_enrolling_works_once(mfa, person, chromium):
    browser, late = chromium.person(), chromium.person()
    _, url = begin_enrolment(mfa, person)
    late.open(url)
    browser.open(url)
    browser.press()
    browser.told()
    late.press()
    assert late.told().startswith("It was done already")
    browser.open(url)
    assert "This link does not work any more" in browser.text()
    assert len(mfa.get_authentication_devices(person.id)) == 1


def test_the_page_and_its_script_speak_the_users_language(mfa, person, chromium):
    person.update(preferred_locale_code="de-AT")
    browser, late = chromium.person(), chromium.person()
    _, url = begin_enrolment(mfa, person)
    late.open(url)
    browser.open(url)
    assert browser.evaluate("document.documentElement.lang") == "de"
    assert "Schlüssel hinzufügen" in browser.text()
    browser.press()
    assert browser.told() == "Der Schlüssel ist hinzugefügt. Sie können diese Seite schließen."
    late.press()
    assert late.told().startswith("Das ist schon erledigt")
    assert browser.complaints() == []


def test_a_key_is_not_enrolled_twice(mfa, person, chromium):
    browser = chromium.person()
    enrol(mfa, person, browser)
    _, url = begin_enrolment(mfa, person)
    browser.open(url)
    browser.press()
    assert browser.told().startswith("That did not work")
    assert len(browser.credentials()) == 1


def test_a_key_that_does_not_verify_the_person_is_refused(mfa, person, chromium):
    browser = chromium.person(hasUserVerification=False, isUserVerified=False)
    registration, url = begin_enrolment(mfa, person)
    browser.open(url)
    browser.press()
    assert browser.told().startswith("That did not work")
    assert mfa.get_user_registration(person.id, registration)["status"] == "pending"


def test_a_copy_of_a_key_is_found_out_by_its_counter(mfa, person, chromium, application):
    browser, thief = chromium.person(), chromium.person()
    device = enrol(mfa, person, browser)
    [copied] = browser.credentials()
    login = f"{application.url}/login?user={person.id}&device={device}"
    for _ in range(2):
        browser.open(login)
        browser.press()
        browser.arrive()
    thief.put(copied)
    thief.open(login)
    thief.press()
    assert thief.told().startswith("That did not work")
    events = [(e["action"], e["reason"]) for e in person.events()]
    assert ("raise_alarm", "counter_went_back") in events
    [(_, verification)] = list(application.sessions.values())[-1:]
    assert status(mfa, person, verification) == "pending"
