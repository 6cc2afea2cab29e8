"""Bad input gets a clear error and loses nothing: one line a case, with its exact status, name and message shape."""

import json
import socket

import pytest

from harness import expect, oath
from harness.burst import read
from harness.people import EMAIL, SMS

JSON = {"Content-Type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"
LIMIT = 64 * 1024


def raw(person, method, tail, body, headers=JSON):
    return person.api.call(method, person.path(tail), body=body, headers=headers)


WRITES = [
    ("POST", "/registrations", "factor_id"),
    ("PUT", f"/registrations/{NOBODY}", "otp"),
    ("POST", "/verifications", "device_id"),
    ("PUT", f"/verifications/{NOBODY}", "otp"),
]
writes = pytest.mark.parametrize("method, tail, field", WRITES, ids=lambda v: v if isinstance(v, str) else None)
all_writes = pytest.mark.parametrize("method, tail", [(m, t) for m, t, _ in WRITES] + [("POST", "/mfa_token")])


# Not JSON

@all_writes
@pytest.mark.parametrize("body", [
    b"{", b'{"otp": }', b"otp=123456", b"<otp>1</otp>", b"{'otp': 1}", b'{"otp": "1"} x', b'{"otp": NaN}',
    b"\xff\xfe{}", b'{"otp": "\xc3\x28"}', b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
], ids=["cut", "no value", "form", "xml", "quotes", "more after it", "NaN", "not UTF-8", "broken UTF-8", "deep array", "deep object"])
def test_what_is_not_json_is_a_bad_request(person, method, tail, body):
    expect.bad_request(raw(person, method, tail, body))


@all_writes
@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"true"])
def test_json_that_is_no_object_is_a_bad_request(person, method, tail, body):
    expect.bad_request(raw(person, method, tail, body))


# Missing, empty and wrong

@writes
@pytest.mark.parametrize("body", [b"", b"{}", b" \n ", None], ids=["zero bytes", "{}", "blanks", "no body"])
def test_an_empty_body_where_one_is_needed_names_the_missing_field(person, method, tail, field, body):
    expect.bad_request(raw(person, method, tail, body), field)


def test_a_missing_display_name_is_named(person):
    expect.bad_request(person.api.post(person.path("/registrations"), {"factor_id": SMS}), "display_name")


def test_an_empty_display_name_is_not_allowed(person):
    expect.invalid(person.register(SMS, display_name=""), "display_name")


@pytest.mark.parametrize("field, value", [
    ("factor_id", "abc"), ("factor_id", True), ("factor_id", []), ("factor_id", {}), ("factor_id", 58959.5),
    ("display_name", 7), ("display_name", []), ("display_name", True),
    ("expires_in", True), ("expires_in", []), ("expires_in", 120.5),
    ("verified", "maybe"), ("verified", 1), ("verified", []),
    ("redirect_to", 7), ("redirect_to", {}), ("custom_message", 7), ("custom_message", []),
], ids=str)
def test_a_wrong_type_in_a_registration_names_the_field(person, field, value):
    body = {"factor_id": SMS, "display_name": "mine", field: value}
    expect.bad_request(person.api.post(person.path("/registrations"), body), field)


@pytest.mark.parametrize("field, value", [
    ("device_id", True), ("device_id", []), ("device_id", {}), ("expires_in", []), ("expires_in", False),
    ("display_name", 7), ("redirect_to", 7), ("custom_message", 7), ("otp", True), ("otp", []), ("otp", {}),
], ids=str)
def test_a_wrong_type_in_a_verification_names_the_field(person, field, value):
    device = person.enrol_sms()
    expect.bad_request(person.api.post(person.path("/verifications"), {"device_id": device.number, field: value}), field)


@pytest.mark.parametrize("value", [True, [], {}, ["123456"]], ids=str)
def test_a_wrong_type_of_otp_names_it_and_is_no_guess(person, clock, value):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    for _ in range(6):
        expect.bad_request(person.answer(started, value), "otp")
    expect.accepted(person.answer(started, code))


@pytest.mark.parametrize("field, value", [("expires_in", []), ("expires_in", True), ("reusable", 7), ("reusable", [])], ids=str)
def test_a_wrong_type_in_a_temporary_token_names_the_field(person, field, value):
    expect.bad_request(person.temporary_token(**{field: value}), field)


def test_a_string_that_is_no_number_is_refused_for_expires_in(person):
    # The contract leaves open whether "abc" is a wrong JSON type (400) or a value that is not allowed (422): a string is
    # an accepted type here. Both must name the field; nothing may be sent.
    for response in (person.register(SMS, expires_in="abc"), person.temporary_token(expires_in="abc")):
        assert response.status_code in (400, 422), expect.story(response)
        if response.status_code == 400:
            expect.bad_request(response, "expires_in")
        else:
            expect.invalid(response, "expires_in")
    assert person.devices() == []


def test_unknown_fields_are_ignored(person, clock):
    device = person.enrol_sms()
    started = expect.ok(person.challenge(device, colour="blue", nested={"a": [1, {"b": None}]}), 201)
    code = person.message()["code"]
    expect.accepted(person.answer(started["id"], code, colour="blue"))
    made = expect.ok(person.register(EMAIL, colour=["blue"]), 201)
    expect.ok(person.confirm(made["id"], person.message()["code"], colour=1), 200)
    expect.ok(person.temporary_token(colour=1.5), 201)


def test_numbers_are_accepted_as_decimal_strings(person):
    made = expect.ok(person.register(str(SMS), expires_in="300"), 201)
    code = person.message()["code"]
    expect.ok(person.confirm(made["id"], code), 200)
    expect.ok(person.challenge(str(made["device_id"]), expires_in="900"), 201)


# Size and media type

@all_writes
def test_a_body_of_a_mebibyte_is_too_large(person, method, tail):
    body = json.dumps({"otp": "x" * (1 << 20)}).encode()
    try:
        response = raw(person, method, tail, body)
    except OSError:
        # The server may answer and close while we still write. That is no answer that a client can rely on.
        raise AssertionError("the connection broke before the answer could be read") from None
    expect.error(response, 413, "PayloadTooLarge")


def test_the_limit_is_64_kib_to_the_byte(person):
    def padded(size):
        body = json.dumps({"expires_in": 600, "pad": ""}).encode()
        return body[:-2] + b"x" * (size - len(body)) + body[-2:]

    assert len(padded(LIMIT)) == LIMIT
    expect.ok(raw(person, "POST", "/mfa_token", padded(LIMIT)), 201)
    expect.error(raw(person, "POST", "/mfa_token", padded(LIMIT + 1)), 413, "PayloadTooLarge")


def test_a_body_without_an_announced_length_is_bounded_too(person):
    def chunks():
        yield b'{"pad": "'
        for _ in range(80):
            yield b"x" * 1024
        yield b'"}'

    expect.error(raw(person, "POST", "/mfa_token", chunks()), 413, "PayloadTooLarge")


@all_writes
@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"])
def test_another_media_type_is_refused(person, method, tail, media):
    expect.error(raw(person, method, tail, b"{}", {"Content-Type": media}), 415, "UnsupportedMediaType")


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=UTF-8"])
def test_json_by_any_spelling_is_taken(person, media):
    expect.ok(raw(person, "POST", "/mfa_token", b'{"expires_in": 600}', {"Content-Type": media}), 201)


def test_a_body_without_a_content_type_is_taken_as_json(person):
    expect.ok(raw(person, "POST", "/mfa_token", b'{"expires_in": 600}', {}), 201)
    expect.bad_request(raw(person, "POST", "/mfa_token", b"nonsense", {}))


@pytest.mark.parametrize("method, tail", [
    ("DELETE", "/factors"), ("POST", "/factors"), ("POST", "/devices"), ("GET", "/registrations"), ("GET", "/verifications"),
    ("DELETE", f"/registrations/{NOBODY}"), ("PATCH", f"/verifications/{NOBODY}"), ("GET", "/mfa_token"), ("GET", "/devices/1"),
])
def test_a_wrong_method_says_which_are_allowed(person, method, tail):
    response = raw(person, method, tail, None)
    expect.error(response, 405, "MethodNotAllowed")
    assert response.headers.get("Allow"), expect.story(response)


def test_an_unknown_path_is_not_found(person):
    expect.not_found(person.api.get(person.path("/nothing")))
    expect.not_found(person.api.get("/api/2/nothing"))


# Ids

@pytest.mark.parametrize("ident", ["0", "-1", str(2**63), str(2**64), str(2**70), "abc", "1.0", "1e3", "0x10", "%201", "1%20", "１", "1,2", "null"])
def test_a_malformed_user_id_is_a_bad_request_that_names_it(api, ident):
    base = f"/api/2/mfa/users/{ident}"
    for response in (
        api.get(f"{base}/factors"), api.get(f"{base}/devices"), api.get(f"{base}/registrations/{NOBODY}"),
        api.get(f"{base}/verifications/{NOBODY}"), api.delete(f"{base}/devices/1"),
        api.post(f"{base}/registrations", {"factor_id": SMS, "display_name": "x"}),
        api.put(f"{base}/registrations/{NOBODY}", {"otp": "123456"}),
        api.post(f"{base}/verifications", {"device_id": 1}), api.put(f"{base}/verifications/{NOBODY}", {"otp": "123456"}),
        api.post(f"{base}/mfa_token", {}),
    ):
        expect.bad_request(response, "user_id")
    # The users API knows the same id by the name `id` or `user_id`.
    expect.bad_request(api.get(f"/api/2/users/{ident}"), "id")


def test_the_largest_user_id_is_well_formed_and_belongs_to_nobody(api):
    expect.not_found(api.get(f"/api/2/mfa/users/{2**63 - 1}/devices"))


@pytest.mark.parametrize("ident", ["abc", "0", "-1", NOBODY[:-1], NOBODY + "0", NOBODY.replace("-", ""), "%00", "..%2f..", "１"])
def test_a_malformed_registration_or_verification_id_is_not_found(person, ident):
    for response in (
        person.registration(ident), person.confirm(ident, "123456"), person.poll(ident), person.answer(ident, "123456"),
    ):
        expect.not_found(response)


@pytest.mark.parametrize("ident", ["abc", "0", "-1", str(2**63), "user_temp_otp_", "user_temp_otp_x", "user_temp_otp_99999999", NOBODY])
def test_a_malformed_or_unknown_device_id_is_not_found(person, ident):
    expect.not_found(person.remove(ident))
    expect.not_found(person.challenge(ident))
    expect.not_found(person.verify("123456", ident))


@pytest.mark.parametrize("ident", [0, -1, 99999999, 2**63])
def test_a_number_that_is_no_device_is_not_found(person, ident):
    expect.not_found(person.challenge(ident))


# Codes

def test_another_users_registration_verification_and_device_are_not_found(people, clock):
    owner, other = people(), people()
    device = owner.enrol_sms()
    made = expect.ok(owner.register(EMAIL), 201)
    started = expect.ok(owner.challenge(device), 201)
    for response in (
        other.registration(made["id"]), other.confirm(made["id"], "123456"), other.poll(started["id"]),
        other.answer(started["id"], "123456"), other.remove(device.id), other.challenge(device), other.verify("123456", device),
    ):
        expect.not_found(response)


def test_an_expired_verification_refuses_the_right_code(person, clock):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    clock.advance(121)
    expect.refused_code(person.answer(started, code))


def test_a_finished_verification_refuses_its_code_and_any_other(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    expect.accepted(person.answer(started, code))
    expect.refused_code(person.answer(started, code))
    expect.refused_code(person.answer(started, oath.other(code)))
    assert expect.ok(person.poll(started), 200)["status"] == "accepted"


def test_a_finished_registration_refuses_its_code(person):
    made = expect.ok(person.register(SMS), 201)
    code = person.message()["code"]
    expect.ok(person.confirm(made["id"], code), 200)
    expect.refused_code(person.confirm(made["id"], code))
    assert person.device_ids() == [made["device_id"]]


@pytest.mark.parametrize("dress", ["{0:.5}", "{0}7", "{0}789", "{wide}", " {0}", "{0} ", "{0}\n", "+{0}", "-{0}"])
@pytest.mark.parametrize("where", ["registration", "verification"])
def test_a_code_in_another_dress_is_a_wrong_code(person, dress, where):
    if where == "registration":
        ident = expect.ok(person.register(SMS), 201)["id"]
        code = person.message()["code"]
        send = person.confirm
    else:
        ident, code = person.sms_challenge(person.enrol_sms())
        send = person.answer
    wide = "".join(chr(ord("０") + int(d)) for d in code)
    expect.refused_code(send(ident, dress.format(code, wide=wide)))
    response = send(ident, code)
    assert response.status_code == 200, expect.story(response)


@pytest.mark.parametrize("digits", [5, 7, 9])
def test_a_code_of_another_length_is_a_wrong_code_five_of_which_reject(person, digits):
    started, code = person.sms_challenge(person.enrol_sms())
    for _ in range(5):
        expect.refused_code(person.answer(started, ("0" * 9 + code)[-digits:]))
    assert expect.ok(person.poll(started), 200)["status"] == "rejected"


@pytest.mark.parametrize("number", [1234567, 123456789, 2**63, 10**30])
def test_a_number_that_is_too_long_is_a_wrong_code(person, number):
    started, code = person.sms_challenge(person.enrol_sms())
    assert int(code) != number
    expect.refused_code(person.answer(started, number))
    expect.accepted(person.answer(started, code))


# Destinations

@pytest.mark.parametrize("phone", ["12345", "abc", "+", "+12", "+1 202 555 0100 x", "0049151123456", "+1202555０１００", "+" + "1" * 16, "+0123456789"])
def test_a_bad_phone_number_is_refused_when_the_user_is_made_and_changed(api, person, phone):
    expect.invalid(api.post("/api/2/users", {"username": f"bad-{phone}", "phone": phone}), "phone")
    expect.invalid(person.update(phone=phone), "phone")
    assert expect.ok(api.get(f"/api/2/users/{person.id}"), 200)["phone"] == person.phone


@pytest.mark.parametrize("email", ["nobody", "@example.com", "a@", "a b@example.com", "a@example.com\r\nBcc: b@example.com"])
def test_a_bad_email_address_is_refused(api, person, email):
    expect.invalid(api.post("/api/2/users", {"email": email}), "email")
    expect.invalid(person.update(email=email), "email")


def test_no_phone_number_is_named(people):
    expect.invalid(people(phone=None).register(SMS), "phone")


# Who asks

@pytest.mark.parametrize("token", ["", "nonsense", "a" * 64, "a" * 5000])
def test_an_unknown_token_is_refused(person, token):
    expect.bad_token(person.api.get(person.path("/devices"), token=token))


def test_no_token_is_refused(person):
    expect.bad_token(person.api.get(person.path("/devices"), token=None))


def test_a_revoked_token_is_refused(server, person):
    token = server.api.new_token()["access_token"]
    expect.ok(person.api.get(person.path("/devices"), token=token), 200)
    revoked = server.api.post("/auth/oauth2/revoke", {"access_token": token},
                              auth=(server.api.client_id, server.api.client_secret))
    expect.ok(revoked, 200)
    expect.bad_token(person.api.get(person.path("/devices"), token=token))


def test_an_expired_token_is_refused(server, person, clock):
    token = server.api.new_token()["access_token"]
    clock.advance(36000 - 10)
    expect.ok(person.api.get(person.path("/devices"), token=token), 200)
    clock.advance(11)
    expect.bad_token(person.api.get(person.path("/devices"), token=token))


# The order of the checks

def test_the_checks_come_in_the_contracts_order(server, people, clock):
    person, reader = people(), server.as_scope("Read Users")
    device = person.enrol_totp()
    big = b"x" * (LIMIT + 1)
    # bearer before scope before user_id
    expect.bad_token(server.api.call("POST", "/api/2/mfa/users/abc/verifications", body=big, token="nonsense"))
    expect.forbidden(reader.call("POST", "/api/2/mfa/users/abc/verifications", body=b"{", headers=JSON))
    # user_id before media type and size
    expect.bad_request(server.api.call("POST", "/api/2/mfa/users/abc/verifications", body=b"x", headers={"Content-Type": "text/plain"}), "user_id")
    # media type and size before the body, the body before the user
    expect.error(server.api.call("POST", "/api/2/mfa/users/99999999/verifications", body=b"{", headers={"Content-Type": "text/plain"}), 415, "UnsupportedMediaType")
    expect.error(server.api.call("POST", "/api/2/mfa/users/99999999/verifications", body=big, headers=JSON), 413, "PayloadTooLarge")
    expect.bad_request(server.api.call("POST", "/api/2/mfa/users/99999999/verifications", body=b"{", headers=JSON))
    # the user before the values
    expect.not_found(server.api.post("/api/2/mfa/users/99999999/registrations", {"factor_id": 1, "display_name": "x", "expires_in": 1}))
    # the device before the values
    expect.not_found(person.challenge("9999999", expires_in=1))
    # not active before the values, the values before the delay
    expect.ok(person.update(status=2), 200)
    expect.forbidden(person.challenge(device, expires_in=1))
    expect.ok(person.update(status=1), 200)
    at = clock.fresh_step()
    for n in range(5):
        expect.refused_code(person.verify(device.wrong(at, n), device))
    expect.invalid(person.challenge(device, expires_in=1), "expires_in")
    expect.delayed(person.challenge(device, expires_in=120), 30)


def test_the_delay_comes_before_what_is_finished(person):
    device = person.enrol_sms()
    started, code = person.sms_challenge(device)
    for n in range(1, 6):
        expect.refused_code(person.answer(started, oath.other(code, n)))
    expect.delayed(person.answer(started, code), 30)


# The protocol below

def exchange(server, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read(connection)


@pytest.mark.parametrize("data", [
    b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /api/2/users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/2/users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: abc\r\n\r\n",
    b"POST /api/2/users HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
], ids=["no request", "version", "negative length", "length in letters", "two lengths"])
def test_what_is_no_http_is_refused_with_400_and_harms_nobody(server, data):
    try:
        assert exchange(server, data).status == 400
    except AssertionError as error:
        # HTTP lets a server close without an answer, too.
        assert "closed without an answer" in str(error)
    expect.ok(server.api.get("/api/2/users", params={"limit": 1}), 200)


def test_a_huge_header_is_refused_and_harms_nobody(server):
    head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Big: "
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            connection.sendall(head + b"x" * 1_000_000 + b"\r\n\r\n")
            first = connection.recv(12)
        except ConnectionError:
            first = b""  # closed while we were still writing: refused all the same
    assert not first.startswith(b"HTTP/1.1 2"), first
    assert server.api.get("/healthz", token=None).status_code == 200
