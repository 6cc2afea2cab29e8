"""Hardware tokens whose codes are counted (HOTP), judged by `oathtool`: imported while the server runs, and beside an app."""

import base64
import json
import secrets

import pytest

from harness import expect, oath
from harness.people import AUTHENTICATOR
from harness.serve import refused, run


class Token:
    def __init__(self, digits=6, counter=0, seed=None):
        self.serial = f"T{secrets.randbelow(10**9):09d}"
        self.seed = seed or secrets.token_hex(20)
        self.digits, self.counter = digits, counter

    def line(self, user, secret=None):
        return f"{user},{self.serial},{secret or self.seed},{self.counter},{self.digits}"

    def code(self, counter):
        return oath.hotp(self.seed, counter, self.digits)[0]

    def codes(self, counter, count):
        return oath.hotp(self.seed, counter, self.digits, count)

    def never(self):
        """A code that is none of those that are looked for."""
        known = set(oath.hotp(self.seed, 0, self.digits, 2_100))
        return next(code for code in (f"{n:0{self.digits}d}" for n in range(10**6)) if code not in known)


@pytest.fixture
def bring_in(server, tmp_path):
    def bring_in(*lines):
        path = tmp_path / "tokens.csv"
        path.write_text("user,serial,secret,counter,digits\n" + "".join(f"{line}\n" for line in lines))
        return json.loads(run("token", "import", path, "--output", "json", *server.storage_flags()))

    return bring_in


@pytest.fixture
def token(person, bring_in):
    token = Token()
    assert bring_in(token.line(person.id)) == {"imported": 1, "already_there": 0}
    [token.device] = person.device_ids()
    return token


def test_an_imported_token_is_a_device_at_once_and_its_codes_let_in_in_their_order(person, token):
    [listed] = person.devices()
    assert (listed["auth_factor_name"], listed["user_display_name"]) == ("Google Authenticator", f"Token {token.serial}")
    for code in token.codes(0, 4):
        expect.accepted(person.verify(code, token.device))
        expect.refused_code(person.verify(code, token.device))
    started = expect.ok(person.challenge(token.device), 201)
    expect.accepted(person.answer(started["id"], token.code(4)))
    assert [event["action"] for event in person.events()].count("import_device") == 1


def test_a_number_has_its_zeros_back(person, bring_in):
    token = Token()
    zero = next(i for i, code in enumerate(token.codes(0, 200)) if code.startswith("0"))
    token.counter = zero
    bring_in(token.line(person.id))
    expect.accepted(person.verify(int(token.code(zero)), person.device_ids()[0]))


def test_a_token_of_eight_digits(person, bring_in):
    token = Token(digits=8, counter=77)
    bring_in(token.line(person.fields["username"], base64.b32encode(bytes.fromhex(token.seed)).decode()))
    [device] = person.device_ids()
    expect.refused_code(person.verify(token.code(77)[2:], device))
    expect.accepted(person.verify(token.code(77), device))
    expect.accepted(person.verify(token.code(86 + 1), device))


def test_ten_codes_from_the_next_are_looked_at_and_what_was_skipped_is_used(person, token):
    codes = token.codes(0, 21)
    expect.refused_code(person.verify(codes[10], token.device))
    assert person.events()[0]["reason"] == "outside_window_by_10_steps"
    expect.accepted(person.verify(codes[9], token.device))
    for skipped in (0, 5, 8, 9):
        expect.refused_code(person.verify(codes[skipped], token.device))
        assert person.events()[0]["reason"] == "used"


def test_two_codes_in_a_row_find_a_token_that_is_far_ahead(person, token):
    first, second, third = token.codes(700, 3)
    expect.refused_code(person.verify(first, token.device))
    expect.accepted(person.verify(second, token.device))
    expect.refused_code(person.verify(first, token.device))
    expect.refused_code(person.verify(second, token.device))
    expect.accepted(person.verify(third, token.device))


@pytest.mark.parametrize("between", ["another", "skipped"])
def test_nothing_but_the_very_next_code_finds_it(person, token, between):
    first, second, third = token.codes(700, 3)
    expect.refused_code(person.verify(first, token.device))
    if between == "another":
        expect.refused_code(person.verify(token.never(), token.device))
        expect.refused_code(person.verify(second, token.device))
    else:
        expect.refused_code(person.verify(third, token.device))
        expect.refused_code(person.verify(second, token.device))
    expect.accepted(person.verify(token.code(0), token.device))


def test_a_token_that_is_further_ahead_than_a_thousand_is_not_found(person, token):
    for code in token.codes(1_000, 2):
        expect.refused_code(person.verify(code, token.device))
    assert person.events()[0]["reason"] == "wrong"


def test_codes_that_are_far_ahead_are_counted_like_any(person, token, clock):
    far = token.codes(100, 10)
    for code in far[::2]:
        expect.refused_code(person.verify(code, token.device))
    expect.delayed(person.verify(far[9], token.device), 30)
    clock.advance(30)
    expect.accepted(person.verify(far[9], token.device))


def test_an_app_and_a_token_stand_side_by_side(person, token):
    offered = [factor["factor_id"] for factor in expect.ok(person.factors(), 200)]
    assert AUTHENTICATOR in offered
    app = person.enrol_totp()
    offered = [factor["factor_id"] for factor in expect.ok(person.factors(), 200)]
    assert AUTHENTICATOR not in offered
    at = person.server.clock.fresh_step()
    expect.accepted(person.verify(app.code(at), app))
    expect.accepted(person.verify(token.code(0), token.device))
    at = person.server.clock.fresh_step()
    for device in (app.id, token.device):
        expect.ok(person.challenge(device), 201)
    expect.accepted(person.verify(token.code(1)))
    expect.accepted(person.verify(app.code(at)))


def test_what_was_used_of_a_token_stays_used_under_its_next_owner(people, bring_in):
    first, second, token = people(), people(), Token()
    bring_in(token.line(first.id))
    [device] = first.device_ids()
    expect.accepted(first.verify(token.code(3), device))
    expect.ok(first.remove(device), 204)
    bring_in(token.line(second.id))
    [device] = second.device_ids()
    expect.refused_code(second.verify(token.code(3), device))
    expect.accepted(second.verify(token.code(4), device))


def test_an_import_is_all_or_nothing_and_names_the_line(server, people, bring_in, tmp_path):
    owner, other, taken, new = people(), people(), Token(), Token()
    bring_in(taken.line(owner.id))
    flags = server.storage_flags()
    path = tmp_path / "bad.csv"
    good = new.line(other.id)
    bad = {
        f"{good}\n{taken.line(other.id)}\n": ("line 2", "another user's"),
        f"{good}\n{new.line(owner.id)}\n": ("line 2", "line 1 too"),
        f"{good}\n{Token().line('nobody@people.example')}\n": ("line 2", "nobody@people.example"),
        f"{good}\n{Token().line(2**40)}\n": ("line 2", "no user"),
        f"{good}\n1,2\n": ("line 2", "expected"),
        f"{good}\n{Token().line(other.id, 'g1' * 20)}\n": ("line 2", "secret"),
        f"{good}\n{Token().line(other.id, 'ab' * 15)}\n": ("line 2", "secret"),
        f"{good}\n{Token(digits=7).line(other.id)}\n": ("line 2", "digits"),
        f"{good}\n{Token(counter=-1).line(other.id)}\n": ("line 2", "counter"),
        "".join(f"{Token().line(other.id)}\n" for _ in range(11)): ("line 11", "more than 10"),
        "# nothing\n": ("nothing in it",),
    }
    for text, words in bad.items():
        path.write_text(text)
        said = refused("token", "import", path, *flags)
        assert all(word in said for word in words), said
        assert new.seed not in said and taken.seed not in said
    assert other.devices() == []
    # The same once more changes nothing, so that an import that was cut short can be said again.
    assert bring_in(taken.line(owner.id), good) == {"imported": 1, "already_there": 1}
    assert len(owner.devices()) == 1 and len(other.devices()) == 1
    listed = json.loads(run("token", "list", "--output", "json", *flags))
    assert {it["serial"]: it["user_id"] for it in listed}[new.serial] == other.id
