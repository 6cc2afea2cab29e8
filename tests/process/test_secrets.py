"""After a full run no secret, code or token is found in the database files, the logs, the metrics or the audit trail,
and a planted one is: so the search would have found it."""

import json
import shutil
import sqlite3

import pytest

from harness import expect, needles, oath
from harness.people import AUTHENTICATOR, EMAIL, SMS, Person


class Run:
    """Every operation, well and badly, with each secret of it written down."""

    def __init__(self, server):
        self.server = server
        self.needles = []
        self.people = []
        self.live()

    def add(self, kind, name, value):
        self.needles.append(kind(name, value))
        return value

    def live(self):
        server = self.server
        for name, (_, secret) in server.credentials.items():
            self.add(needles.secret, f"client secret of {name}", secret)
        self.tokens()
        for _ in range(4):
            person = Person(server, password="correct-horse-battery-staple")
            self.people.append(person)
            self.authenticator(person)
            self.messages(person)
            self.temporary(person)
        self.add(needles.secret, "password", "correct-horse-battery-staple")
        # Things that go wrong often end in a log: a token in the wrong place, a secret in the wrong field.
        api = server.api
        token = api.token
        api.get(f"/api/2/users/{token}")
        api.get("/api/2/users", params={"cursor": token})
        api.get("/api/2/users", headers={"Authorization": f"Basic {token}"})
        api.post("/auth/oauth2/v2/token", {"grant_type": token}, auth=(api.client_id, api.client_secret[::-1]))
        self.add(needles.secret, "wrong client secret", api.client_secret[::-1])
        api.call("POST", self.people[0].path("/registrations"), body=b'{"otp": "' + token.encode() + b'"',
                 headers={"Content-Type": "application/json"})

    def tokens(self):
        api = self.server.api
        self.add(needles.secret, "bearer token in use", api.token)
        one = api.new_token()
        self.add(needles.secret, "access token", one["access_token"])
        self.add(needles.secret, "refresh token", one["refresh_token"])
        basic = (api.client_id, api.client_secret)
        two = expect.ok(api.post("/auth/oauth2/v2/token", {"grant_type": "refresh_token", **{
            k: one[k] for k in ("access_token", "refresh_token")}}, auth=basic), 200)
        self.add(needles.secret, "refreshed access token", two["access_token"])
        self.add(needles.secret, "new refresh token", two["refresh_token"])
        expect.ok(api.post("/auth/oauth2/revoke", {"access_token": two["access_token"]}, auth=basic), 200)

    def authenticator(self, person):
        at = self.server.clock.fresh_step()
        made = expect.ok(person.register(AUTHENTICATOR), 201)
        secret = self.add(needles.totp, f"TOTP secret of {person.id}", made["factor_data"]["verification_token"])
        code = self.add(needles.code, f"registration TOTP code of {person.id}", oath.code(secret, at - 30))
        expect.ok(person.confirm(made["id"], code), 200)
        code = self.add(needles.code, f"used TOTP code of {person.id}", oath.code(secret, at))
        expect.accepted(person.verify(code, made["device_id"]))
        expect.refused_code(person.verify(code, made["device_id"]))
        wrong = self.add(needles.code, f"wrong TOTP code of {person.id}", oath.wrong_code(secret, at, 55 + person.id))
        expect.refused_code(person.verify(wrong, made["device_id"]))
        # A pending one is left behind: its secret must be sealed as well.
        other = Person(self.server)
        pending = expect.ok(other.register(AUTHENTICATOR), 201)
        self.add(needles.totp, f"pending TOTP secret of {other.id}", pending["factor_data"]["verification_token"])

    def messages(self, person):
        for factor in (SMS, EMAIL):
            made = expect.ok(person.register(factor), 201)
            code = self.add(needles.code, f"registration code {factor} of {person.id}", person.message()["code"])
            expect.ok(person.confirm(made["id"], code), 200)
            started = expect.ok(person.challenge(made["device_id"]), 201)["id"]
            code = self.add(needles.code, f"verification code {factor} of {person.id}", person.message()["code"])
            wrong = self.add(needles.code, f"wrong code {factor} of {person.id}", oath.other(code, 4242))
            expect.refused_code(person.answer(started, wrong))
            expect.accepted(person.answer(started, code))
            expect.ok(person.challenge(made["device_id"]), 201)
            self.add(needles.code, f"open code {factor} of {person.id}", person.message()["code"])

    def temporary(self, person):
        used = expect.ok(person.temporary_token(), 201)["mfa_token"]
        self.add(needles.code, f"used token of {person.id}", used)
        expect.accepted(person.verify(used))
        open_ = expect.ok(person.temporary_token(reusable=True), 201)["mfa_token"]
        self.add(needles.code, f"open token of {person.id}", open_)


@pytest.fixture(scope="module")
def finished(server):
    # The most talkative logs of all would be a fairer test still; the levels differ by what the server offers.
    return Run(server)


def test_no_secret_rests_in_the_data_folder_while_the_server_runs(server, finished, tmp_path):
    snapshot = tmp_path / "snapshot"
    shutil.copytree(server.data, snapshot)
    assert any(p.name.endswith("-wal") and p.stat().st_size for p in snapshot.rglob("*")), "no write-ahead log to search"
    client = needles.secret("client secret", server.api.client_secret)
    assert needles.search_files(snapshot, [*finished.needles, client]) == []


def test_no_secret_is_in_the_logs(server, finished):
    out, err = server.stdout_path.read_text(errors="replace"), server.stderr_path.read_text(errors="replace")
    assert out + err
    assert needles.search_text("stdout", out, finished.needles) == []
    assert needles.search_text("stderr", err, finished.needles) == []


def test_the_client_secret_is_printed_in_the_block_at_the_start_and_nowhere_else(server, finished):
    # dev prints one block that a person can paste, credentials and all: that is what the block is for.
    both = server.stdout_path.read_text(errors="replace") + server.stderr_path.read_text(errors="replace")
    block_ends = both.rfind("/dev/outbox")
    assert server.api.client_secret not in both[block_ends:], "the client secret is in the logs"


def test_no_secret_is_in_the_metrics(server, finished):
    text = server.api.get("/metrics", token=None).text
    assert text
    assert needles.search_text("/metrics", text, [*finished.needles, needles.secret("client", server.api.client_secret)]) == []


def test_no_secret_is_in_the_audit_trail(server, finished):
    for person in finished.people:
        events = person.events()
        assert len(events) >= 10
        assert needles.search_text("/dev/events", json.dumps(events), finished.needles) == []


def test_no_secret_is_shown_by_reading_what_there_is(server, finished):
    for person in finished.people:
        texts = [person.list_devices().text, person.factors().text, server.api.get(f"/api/2/users/{person.id}").text]
        for text in texts:
            assert needles.search_text("answers", text, finished.needles) == []


def test_the_search_finds_what_is_planted_in_every_place(server, finished, tmp_path):
    """The positive control: each form of each kind of needle, put into a copy, is found."""
    snapshot = tmp_path / "control"
    shutil.copytree(server.data, snapshot)
    database = next(p for p in snapshot.rglob("*") if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3")
    planted = [
        needles.secret("a token", "c2VjcmV0LXRva2VuLXRoYXQtaXMtcGxhbnRlZC1oZXJl"), needles.totp("a seed", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        needles.code("a code", "194785"),
    ]
    assert needles.search_files(snapshot, planted) == [], "the control must begin clean"
    connection = sqlite3.connect(database)
    connection.execute("create table planted (value)")
    for needle in planted:
        for form in needle.forms or (needle.digits.encode(),):
            for value in ({form, form.decode("latin-1")} if form.isascii() else {form}):
                connection.execute("delete from planted")
                connection.execute("insert into planted values (?)", (value,))
                connection.commit()
                assert any(name == needle.name for _, name in needles.search_files(snapshot, planted)), (needle.name, form)
    connection.execute("delete from planted")
    connection.execute("insert into planted values (194785)")
    connection.commit()
    assert ("a code" in {name for _, name in needles.search_files(snapshot, planted)})
    connection.close()
    # In the write-ahead log alone, as raw bytes …
    (snapshot / "x.db-wal").write_bytes(b"\x00" * 1000 + planted[1].forms[0] + b"\x00" * 1000)
    assert ("x.db-wal", "a seed") in needles.search_files(snapshot, planted)
    # … and in a log line.
    for text in ('{"otp":"194785"}', "otp=194785 ", "code 194785."):
        assert needles.search_text("log", text, planted) == [("log", "a code")]
    for innocent in ("12:00:00.194785Z", "user 1194785", "id a194785f"):
        assert needles.search_text("log", innocent, planted) == []


def test_the_data_folder_holds_this_run_at_all(server, finished):
    """Else nothing was searched: the people's names are found where the secrets are not."""
    names = [needles.secret(p.email, p.email) for p in finished.people]
    found = {name for _, name in needles.search_files(server.data, names)}
    assert found == {p.email for p in finished.people}


def test_the_data_folder_is_closed_to_others(server, finished):
    for path in [server.data, *server.data.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to other users: {oct(path.stat().st_mode)}"


def test_no_secret_rests_after_the_server_stopped(start_dev):
    server = start_dev(credentials=("Manage Users",))
    run = Run(server)
    server.stop()
    client = needles.secret("client secret", server.api.client_secret)
    assert needles.search_files(server.data, [*run.needles, client]) == []
