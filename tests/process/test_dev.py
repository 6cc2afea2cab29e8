"""What `factord dev` is, and what it refuses to be."""

import html
import json
import re
import socket
import time

import pytest
import requests

from harness import expect
from harness.burst import read
from harness.people import SMS, Person
from harness.serve import Installation, refused
from harness.server import free_port


def http(server, method, path, headers=None, **keywords):
    return requests.request(method, server.url + path, headers=headers, timeout=30, proxies={"http": None}, **keywords)


# Starting

def test_it_starts_with_nothing_configured_and_prints_what_a_person_needs(start_dev, tmp_path):
    from harness.server import Process

    port = free_port()
    process = Process(["dev", "--listen", f"127.0.0.1:{port}"], tmp_path, port=port).start()
    try:
        process.wait_ready()
        printed = process.stdout_path.read_text()
        assert f"http://127.0.0.1:{port}" in printed
        assert "/auth/oauth2/v2/token" in printed and "/dev/outbox.html" in printed
        assert (tmp_path / "factord-data").is_dir(), "the default data folder"
        # The token request that it prints works as it stands.
        command = re.search(r"curl[^\n]*(?:\\\n[^\n]*)*", printed).group(0)
        import subprocess

        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20)
        assert json.loads(done.stdout)["token_type"] == "bearer", done
    finally:
        process.discard()


def test_the_printed_credentials_stay_the_same_when_it_starts_again(tmp_path):
    from harness.server import Process

    def printed():
        port = free_port()
        (tmp_path / "stdout.log").unlink(missing_ok=True)
        process = Process(["dev", "--listen", f"127.0.0.1:{port}"], tmp_path, port=port).start()
        try:
            process.wait_ready()
            return process.stdout_path.read_text().replace(str(port), "PORT")
        finally:
            process.stop()

    first, second = printed(), printed()
    secrets = set(re.findall(r"[0-9A-Za-z_-]{40,}", first))
    assert secrets, first
    assert secrets & set(re.findall(r"[0-9A-Za-z_-]{40,}", second)), "generated once"


def test_a_seed_user_is_there(tmp_path, start_dev):
    server = start_dev(extra=("--seed-user", "seed@people.example"))
    [user] = expect.ok(server.api.get("/api/2/users", params={"email": "seed@people.example"}), 200)
    assert (user["state"], user["status"]) == (1, 1)
    server.stop()
    server.restart()
    assert len(expect.ok(server.api.get("/api/2/users"), 200)) == 1, "seeded once"


def test_it_stops_on_a_signal_with_success(start_dev):
    server = start_dev()
    assert server.stop() == 0


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]"])
def test_it_listens_on_loopback_only(tmp_path, address):
    text = refused("dev", "--listen", f"{address}:{free_port()}", "--data", tmp_path / "data", cwd=tmp_path)
    assert "loopback" in text.lower() or "--expose" in text, text


def test_expose_allows_other_addresses_with_a_warning(tmp_path):
    from harness.server import Process

    port = free_port()
    process = Process(["dev", "--listen", f"0.0.0.0:{port}", "--data", str(tmp_path / "data"), "--expose"], tmp_path, port=port)
    try:
        process.start().wait_ready()
        printed = process.stdout_path.read_text() + process.stderr_path.read_text()
        assert "warn" in printed.lower(), printed
    finally:
        process.discard()


def test_two_servers_do_not_share_a_data_folder(start_dev, tmp_path):
    server = start_dev()
    text = refused("dev", "--listen", f"127.0.0.1:{free_port()}", "--data", server.data, cwd=tmp_path)
    assert str(server.data) in text or "data" in text.lower()
    assert http(server, "GET", "/readyz").status_code == 200


def test_dev_refuses_the_data_of_serve_and_serve_that_of_dev(tmp_path, start_dev):
    installation = Installation(tmp_path / "production")
    installation.start()
    assert installation.process.stop() == 0
    before = sorted(p.name for p in installation.data.rglob("*"))
    text = refused("dev", "--listen", f"127.0.0.1:{free_port()}", "--data", installation.data, cwd=tmp_path)
    assert "serve" in text, text
    assert sorted(p.name for p in installation.data.rglob("*")) == before, "and it leaves nothing behind"

    server = start_dev()
    server.stop()
    other = Installation(tmp_path / "other", data=str(server.data))
    text = refused("serve", "--config", other.config, cwd=tmp_path)
    assert "dev" in text, text
    server.restart()


# Foreign pages and names

@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "169.254.169.254", ""])
@pytest.mark.parametrize("path", ["/dev/outbox?user_id=1", "/dev/outbox.html", "/api/2/users", "/openapi.json"])
def test_a_foreign_host_is_refused(server, host, path):
    data = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.api.token}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data.encode())
        answer = read(connection)
    assert 400 <= answer.status < 500, answer
    assert answer.status not in (401, 404, 429), answer


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "127.0.0.1", "localhost", "LOCALHOST:{port}"])
def test_a_loopback_host_is_served(server, host):
    answer = http(server, "GET", "/readyz", {"Host": host.format(port=server.port)})
    assert answer.status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
def test_a_foreign_origin_is_refused(server, person, origin):
    for method, path, keywords in (
        ("POST", "/dev/clock", {"json": {"advance_seconds": 1}}), ("GET", f"/dev/outbox?user_id={person.id}", {}),
        ("POST", "/api/2/users", {"json": {"username": f"from-{origin}"}}),
    ):
        answer = http(server, method, path, {"Origin": origin, "Authorization": f"Bearer {server.api.token}"}, **keywords)
        assert 400 <= answer.status_code < 500 and answer.status_code not in (401, 404, 429), expect.story(answer)
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert expect.ok(server.api.get("/api/2/users", params={"username": f"from-{origin}"}), 200) == []


def test_the_servers_own_origin_is_served(server, person):
    answer = http(server, "GET", f"/dev/outbox?user_id={person.id}", {"Origin": server.url})
    assert answer.status_code == 200


# The outbox

def test_the_outbox_is_newest_first_and_only_of_the_asked_user(server, people):
    person, other = people(), people()
    device = person.enrol_sms()
    for _ in range(3):
        expect.ok(person.challenge(device), 201)
        person.message()
    expect.ok(other.register(SMS), 201)
    other.message()
    listed = server.outbox(person.id)
    assert len(listed) == 3 and {m["user_id"] for m in listed} == {person.id}
    assert [m["id"] for m in listed] == sorted((m["id"] for m in listed), reverse=True)
    assert all(type(m["id"]) is int for m in listed)


def test_waiting_answers_as_soon_as_a_newer_message_is_there(server, person):
    import threading
    import time

    device = person.enrol_sms()
    expect.ok(person.challenge(device), 201)
    first = person.message()
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(server.outbox(person.id, after=first["id"], wait=20)))
    began = time.monotonic()
    waiting.start()
    expect.ok(person.challenge(device), 201)
    waiting.join(25)
    assert time.monotonic() - began < 10, "it waited for its whole time"
    assert any(m["id"] > first["id"] for m in answers[0])


def test_waiting_in_vain_answers_with_nothing_newer(server, person):
    assert server.outbox(person.id, wait=1) == []


def test_the_outbox_page_shows_the_messages_and_runs_nothing(server, person):
    expect.ok(person.register(SMS, display_name="<script>alert(1)</script>"), 201)
    message = person.message()
    page = http(server, "GET", f"/dev/outbox.html?user_id={person.id}")
    assert page.status_code == 200 and page.headers["Content-Type"].startswith("text/html")
    assert message["code"] in page.text
    assert "<script>alert(1)" not in page.text
    assert "Content-Security-Policy" in page.headers


def test_markup_in_a_message_is_shown_as_text(server, person):
    expect.ok(person.register(SMS, custom_message="<img src=x onerror=alert(1)> {{otp_code}}"), 201)
    person.message()
    page = http(server, "GET", f"/dev/outbox.html?user_id={person.id}")
    assert "<img src=x" not in page.text and "<img src=x" in html.unescape(page.text)


# The clock

def test_the_clock_moves_forward_and_says_the_new_time(server):
    clock = server.clock
    now = clock.now()
    assert 0 <= clock.advance(3600) - now - 3600 <= 2
    assert 0 <= clock.now() - now - 3600 <= 3
    answer = server.dev("POST", "/dev/clock", json={"advance_seconds": 0})
    assert set(answer) == {"now"} and expect.TIME.match(answer["now"])


@pytest.mark.parametrize("seconds", [-1, -3600])
def test_the_clock_never_moves_back(server, seconds):
    now = server.clock.now()
    answer = http(server, "POST", "/dev/clock", json={"advance_seconds": seconds})
    assert answer.status_code == 422
    assert server.clock.now() >= now


@pytest.mark.parametrize("body", [b"", b"{}", b'{"advance_seconds": "x"}', b'{"advance_seconds": []}', b"["])
def test_a_clock_move_that_cannot_be_read_is_a_bad_request(server, body):
    answer = http(server, "POST", "/dev/clock", {"Content-Type": "application/json"}, data=body)
    assert answer.status_code == 400


def test_the_offset_of_the_clock_is_kept_with_the_data(start_dev):
    server = start_dev()
    ahead = server.clock.advance(50_000)
    server.stop()
    server.restart()
    assert 0 <= server.clock.now() - ahead <= 20


def test_a_clock_move_beyond_all_time_is_refused_and_harms_nothing(server):
    now = server.clock.now()
    for seconds in (2**63 - 1, 10**18):
        answer = http(server, "POST", "/dev/clock", json={"advance_seconds": seconds})
        assert answer.status_code == 422, answer.text
    assert server.clock.now() - now < 60


def test_everything_is_there_after_a_restart(start_dev):
    server = start_dev()
    person = Person(server)
    device = person.enrol_totp()
    pending = expect.ok(person.register(SMS), 201)["id"]
    code = person.message()["code"]
    open_ = expect.ok(person.challenge(device), 201)["id"]
    server.stop()
    server.restart()
    assert person.device_ids() == [device.id]
    assert expect.ok(person.poll(open_), 200)["status"] == "pending"
    expect.ok(person.confirm(pending, code), 200)
    at = server.clock.fresh_step()
    expect.accepted(person.answer(open_, device.code(at)))


# Connections

def test_a_server_with_requests_under_way_finishes_them_before_it_stops(start_dev):
    import signal

    server = start_dev()
    person = Person(server)
    body = b'{"expires_in": 600}'
    head = (f"POST {person.path('/mfa_token')} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {server.api.token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode() + body[:-1])
        # Asked something else meanwhile, so that the server has surely read the head before the signal comes.
        assert http(server, "GET", "/healthz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert stopped_listening(server), "it still takes new connections"
        connection.sendall(body[-1:])
        assert connection.recv(12) == b"HTTP/1.1 201"
    assert server.stop() == 0


def stopped_listening(server):
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
        except OSError:
            return True
        time.sleep(0.02)  # polling another process
    return False


def test_an_idle_connection_does_not_hold_the_server_back(start_dev):
    import time

    server = start_dev()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10


def test_the_server_outlives_a_thousand_connections_that_say_nothing(start_dev):
    server = start_dev()
    silent = []
    try:
        for _ in range(1000):
            silent.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        assert http(server, "GET", "/healthz").status_code == 200
    finally:
        for connection in silent:
            connection.close()
    assert http(server, "GET", "/readyz").status_code == 200


# Deliveries that go wrong

@pytest.fixture
def faults(server):
    """Asks for one; nothing is left of it for the next test."""
    def ask(channel, outcome, count=1):
        return server.dev("POST", "/dev/faults", json={"channel": channel, "outcome": outcome, "count": count})

    yield ask
    assert http(server, "DELETE", "/dev/faults").status_code == 204


def test_a_delivery_that_fails_ends_what_it_was_for(server, person, faults):
    device = person.enrol_sms()
    asked = faults("sms", "fail", 2)
    assert asked == [{"channel": "sms", "outcome": "fail", "count": 2}] == server.dev("GET", "/dev/faults")
    for _ in range(2):
        made = expect.ok(person.challenge(device), 201)
        until(lambda: person.api.get(person.path(f"/verifications/{made['id']}")).json()["status"] == "rejected")
        assert person.api.get(person.path(f"/verifications/{made['id']}")).json()["reason"] == "delivery_failed"
    assert server.dev("GET", "/dev/faults") == []
    assert any(event["reason"] == "undeliverable" for event in server.events(person.id))
    expect.ok(person.challenge(device), 201)
    assert person.message()["channel"] == "sms"


def test_a_delivery_that_is_delayed_comes_all_the_same(server, person, faults):
    faults("sms", "delay", 2)
    made = expect.ok(person.register(SMS), 201)
    message = person.message()
    assert server.dev("GET", "/dev/faults") == []
    expect.ok(person.api.put(person.path(f"/registrations/{made['id']}"), {"otp": message["code"]}), 200)


def test_a_delivery_that_is_dropped_never_comes(server, person, faults):
    device = person.enrol_sms()
    faults("sms", "drop")
    made = expect.ok(person.challenge(device), 201)
    until(lambda: server.dev("GET", "/dev/faults") == [])
    assert person.api.get(person.path(f"/verifications/{made['id']}")).json()["status"] == "pending"
    expect.ok(person.challenge(device), 201)
    person.message()
    assert len(server.outbox(person.id)) == 1


def until(is_so, patience=20):
    """Polls for what another process does by itself."""
    deadline = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
