"""Two hundred requests at one moment: one right code is accepted once, and no wrong one is under-counted."""

import pytest

from harness import expect, oath
from harness.burst import burst, request, tally
from harness.people import silence

MANY = 200


def wrong_looked_at(person):
    """How many wrong codes the audit trail says were looked at."""
    return sum(e["count"] or 1 for e in person.events() if e["reason"] and "wrong" in e["reason"].lower())


def held_back(person):
    return sum(e["count"] or 1 for e in person.events() if e["reason"] and "throttled" in e["reason"].lower())


def puts(server, person, verification, codes):
    path = person.path(f"/verifications/{verification}")
    return [request(server, server.api.token, "PUT", path, {"otp": code}) for code in codes]


def posts(server, person, bodies):
    path = person.path("/verifications")
    return [request(server, server.api.token, "POST", path, body) for body in bodies]


def exactly_one(answers):
    # The one that won is sent again by all the others, so none of them is a guess: no 403 among them.
    assert tally(answers) == {200: 1, 401: MANY - 1}


def test_a_totp_code_is_accepted_once_however_many_puts_race_for_it(server, person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    started = expect.ok(person.challenge(device), 201)["id"]
    exactly_one(burst(server, puts(server, person, started, [device.code(at)] * MANY)))
    assert expect.ok(person.poll(started), 200)["status"] == "accepted"
    # None of the losers was counted as a guess.
    expect.accepted(person.verify(device.code(at, 1), device))


def test_a_totp_code_is_accepted_once_however_many_single_calls_race_for_it(server, person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    exactly_one(burst(server, posts(server, person, [{"otp": device.code(at), "device_id": device.number}] * MANY)))
    expect.accepted(person.verify(device.code(at, 1), device))


def test_a_totp_code_confirms_one_registration_once(server, person, clock):
    at = clock.fresh_step()
    made = expect.ok(person.register(58957), 201)
    code = oath.code(made["factor_data"]["verification_token"], at)
    path = person.path(f"/registrations/{made['id']}")
    exactly_one(burst(server, [request(server, server.api.token, "PUT", path, {"otp": code})] * MANY))
    assert person.device_ids() == [made["device_id"]]


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_a_sent_code_is_accepted_once_however_many_requests_race_for_it(server, person, channel):
    device = person.enrol_sms() if channel == "sms" else person.enrol_email()
    started, code = person.sms_challenge(device)
    exactly_one(burst(server, puts(server, person, started, [code] * MANY)))
    assert expect.ok(person.poll(started), 200)["status"] == "accepted"


def test_a_sent_code_is_accepted_once_over_puts_and_posts_with_and_without_a_device(server, person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    mixed = puts(server, person, started, [code] * (MANY // 4)) + posts(
        server, person, [{"otp": code, "device_id": device.number}, {"otp": code}, {"otp": int(code)}] * (MANY // 4))
    answers = burst(server, mixed)
    assert tally(answers).get(200) == 1, tally(answers)
    # What comes without a device once nothing is open has nothing to be compared with: refused like any wrong code.
    assert set(tally(answers)) <= {200, 401, 403}, tally(answers)


def test_a_single_use_token_is_accepted_once_however_many_requests_race_for_it(server, person):
    token = expect.ok(person.temporary_token(), 201)["mfa_token"]
    exactly_one(burst(server, posts(server, person, [{"otp": token}] * MANY)))
    assert person.devices() == []


def test_a_single_use_token_finishes_one_of_many_verifications(server, person):
    sms, email = person.enrol_sms(), person.enrol_email()
    token = expect.ok(person.temporary_token(), 201)["mfa_token"]
    first = expect.ok(person.challenge(sms), 201)["id"]
    second = expect.ok(person.challenge(email), 201)["id"]
    requests = [r for pair in zip(puts(server, person, first, [token] * (MANY // 2)),
                                  puts(server, person, second, [token] * (MANY // 2))) for r in pair]
    answers = burst(server, requests)
    assert tally(answers).get(200) == 1, tally(answers)
    states = sorted(expect.ok(person.poll(v), 200)["status"] for v in (first, second))
    assert states.count("accepted") == 1, states


def test_a_reusable_token_is_accepted_every_time(server, person):
    token = expect.ok(person.temporary_token(reusable=True), 201)["mfa_token"]
    assert tally(burst(server, posts(server, person, [{"otp": token}] * MANY))) == {200: MANY}


def test_of_200_wrong_totp_codes_five_are_looked_at_and_none_once_locked(server, person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    started = expect.ok(person.challenge(device), 201)["id"]
    codes = [device.wrong(at, n) for n in range(20)] * (MANY // 20)
    assert tally(burst(server, puts(server, person, started, codes))) == {401: 5, 403: MANY - 5}
    assert wrong_looked_at(person) == 5
    assert held_back(person) == MANY - 5
    assert expect.ok(person.poll(started), 200)["status"] == "rejected"
    expect.delayed(person.verify(device.code(at), device))


def test_of_200_wrong_single_calls_five_are_looked_at(server, person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    bodies = [{"otp": device.wrong(at, n), "device_id": device.number} for n in range(20)] * (MANY // 20)
    answers = burst(server, posts(server, person, bodies))
    assert tally(answers) == {401: 5, 403: MANY - 5}
    assert all(a.headers.get("retry-after", "").isdigit() for a in answers if a.status == 403)
    assert wrong_looked_at(person) == 5 and held_back(person) == MANY - 5


def test_of_200_wrong_sms_codes_five_are_looked_at(server, person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    codes = [oath.other(code, n + 1) for n in range(MANY)]
    assert tally(burst(server, puts(server, person, started, codes))) == {401: 5, 403: MANY - 5}
    assert wrong_looked_at(person) == 5
    assert expect.ok(person.poll(started), 200)["status"] == "rejected"


def test_of_200_wrong_tokens_five_are_looked_at(server, person):
    token = expect.ok(person.temporary_token(reusable=True), 201)["mfa_token"]
    bodies = [{"otp": oath.other(token, n + 1)} for n in range(MANY)]
    assert tally(burst(server, posts(server, person, bodies))) == {401: 5, 403: MANY - 5}
    expect.delayed(person.verify(token))


def test_every_wrong_registration_code_counts(server, person):
    made = expect.ok(person.register(58959), 201)
    code = person.message()["code"]
    path = person.path(f"/registrations/{made['id']}")
    answers = burst(server, [request(server, server.api.token, "PUT", path, {"otp": oath.other(code, n + 1)}) for n in range(MANY)])
    counts = tally(answers)
    assert wrong_looked_at(person) == 5, counts
    assert set(counts) <= {401, 403} and sum(counts.values()) == MANY
    assert expect.ok(person.registration(made["id"]), 200)["status"] == "rejected"


def test_guesses_of_the_delay_just_over_are_looked_at_one_at_a_time(server, person, clock):
    device = person.enrol_totp()
    at = clock.fresh_step()
    for n in range(5):
        expect.refused_code(person.verify(device.wrong(at, n), device))
    clock.advance(31)
    body = {"otp": device.wrong(clock.now(), 7), "device_id": device.number}
    assert tally(burst(server, posts(server, person, [body] * MANY))) == {401: 1, 403: MANY - 1}
    assert wrong_looked_at(person) == 6


def test_a_right_code_among_wrong_ones_is_accepted_at_most_once_and_never_after_the_fifth(server, people, clock):
    for _ in range(3):
        person = people()
        device = person.enrol_totp()
        at = clock.fresh_step()
        good, bad = device.code(at), device.wrong(at)
        bodies = [{"otp": good if n % 20 == 10 else bad, "device_id": device.number} for n in range(MANY)]
        counts = tally(burst(server, posts(server, person, bodies)))
        assert counts.get(200, 0) <= 1
        # A success between two wrong codes clears the count, so at most 4 + 5 were looked at, and replays besides.
        assert 5 <= wrong_looked_at(person) <= 9


def test_users_do_not_slow_each_other_down_into_refusals(server, people, clock):
    crowd = [people() for _ in range(40)]
    devices = [person.enrol_totp() for person in crowd]
    at = clock.fresh_step()
    requests = [r for person, device in zip(crowd, devices)
                for r in posts(server, person, [{"otp": device.code(at), "device_id": device.number}])]
    assert tally(burst(server, requests)) == {200: 40}


def test_at_most_three_tokens_are_made_by_parallel_requests(server, person):
    path = person.path("/mfa_token")
    answers = burst(server, [request(server, server.api.token, "POST", path, {"expires_in": 600})] * 50)
    assert tally(answers) == {201: 3, 422: 47}
    assert len(person.devices()) == 3


def test_at_most_five_messages_are_sent_by_parallel_requests(server, people):
    phone = server.phone()
    crowd = [people(phone=phone) for _ in range(4)]
    devices = [person.enrol_sms() for person in crowd]
    requests = [r for person, device in zip(crowd, devices)
                for r in posts(server, person, [{"device_id": device.number}] * 10)]
    assert tally(burst(server, requests)) == {201: 5, 429: 35}
    assert sum(len(silence(server, person)) for person in crowd) == 5


def test_one_factor_is_enrolled_once_by_parallel_requests(server, person):
    path = person.path("/registrations")
    body = {"factor_id": 58959, "display_name": "mine", "verified": True}
    answers = burst(server, [request(server, server.api.token, "POST", path, body)] * 50)
    assert tally(answers) == {201: 1, 422: 49}
    assert len(person.devices()) == 1


def test_a_token_pair_is_refreshed_once_by_parallel_requests(server):
    import base64

    pair = server.api.new_token()
    basic = base64.b64encode(f"{server.api.client_id}:{server.api.client_secret}".encode()).decode()
    body = {"grant_type": "refresh_token", "access_token": pair["access_token"], "refresh_token": pair["refresh_token"]}
    one = request(server, "x", "POST", "/auth/oauth2/v2/token", body).replace(b"Authorization: Bearer x", f"Authorization: Basic {basic}".encode())
    assert tally(burst(server, [one] * 50)) == {200: 1, 401: 49}


def test_a_deletion_races_with_a_verification_without_a_trace_of_both(server, people, clock):
    for _ in range(5):
        person = people()
        device = person.enrol_sms()
        started, code = person.sms_challenge(device)
        delete = (f"DELETE {person.path('/devices/' + device.id)} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                  f"Authorization: Bearer {server.api.token}\r\nConnection: close\r\n\r\n").encode()
        answers = burst(server, puts(server, person, started, [code]) + [delete])
        assert answers[1].status == 204
        assert person.devices() == []
        state = expect.ok(person.poll(started), 200)["status"]
        assert state == ("accepted" if answers[0].status == 200 else "rejected")

