"""The server under test: one process of the built binary, on a loopback port of its own."""

import atexit
import contextlib
import datetime
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from harness.client import Api

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 30


def binary():
    path = pathlib.Path(os.environ.get("FACTORD_BIN", ROOT / "target" / "debug" / "factord"))
    if not os.access(path, os.X_OK) or not path.is_file():
        pytest.exit(f"no server to test at {path}: build it (`cargo build`) or point FACTORD_BIN at it", returncode=3)
    return str(path)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_env(**more):
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "LANG")}
    return {**kept, "RUST_BACKTRACE": "1", **more}


_running = set()


@atexit.register
def _leave_nothing_behind():
    for process in list(_running):
        send(process, signal.SIGKILL)
        process.wait()


def send(process, number):
    """A signal to a started process, and to what it started: a wrapper does not pass on that it is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class Process:
    """A started `factord`, its output in files, ended by the pid of its own group."""

    def __init__(self, arguments, logs, env=None, scheme="http", port=None, verify=None, wrapper=()):
        self.arguments = [*wrapper, binary(), *arguments]
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.stdout_path = pathlib.Path(logs) / "stdout.log"
        self.stderr_path = pathlib.Path(logs) / "stderr.log"
        self.env = clean_env(**(env or {}))
        self.verify = verify
        self.process = None

    def start(self):
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.process = subprocess.Popen(
                self.arguments, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=self.env,
                cwd=self.stdout_path.parent, start_new_session=True,
            )
        _running.add(self.process)
        return self

    def wait_ready(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended by itself with {self.process.returncode}\n{self.logs()}")
            try:
                answer = requests.get(f"{self.url}/readyz", timeout=2, verify=self.verify if self.verify else True,
                                      proxies={"http": None, "https": None})
                if answer.status_code == 200:
                    return self
            except requests.RequestException:
                pass
            time.sleep(0.02)  # polling for the start of another process, nothing else can be waited on
        raise AssertionError(f"the server was not ready after {PATIENCE} s\n{self.logs()}")

    def logs(self):
        out = self.stdout_path.read_text(errors="replace") if self.stdout_path.exists() else ""
        err = self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""
        return f"--- {' '.join(self.arguments)}\n--- stdout\n{out[-3000:]}\n--- stderr\n{err[-3000:]}"

    def kill(self):
        """`kill -9`: no chance to tidy up."""
        send(self.process, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE)
        _running.discard(self.process)

    def stop(self, patience=35):
        """SIGTERM and the exit status."""
        if self.process.poll() is None:
            send(self.process, signal.SIGTERM)
        try:
            code = self.process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop in {patience} s\n{self.logs()}") from None
        _running.discard(self.process)
        return code

    def discard(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        _running.discard(self.process)


def scratch_database():
    """A place of its own on the PostgreSQL server that `FACTORD_SUITE_POSTGRES` names, if the suites are to run on one."""
    url = os.environ.get("FACTORD_SUITE_POSTGRES")
    if not url:
        return None
    name = f"suite_{secrets.token_hex(8)}"
    subprocess.run(["psql", "-q", url, "-c", f"CREATE SCHEMA {name}"], check=True, timeout=PATIENCE)
    return f"{url}?options=-c%20search_path%3D{name}"


class DevServer(Process):
    """`factord dev` with everything that dev adds: outbox, clock, events."""

    CLIENT_ID = "e2e-client"

    def __init__(self, data, logs, credentials=(), extra=(), port=None, env=None, database=None,
                 client_secret=None, wrapper=()):
        self.database = database = database or scratch_database()
        extra = [*extra, *(["--database", database] if database else [])]
        self.data, self.database = pathlib.Path(data), database
        self.client_secret = client_secret or secrets.token_hex(32)
        self.credentials = {scope: (f"e2e-{i}", secrets.token_hex(32)) for i, scope in enumerate(credentials)}
        port = port or free_port()
        arguments = ["dev", "--listen", f"127.0.0.1:{port}", "--data", str(data),
                     "--client-id", self.CLIENT_ID, "--client-secret", self.client_secret]
        for scope, (ident, secret) in self.credentials.items():
            arguments += ["--credential", f"{ident}:{secret}:{scope}"]
        super().__init__([*arguments, *extra], logs, port=port, env=env, wrapper=wrapper)
        self.api = Api(self, self.CLIENT_ID, self.client_secret)
        self.clock = Clock(self)
        self._scoped = {}
        self._numbers = iter(range(1, 10_000))
        self._numbers_lock = threading.Lock()

    def storage_flags(self):
        """The flags by which an administrative command finds the data."""
        if self.database:
            return ["--database", self.database, "--key", str(self.data / "dev.key")]
        return ["--data", str(self.data)]

    def start(self):
        super().start()
        self.api.reset()
        for api in self._scoped.values():
            api.reset()
        return self

    def restart(self):
        self.start()
        return self.wait_ready()

    def as_scope(self, scope):
        """A client whose credential has just this scope."""
        if scope not in self._scoped:
            self._scoped[scope] = Api(self, *self.credentials[scope])
        return self._scoped[scope]

    def number(self):
        with self._numbers_lock:
            return next(self._numbers)

    def phone(self):
        """A phone number that no other test of this server uses: budgets are kept per destination."""
        return f"+1202556{self.number():04d}"

    # What only dev has

    def dev(self, method, path, **keywords):
        answer = requests.request(method, f"{self.url}{path}", timeout=40, proxies={"http": None}, **keywords)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def outbox(self, user_id, after=None, wait=None, kind="code,link,call,push"):
        """The messages to the user, newest first; without the notices, if nothing else is said."""
        params = {"user_id": user_id, "kind": kind}
        if after is not None:
            params["after"] = after
        if wait is not None:
            params["wait"] = wait
        return self.dev("GET", "/dev/outbox", params=params)

    def next_message(self, user_id, after=0):
        """The first message to the user that is newer than `after`; waits for it, never sleeps."""
        newer = [m for m in self.outbox(user_id, after=after, wait=10) if m["id"] > after]
        assert newer, f"no message to user {user_id} after {after} came in 10 s"
        return min(newer, key=lambda m: m["id"])

    def events(self, user_id):
        """The user's audit events, newest first."""
        return self.dev("GET", "/dev/events", params={"user_id": user_id})


class Clock:
    """The service's clock (dev only). It runs on by itself between two moves."""

    def __init__(self, server):
        self.server = server

    def advance(self, seconds):
        answer = self.server.dev("POST", "/dev/clock", json={"advance_seconds": seconds})
        if seconds:
            self.server.api.aged(seconds)
            for api in self.server._scoped.values():
                api.aged(seconds)
        return epoch(answer["now"])

    def now(self):
        return self.advance(0)

    def fresh_step(self, steps=1):
        """Moves to a moment just after the start of the `steps`-th next time step, so that the next 25 seconds of a
        test lie in one step. Gives the time."""
        now = self.now()
        return self.advance(steps * 30 - now % 30 + 2)


def epoch(text):
    """Seconds since 1970 of a time on the wire."""
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return int(at.replace(tzinfo=datetime.timezone.utc).timestamp())
