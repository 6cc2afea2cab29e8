"""The whole state goes from one database to another, of either kind: what was used stays used, what was open goes on where the
source was closed for good and ends where it was not, and a stream that is not whole brings nothing."""

import base64
import json
import secrets
import shutil
import subprocess
import threading
import time

import pytest

from harness import expect, oath
from harness.people import RECOVERY, Person
from harness.serve import refused, run
from harness.server import binary, clean_env

DIRECTIONS = [("sqlite", "postgres"), ("postgres", "sqlite"), ("sqlite", "sqlite"), ("postgres", "postgres")]
CROSSING = DIRECTIONS[:2]


class World:
    """Servers of `factord dev` with one key and one credential, on databases of either kind."""

    def __init__(self, request, start_dev, base):
        self.request, self.start_dev, self.base = request, start_dev, base
        self.key = base / "dev.key"
        self.key.write_text(run("key", "generate"))
        self.secret = secrets.token_hex(32)
        self.places = 0

    def place(self, engine):
        """A data directory with the key, and the URL of a database if it is on a server."""
        self.places += 1
        folder = self.base / f"place{self.places}"
        folder.mkdir(mode=0o700)
        shutil.copy(self.key, folder / "dev.key")
        (folder / "dev.key").chmod(0o600)
        url = None
        if engine == "postgres":
            url = self.request.getfixturevalue("postgres").database(f"moved_{secrets.token_hex(6)}")
        return folder, url

    def start(self, place):
        folder, url = place
        return self.start_dev(data=folder, database=url, client_secret=self.secret)

    def export(self, place, *arguments, name=None):
        stream = self.base / (name or f"{secrets.token_hex(4)}.export")
        told = run("export", stream, *arguments, "--yes", "--output", "json", *flags(place))
        assert stream.stat().st_mode & 0o777 == 0o600
        return stream, json.loads(told)

    def import_(self, stream, place, *arguments):
        return json.loads(run("import", stream, *arguments, "--yes", "--output", "json", *flags(place)))


def flags(place):
    folder, url = place
    return ["--database", url, "--key", folder / "dev.key"] if url else ["--data", folder]


@pytest.fixture
def world(request, start_dev, tmp_path):
    return World(request, start_dev, tmp_path)


class Lived:
    """A server with a person who has used and opened everything that there is."""

    def __init__(self, server):
        self.server = server
        self.person = person = Person(server)
        self.device = person.enrol_totp()
        self.recovery = expect.ok(person.register(RECOVERY), 201)
        expect.ok(person.confirm(self.recovery["id"], self.recovery["factor_data"]["recovery_codes"][9]), 200)
        self.codes = self.recovery["factor_data"]["recovery_codes"]
        self.token = expect.ok(person.temporary_token(), 201)["mfa_token"]
        self.sms = person.enrol_sms()
        self.at = server.clock.fresh_step()
        self.used = self.device.code(self.at)
        expect.accepted(person.verify(self.used, self.device))
        expect.accepted(person.verify(self.codes[0], self.recovery["device_id"]))
        gone = Person(server)
        assert server.api.delete(f"/api/2/users/{gone.id}").status_code == 204
        self.gone = gone.id
        self.wrong = Person(server)
        self.guessed = self.wrong.enrol_sms()
        self.open_guess, self.open_guess_code = self.wrong.sms_challenge(self.guessed)
        for _ in range(2):
            expect.refused_code(self.wrong.answer(self.open_guess, oath.other(self.open_guess_code)))
        self.open, self.open_code = person.sms_challenge(self.sms)
        self.bearer = server.api.token
        self.events = server.dev("GET", "/dev/events")

    def now_at(self, server):
        for person in (self.person, self.wrong):
            person.server, person.api = server, server.api
        self.server = server


def lived(world, engine):
    place = world.place(engine)
    life = Lived(world.start(place))
    return place, life


@pytest.mark.parametrize("source,target", DIRECTIONS)
def test_after_a_final_export_everything_goes_on_where_it_was(world, source, target):
    place, life = lived(world, source)
    life.server.stop()
    stream, told = world.export(place, "--final")
    new = world.place(target)
    done = world.import_(stream, new)
    assert done["final"] and done["ended"] is None
    assert done["tables"] == told["tables"]
    for table in ("users", "finished", "audit_events", "deleted_users", "histories", "credentials", "tokens", "outbox"):
        assert told["tables"][table]["count"] > 0, table

    server = world.start(new)
    life.now_at(server)
    person = life.person
    # What was used stays used.
    expect.refused_code(person.verify(life.used, life.device))
    expect.refused_code(person.verify(life.codes[0], life.recovery["device_id"]))
    # What was open goes on, with what was counted, and what is good is good once.
    assert server.api.get("/api/2/users", token=life.bearer).status_code == 200
    expect.accepted(person.answer(life.open, life.open_code))
    expect.refused_code(person.answer(life.open, life.open_code))
    expect.accepted(person.verify(life.token))
    expect.refused_code(person.verify(life.token))
    expect.accepted(person.verify(life.codes[1], life.recovery["device_id"]))
    expect.refused_code(person.verify(life.codes[1], life.recovery["device_id"]))
    expect.accepted(life.wrong.answer(life.open_guess, life.open_guess_code))
    # The clock of the service, and the trail with its counts.
    assert abs(server.clock.now() - life.at) < 120
    trail = server.dev("GET", "/dev/events")
    assert trail[-len(life.events):] == life.events
    # An id that was given is never given again.
    assert Person(server, username="new@people.example").id > max(life.gone, life.wrong.id)


@pytest.mark.parametrize("source,target", CROSSING)
def test_there_and_back_again_is_the_same(world, source, target):
    place, life = lived(world, source)
    life.server.stop()
    stream, told = world.export(place, "--final")
    other, back = world.place(target), world.place(source)
    world.import_(stream, other)
    second, told_again = world.export(other, "--final")
    assert told_again["tables"] == told["tables"]
    assert world.import_(second, back)["tables"] == told["tables"]
    assert told_again["stream"] != told["stream"]


@pytest.mark.parametrize("source,target", CROSSING)
def test_without_final_nothing_that_was_used_since_works_again(world, source, target):
    place, life = lived(world, source)
    person, server = life.person, life.server
    revoked = json.loads(run("credential", "create", "--scope", "Read Users", "--id", "r", "--output", "json", *flags(place)))
    stream, told = world.export(place)
    assert not told["final"]
    # The source goes on.
    at = server.clock.fresh_step()
    used_since = life.device.code(at)
    expect.accepted(person.verify(used_since, life.device))
    expect.accepted(person.verify(life.token))
    expect.accepted(person.verify(life.codes[1], life.recovery["device_id"]))
    expect.accepted(person.answer(life.open, life.open_code))
    assert life.wrong.remove(life.guessed.id).status_code == 204
    run("credential", "revoke", "r", "--yes", *flags(place))
    events = world.base / "events.json"
    events.write_text(run("audit", "list", "--limit", "10000", "--output", "json", *flags(place)))
    server.stop()

    new = world.place(target)
    said = refused("import", stream, "--yes", *flags(new))
    assert "--accept-lost-revocations" in said
    done = world.import_(stream, new, "--audit", events)
    assert done["tables"] == told["tables"]
    ended = done["ended"]
    assert ended["users"] == 2 and ended["devices_deleted"] == 1 and ended["credentials_revoked"] == 1
    assert ended["devices_disabled"] == 1 and ended["devices_moved"] >= 1 and ended["sessions_ended"] > 0

    server = world.start(new)
    life.now_at(server)
    assert server.api.get("/api/2/users", token=life.bearer).status_code == 401
    expect.refused_code(person.verify(life.used, life.device))
    expect.refused_code(person.verify(used_since, life.device))
    expect.refused_code(person.verify(life.token))
    expect.forbidden(person.verify(life.codes[1], life.recovery["device_id"]))
    expect.forbidden(person.verify(life.codes[2], life.recovery["device_id"]))
    assert expect.ok(person.poll(life.open), 200)["status"] == "rejected"
    assert life.wrong.device_ids() == []
    listed = {each["client_id"]: each for each in json.loads(run("credential", "list", "--output", "json", *flags(new)))}
    assert listed[revoked["client_id"]]["revoked_at"]
    at = server.clock.fresh_step(3)
    expect.accepted(person.verify(life.device.code(at), life.device))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_database_that_was_exported_for_good_is_changed_by_nobody(world, engine):
    place, life = lived(world, engine)
    life.server.stop()
    stream, told = world.export(place, "--final")
    folder, url = place
    extra = ["--database", url] if url else []
    said = refused("dev", "--data", folder, "--listen", "127.0.0.1:0", *extra)
    assert "exported for good" in said and "--reopen" in said
    for command in (["user", "delete", str(life.person.id), "--yes"], ["credential", "create", "--scope", "Read All"]):
        assert "closed" in refused(*command, *flags(place)), command
    # Reading goes on, and so does writing the same stream again, as often as it takes.
    assert json.loads(run("audit", "list", "--output", "json", *flags(place)))
    again, told_again = world.export(place, "--final")
    assert told_again["final"] and told_again["tables"] == told["tables"]
    world.import_(again, world.place(engine))
    # One way back, which says what it costs.
    said = refused("export", "--reopen", *flags(place))
    assert "final export" in said
    run("export", "--reopen", "--yes", *flags(place))
    life.now_at(world.start(place))
    expect.accepted(life.person.answer(life.open, life.open_code))
    life.server.stop()
    assert "was not exported for good" in refused("export", "--reopen", "--yes", *flags(place))


@pytest.mark.parametrize("source,target", CROSSING)
def test_the_way_back_once_a_server_has_run_elsewhere_is_that_of_a_backup(world, source, target):
    place, life = lived(world, source)
    life.server.stop()
    stream, _ = world.export(place, "--final")
    new = world.place(target)
    world.import_(stream, new)
    life.now_at(world.start(new))
    at = life.server.clock.fresh_step()
    expect.accepted(life.person.verify(life.device.code(at), life.device))
    expect.accepted(life.person.verify(life.codes[1], life.recovery["device_id"]))
    assert life.wrong.remove(life.guessed.id).status_code == 204
    events = world.base / "events.json"
    events.write_text(run("audit", "list", "--limit", "10000", "--output", "json", *flags(new)))
    life.server.stop()

    given = ["--audit", events]
    if source == "sqlite":
        old = world.base / "old.db"
        (place[0] / "factord.db").rename(old)
        for left in place[0].glob("factord.db-*"):
            left.unlink()
        given += ["--from", old]
    done = json.loads(run("restore", *given, "--yes", "--output", "json", *flags(place)))
    assert done["devices_deleted"] == 1 and done["users"] == 2
    life.now_at(world.start(place))
    expect.refused_code(life.person.verify(life.used, life.device))
    expect.forbidden(life.person.verify(life.codes[1], life.recovery["device_id"]))
    assert life.wrong.device_ids() == []


def test_running_nodes_stop_deciding_before_the_final_snapshot(world):
    """Under load, on two nodes: whatever was acknowledged is in the stream."""
    place, life = lived(world, "postgres")
    other = world.start((world.place("sqlite")[0], place[1]))
    acknowledged, stop = [], []

    def load(server, name):
        number = 0
        while not stop:
            number += 1
            try:
                made = server.api.post("/api/2/users", {"username": f"{name}-{number}"})
            except OSError:
                return
            if made.status_code == 201:
                acknowledged.append(made.json()["id"])
            elif made.status_code != 503:
                raise AssertionError(expect.story(made))

    threads = [threading.Thread(target=load, args=(server, f"{name}{n}"))
               for name, server in (("a", life.server), ("b", other)) for n in range(2)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 40:
        time.sleep(0.01)  # polling for the load of other threads
    stream, told = world.export(place, "--final")
    # Both end by themselves, with a word why, and have acknowledged nothing meanwhile.
    for server in (life.server, other):
        assert server.process.wait(timeout=30) == 1, server.logs()
        assert "exported for good" in server.logs()
    stop.append(True)
    for thread in threads:
        thread.join(timeout=30)
    new = world.place("sqlite")
    world.import_(stream, new)
    users = json.loads(run("user", "list", "--limit", "10000", "--output", "json", *flags(new)))
    kept = {user["id"] for user in users}
    lost = set(acknowledged) - kept
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged users are not in the stream"


def test_on_sqlite_a_server_must_have_ended_before_a_final_export(world):
    place, life = lived(world, "sqlite")
    said = refused("export", world.base / "no.export", "--final", "--yes", *flags(place))
    assert "another server runs" in said
    expect.accepted(life.person.answer(life.open, life.open_code))
    assert not (world.base / "no.export").exists()


@pytest.fixture
def streams(world):
    """Two streams of the same database, as lines."""
    place, life = lived(world, "sqlite")
    life.server.stop()
    first, _ = world.export(place, "--final")
    second, _ = world.export(place, "--final")
    return [path.read_bytes().splitlines(keepends=True) for path in (first, second)]


def flip(line):
    bytes_ = bytearray(base64.b64decode(line.strip().strip(b'"') + b"=="))
    bytes_[len(bytes_) // 2] ^= 1
    return b'"' + base64.b64encode(bytes_).rstrip(b"=") + b'"\n'


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_a_stream_that_is_not_whole_brings_nothing(world, streams, target):
    lines, other = streams
    header = json.loads(lines[0])
    forged = {**header, "final": False}
    middle = len(lines) // 2
    same_kind = next(n for n in range(2, len(lines) - 2) if len(lines[n]) == len(lines[n + 1]))
    cases = {
        "altered": [*lines[:middle], flip(lines[middle]), *lines[middle + 1:]],
        "left out": [*lines[:middle], *lines[middle + 1:]],
        "repeated": [*lines[:middle], lines[middle], *lines[middle:]],
        "exchanged": [*lines[:same_kind], lines[same_kind + 1], lines[same_kind], *lines[same_kind + 2:]],
        "of another stream": [*lines[:middle], other[middle], *lines[middle + 1:]],
        "another end": [*lines[:-1], other[-1]],
        "no end": lines[:-1],
        "cut off": [*lines[:middle], lines[middle][:20]],
        "header alone": lines[:1],
        "an early end": [*lines[:middle], lines[-1]],
        "more after the end": [*lines, lines[-1]],
        "another header": [json.dumps(forged).encode() + b"\n", *lines[1:]],
        "a header of another stream": [other[0], *lines[1:]],
        "nothing": [],
        "no stream": [b'{"format":"other","version":1}\n'],
        "a later version": [json.dumps({**header, "version": 2}).encode() + b"\n", *lines[1:]],
    }
    new = world.place(target)
    path = world.base / "bad.export"
    for name, bad in cases.items():
        path.write_bytes(b"".join(bad))
        said = refused("import", path, "--yes", "--accept-lost-revocations", *flags(new))
        assert "error" in said, name
        assert json.loads(run("user", "list", "--output", "json", *flags(new))) == [], name
        assert json.loads(run("credential", "list", "--output", "json", *flags(new))) == [], name
    path.write_bytes(b"".join(lines))
    world.import_(path, new)


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_nothing_is_overwritten_and_no_other_key_opens_it(world, target):
    place, life = lived(world, "sqlite")
    life.server.stop()
    stream, _ = world.export(place, "--final")
    text = stream.read_bytes()
    for secret in (life.person.email.encode(), b"phone app", life.device.secret.encode(), b"person"):
        assert secret not in text and base64.b64encode(secret).rstrip(b"=")[:-1] not in text
    new = world.place(target)
    other = world.base / "other.key"
    other.write_text(run("key", "generate"))
    other.chmod(0o600)
    elsewhere = ["--database", new[1]] if new[1] else ["--data", world.base / "elsewhere"]
    assert "another key" in refused("import", stream, "--yes", *elsewhere, "--key", other)
    if new[1]:
        # The database took no key from that.
        assert json.loads(run("user", "list", "--output", "json", *flags(new))) == []
    world.import_(stream, new)
    assert "nothing is left to do" in refused("import", stream, "--yes", *flags(new))
    other, _ = world.export(place, "--final")
    assert "not empty" in refused("import", other, "--yes", *flags(new))
    life.now_at(world.start(new))
    expect.accepted(life.person.answer(life.open, life.open_code))


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_an_import_that_is_killed_anywhere_is_done_again(world, target):
    place, life = lived(world, "sqlite")
    for _ in range(60):
        Person(life.server)
    stream, told = world.export(place)
    life.server.stop()
    arguments = [binary(), "import", str(stream), "--accept-lost-revocations", "--yes", "--output", "json"]
    begin = time.monotonic()
    world.import_(stream, world.place(target), "--accept-lost-revocations")
    takes = time.monotonic() - begin
    for n in range(8):
        new = world.place(target)
        process = subprocess.Popen([*arguments, *map(str, flags(new))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=clean_env())
        try:
            process.wait(timeout=takes * (n + 1) / 9)  # cut off at moments that are spread over the whole
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        again = subprocess.run([*arguments, *map(str, flags(new))], capture_output=True, text=True, env=clean_env(), timeout=60)
        if again.returncode == 0:
            assert process.returncode != 0
            done = json.loads(again.stdout)
            assert done["ended"]["users"] == 62 and done["tables"] in (None, told["tables"])
        else:
            # It had ended, or was killed after its last commit.
            assert "nothing is left to do" in again.stderr, again.stderr
    life.now_at(world.start(new))
    assert expect.ok(life.person.poll(life.open), 200)["status"] == "rejected"


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_no_server_starts_between_the_rows_and_what_must_end(world, target):
    place, life = lived(world, "sqlite")
    stream, _ = world.export(place)
    expect.accepted(life.person.answer(life.open, life.open_code))
    life.server.stop()
    # Events that do not go back far enough are found out when the rows are there.
    events = json.loads(run("audit", "list", "--output", "json", *flags(place)))
    newest, all_of_them = world.base / "newest.json", world.base / "all.json"
    newest.write_text(json.dumps(events[:1]))
    all_of_them.write_text(json.dumps(events[1:]))
    new = world.place(target)
    said = refused("import", stream, "--yes", "--audit", newest, *flags(new))
    assert "--before" in said
    extra = ["--database", new[1]] if new[1] else []
    said = refused("dev", "--data", new[0], "--listen", "127.0.0.1:0", *extra)
    assert "being restored or imported" in said
    if new[1]:
        assert "closed" in refused("user", "delete", "1", "--yes", *flags(new))
    other, _ = world.export(place)
    assert "not empty" in refused("import", other, "--yes", "--accept-lost-revocations", *flags(new))
    done = world.import_(stream, new, "--audit", newest, "--audit", all_of_them)
    assert done["tables"] is None and done["ended"]["users"] == 2
    life.now_at(world.start(new))
    assert expect.ok(life.person.poll(life.open), 200)["status"] == "rejected"


def test_a_stream_goes_through_a_pipe(world):
    place, life = lived(world, "sqlite")
    life.server.stop()
    new = world.place("sqlite")
    export = subprocess.Popen([binary(), "export", "-", "--final", "--yes", *map(str, flags(place))], stdout=subprocess.PIPE,
                              env=clean_env())
    done = subprocess.run([binary(), "import", "-", *map(str, flags(new)), "--output", "json"], stdin=export.stdout,
                          capture_output=True, text=True, timeout=60, env=clean_env())
    assert export.wait(timeout=10) == 0 and done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tables"]["users"]["count"] == 2


def test_a_full_disk_leaves_no_file_and_says_how_to_go_on(world):
    place, life = lived(world, "sqlite")
    life.server.stop()
    said = refused("export", "/dev/full", "--final", "--yes", *flags(place))
    assert "/dev/full" in said
    with open("/dev/full", "wb") as full:
        export = subprocess.run([binary(), "export", "-", "--final", "--yes", *map(str, flags(place))], stdout=full,
                                stderr=subprocess.PIPE, text=True, timeout=60, env=clean_env())
    assert export.returncode == 1 and "stays closed" in export.stderr, export.stderr
    stream, _ = world.export(place, "--final")
    world.import_(stream, world.place("sqlite"))
