"""The number of a push on its page, in a real browser, with the example app as the person's phone."""

import pytest

from harness import expect
from harness.app import Phone
from harness.people import PROTECT


@pytest.fixture
def phone(tmp_path):
    return Phone(tmp_path)


@pytest.fixture
def login(person, phone, application):
    """The address at the application that begins a login with a number; the SDK cannot ask for one, so its caller does."""
    made = expect.ok(person.register(PROTECT), 201)
    phone.activate(made["factor_data"]["totp_url"])

    def begin(_, device):
        started = expect.ok(person.challenge(
            device, number_matching=True, redirect_to=f"{application.url}/in?from=login"), 201)
        cookie = f"login-{len(application.sessions)}"
        application.sessions[cookie] = (person.id, started["id"])
        return cookie, started["id"]

    application.begin = begin
    return f"{application.url}/login?user={person.id}&device={made['device_id']}"


def number(browser):
    """Presses the button and waits for the page that shows the number."""
    browser.evaluate("document.querySelector('button').click()")
    browser.arrive()
    return browser.evaluate("document.querySelector('.number').textContent")


def test_whoever_began_types_the_number_and_is_in(person, phone, chromium, application, login):
    browser = chromium.person()
    browser.open(login)
    assert "Show the number" in browser.text()
    shown = number(browser)
    [(_, verification)] = application.sessions.values()
    assert phone.approve(verification, shown) == {"status": "approved"}
    for _ in range(10):  # the page looks by itself, every two seconds
        if "/in?" in browser.arrive():
            break
    assert browser.text() == "Welcome: Success"
    assert expect.ok(person.poll(verification), 200)["status"] == "accepted"
    assert browser.complaints() == []


def test_a_link_sent_to_a_victim_finishes_nothing_for_its_sender(person, phone, chromium, application, login):
    victim, attacker = chromium.person(), chromium.person()
    attacker.open(login)
    link = attacker.evaluate("location.href")
    [(_, verification)] = application.sessions.values()
    victim.open(link)
    shown = number(victim)
    attacker.open(link)
    assert "open elsewhere" in attacker.text()
    phone.approve(verification, shown)
    for _ in range(10):
        if "/in?" in victim.arrive():
            break
    assert victim.text() == "This login was not begun here"
    assert expect.ok(person.poll(verification), 200)["status"] == "pending"
