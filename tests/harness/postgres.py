"""A PostgreSQL server of our own: from Debian's package, as a user who is not root, in a temporary directory, on loopback.

As a script: `python3 tests/harness/postgres.py COMMAND…` runs the command with `FACTORD_TEST_POSTGRES` naming a server that
lives as long. With `FACTORD_SUITE_POSTGRES` set, the suites that the command starts keep their data there, too."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60
USER = "factord"


def programs():
    """The folder with the newest server's programs, or None."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: float(it.parts[4]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return pathlib.Path(initdb).resolve().parent if initdb else None


def missing(what):
    """Passes a test over for want of a program; fails it where all tests must run."""
    import pytest  # not there where this file is the script
    if os.environ.get("FACTORD_NEEDS_POSTGRES"):
        pytest.fail(what)
    pytest.skip(what)


def owner():
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise AssertionError("there is neither a user postgres nor nobody to run the server")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """One server. `clock` is an offset for libfaketime, such as `-90s`."""

    def __init__(self, settings=None, base=None, port=None):
        self.bin = programs()
        assert self.bin, "PostgreSQL is not installed (Debian: postgresql)"
        self.owner = owner()
        self.base = pathlib.Path(base or tempfile.mkdtemp(prefix="factord-postgres-"))
        self.base.mkdir(exist_ok=True)
        if self.owner:
            os.chown(self.base, self.owner.pw_uid, self.owner.pw_gid)
            self.base.chmod(0o755)
        self.data = self.base / "data"
        self.log = self.base / "server.log"
        self.port = port or free_port()
        self.settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": str(self.base),
            "max_connections": 200, "shared_buffers": "64MB", "log_min_messages": "warning",
            "log_min_error_statement": "panic", **(settings or {}),
        }
        self.process = None

    def run(self, program, *arguments, check=True):
        """One program of the server's, as its owner."""
        done = subprocess.run([str(self.bin / program), *map(str, arguments)], capture_output=True, text=True,
                              timeout=PATIENCE, cwd=self.base, **self.as_owner())
        assert not check or done.returncode == 0, f"{program} {arguments}: {done.stdout}\n{done.stderr}"
        return done

    def as_owner(self):
        if self.owner is None:
            return {}
        return {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": [],
                "env": {**os.environ, "HOME": str(self.base)}}

    def create(self):
        self.run("initdb", "-D", self.data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        return self

    def create_standby_of(self, primary, name):
        """Copies a running primary, to follow it under `name`."""
        self.run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast",
                 "-d", f"host=127.0.0.1 port={primary.port} user={USER} application_name={name}")
        return self

    def start(self):
        options = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        deadline = time.monotonic() + PATIENCE
        # What a killed server leaves may live a moment longer, and holds its memory.
        while self.run("pg_ctl", "-D", self.data, "-l", self.log, "-o", options, "-w", "-t", PATIENCE, "start",
                       check=False).returncode != 0:
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
        return self

    @property
    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode="immediate"):
        if (self.data / "postmaster.pid").exists():
            self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", PATIENCE, "stop", check=False)

    def kill(self):
        """`kill -9` of the server and all its processes: as if the machine had lost its power."""
        kill_server(self.pid)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def promote(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-t", PATIENCE, "promote")

    def sql(self, text, database="postgres"):
        """What psql prints for a statement: rows of columns that a `|` separates."""
        done = self.run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.port,
                        "-U", USER, "-d", database, "-c", text)
        return done.stdout.strip()

    def database(self, name):
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database="postgres"):
        return f"postgres://{USER}@127.0.0.1:{self.port}/{database}"

    def discard(self):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)


def kill_server(pid):
    """`kill -9` of a process and its children; waits for their end."""
    try:
        os.kill(pid, signal.SIGSTOP)  # what it began meanwhile would be missed, and hold its memory
    except ProcessLookupError:
        return
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    for each in [pid, *map(int, children)]:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and any(alive(each) for each in [pid, *map(int, children)]):
        time.sleep(0.02)  # polling for the end of processes that are not ours to wait for


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def main():
    server = Postgres()
    try:
        server.create().start()
        environment = {**os.environ, "FACTORD_TEST_POSTGRES": server.url(),
                       "FACTORD_SUITE_POSTGRES": os.environ.get("FACTORD_SUITE_POSTGRES") and server.url() or ""}
        return subprocess.run(sys.argv[1:], env=environment).returncode
    finally:
        server.discard()


if __name__ == "__main__":
    sys.exit(main())
