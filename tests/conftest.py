"""Fixtures of the black-box suites. A server is shared by the tests of one module; people are never shared."""

import contextlib
import sqlite3

import pytest

from harness.people import Person
from harness.server import DevServer, binary

SCOPES = ("Authentication Only", "Read Users", "Manage Users", "Read All", "Manage All", "Verify MFA")


def pytest_sessionstart(session):
    if not session.config.option.collectonly:
        binary()


@pytest.fixture
def start_dev(tmp_path_factory):
    """Starts as many servers as a test asks for; all are gone when it ends."""
    started = []

    def start(data=None, **keywords):
        base = tmp_path_factory.mktemp("dev")
        server = DevServer(data or base / "data", base, **keywords)
        started.append(server)
        return server.restart()

    yield start
    for server in started:
        server.discard()


@pytest.fixture
def large_server(start_dev):
    """One whose file is so large that a thread of its own copies the log into it."""
    server = start_dev()
    if server.database:
        pytest.skip("this is about the log of SQLite")
    server.stop()
    file = server.data / "factord.db"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute(
            """WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 70000)
               INSERT INTO audit_events (at, user_id, action, credential)
               SELECT 0, 0, 'create_credential', hex(zeroblob(500)) FROM numbers"""
        )
    assert file.stat().st_size > 64 << 20
    return server.restart()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One `factord dev` for the module, with a credential of every scope."""
    base = tmp_path_factory.mktemp("dev")
    server = DevServer(base / "data", base, credentials=SCOPES)
    server.restart()
    yield server
    alive = server.process.poll() is None
    logs = server.logs()
    server.stop()
    assert alive, f"the server ended while the module ran\n{logs}"
    assert "panicked at" not in logs, logs


@pytest.fixture
def person(server):
    return Person(server)


@pytest.fixture
def people(server):
    """Makes people."""
    return lambda **fields: Person(server, **fields)


@pytest.fixture
def api(server):
    return server.api


@pytest.fixture
def clock(server):
    return server.clock
