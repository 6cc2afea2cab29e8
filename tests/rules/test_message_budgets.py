"""How many messages one destination gets, over all users that share it."""

import pytest

from harness import expect
from harness.people import EMAIL, SMS, silence

TEN_MINUTES, DAY = 600, 86400


def test_five_messages_in_ten_minutes_then_none(server, person, clock):
    device = person.enrol_sms()
    for _ in range(5):
        expect.ok(person.challenge(device), 201)
    expect.too_many(person.challenge(device), at_most=TEN_MINUTES)
    assert len(silence(server, person)) == 5
    clock.advance(TEN_MINUTES + 1)
    expect.ok(person.challenge(device), 201)


def test_the_budget_holds_for_email_too(server, person, clock):
    device = person.enrol_email()
    for _ in range(5):
        expect.ok(person.challenge(device), 201)
    expect.too_many(person.challenge(device), at_most=TEN_MINUTES)
    assert len(silence(server, person)) == 5


def test_retry_after_says_when_the_next_message_may_go(person, clock):
    device = person.enrol_sms()
    expect.ok(person.challenge(device), 201)
    clock.advance(300)
    for _ in range(4):
        expect.ok(person.challenge(device), 201)
    wait = expect.too_many(person.challenge(device), at_most=301)
    assert wait >= 290
    clock.advance(wait + 1)
    expect.ok(person.challenge(device), 201)


def test_the_budget_is_of_the_destination_and_not_of_the_user(server, people):
    phone = server.phone()
    first, second = people(phone=phone), people(phone=phone)
    one, two = first.enrol_sms(), second.enrol_sms()
    for _ in range(3):
        expect.ok(first.challenge(one), 201)
    for _ in range(2):
        expect.ok(second.challenge(two), 201)
    expect.too_many(second.challenge(two))
    expect.too_many(first.challenge(one))


def test_an_address_is_one_destination_however_it_is_written(server, people):
    lower, upper = people(email="shared-case@people.example"), people(email="Shared-Case@PEOPLE.example")
    one, two = lower.enrol_email(), upper.enrol_email()
    for _ in range(3):
        expect.ok(lower.challenge(one), 201)
    for _ in range(2):
        expect.ok(upper.challenge(two), 201)
    # Mail hosts are case-insensitive and practically all mailboxes are: otherwise 2^n spellings flood one person.
    expect.too_many(upper.challenge(two))


def test_other_destinations_are_not_affected(people):
    flooded, other = people(), people()
    device = flooded.enrol_sms()
    for _ in range(5):
        expect.ok(flooded.challenge(device), 201)
    expect.too_many(flooded.challenge(device))
    expect.ok(other.challenge(other.enrol_sms()), 201)
    # The same person's e-mail is another destination.
    expect.ok(flooded.challenge(flooded.enrol_email()), 201)


def test_twenty_messages_a_day_then_none(server, person, clock):
    device = person.enrol_sms()
    for _ in range(4):
        for _ in range(5):
            expect.ok(person.challenge(device), 201)
        silence(server, person)  # a message that is still on its way would be too late after the leap
        clock.advance(TEN_MINUTES + 1)
    assert expect.too_many(person.challenge(device), at_most=DAY) > TEN_MINUTES
    assert len(silence(server, person)) == 20
    clock.advance(DAY)
    expect.ok(person.challenge(device), 201)


def test_a_refused_message_leaves_the_open_verification_as_it_was(person):
    device = person.enrol_sms()
    for _ in range(5):
        started, code = person.sms_challenge(device)
    expect.too_many(person.challenge(device))
    expect.accepted(person.answer(started, code))


def test_a_refused_message_is_no_failure(person, clock):
    device = person.enrol_sms()
    for _ in range(5):
        started, code = person.sms_challenge(device)
    for _ in range(8):
        expect.too_many(person.challenge(device))
    expect.accepted(person.answer(started, code))


@pytest.mark.parametrize("factor", [SMS, EMAIL])
def test_five_unconfirmed_registrations_a_day_to_one_destination(server, people, clock, factor):
    field = "phone" if factor == SMS else "email"
    shared = server.phone() if factor == SMS else "stranger@people.example"
    for _ in range(5):
        expect.ok(people(**{field: shared}).register(factor), 201)
    expect.too_many(people(**{field: shared}).register(factor), at_most=DAY)
    clock.advance(TEN_MINUTES + 1)
    expect.too_many(people(**{field: shared}).register(factor), at_most=DAY)
    clock.advance(DAY)
    expect.ok(people(**{field: shared}).register(factor), 201)


def test_one_user_cannot_get_more_registrations_by_asking_again(server, person):
    for _ in range(5):
        expect.ok(person.register(SMS), 201)
    expect.too_many(person.register(SMS), at_most=DAY)
    assert len(silence(server, person)) == 5


def test_a_stranger_who_enters_somebodys_number_uses_up_nothing_of_theirs(server, people):
    phone = server.phone()
    owner = people(phone=phone)
    device = owner.enrol_sms()
    for _ in range(5):
        expect.ok(people(phone=phone).register(SMS), 201)
    expect.too_many(people(phone=phone).register(SMS))
    for _ in range(5):
        started, code = owner.sms_challenge(device)
    expect.accepted(owner.answer(started, code))


def test_the_owners_messages_do_not_use_up_the_registrations(server, people):
    phone = server.phone()
    owner = people(phone=phone)
    device = owner.enrol_sms()
    for _ in range(5):
        expect.ok(owner.challenge(device), 201)
    expect.ok(people(phone=phone).register(SMS), 201)


def test_the_budget_survives_a_restart(start_dev):
    from harness.people import Person

    server = start_dev()
    person = Person(server)
    device = person.enrol_sms()
    for _ in range(5):
        expect.ok(person.challenge(device), 201)
    server.stop()
    server.restart()
    expect.too_many(person.challenge(device))
