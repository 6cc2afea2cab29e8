"""Three PostgreSQL servers under Patroni in strict synchronous mode, with etcd and HAProxy: from Debian's packages, as a
user who is not root, in a temporary directory, on loopback. HAProxy finds the primary by Patroni's health check."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import requests

from harness.postgres import USER, Postgres, kill_server, owner, programs

PATIENCE = 120
PACKAGES = {"patroni": "patroni", "patronictl": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}
# Short, for a failover that takes seconds: Patroni's own are 30, 10 and 10. Its rule: loop_wait + 2 retry_timeout <= ttl.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 8, 1, 3


def program(name):
    """Where a program is: HAProxy's folder is not in everybody's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def lacking():
    """The Debian packages that are not installed."""
    lacks = {package for name, package in PACKAGES.items() if program(name) is None}
    return sorted(lacks | (set() if programs() else {"postgresql"}))


def versions():
    """What each program says of itself."""
    said = {}
    for name, option in (("patroni", "--version"), ("etcd", "--version"), ("haproxy", "-v")):
        done = subprocess.run([program(name), option], capture_output=True, text=True, timeout=PATIENCE)
        said[name] = re.search(r"\d+\.\d+[\w.+-]*", done.stdout).group()
    done = subprocess.run([programs() / "postgres", "--version"], capture_output=True, text=True, timeout=PATIENCE)
    return {"PostgreSQL": done.stdout.split()[2], **said}


class Patroni:
    """The whole: `synchronous` of the two standbys have to confirm each commit."""

    def __init__(self, synchronous=1):
        self.synchronous = synchronous
        self.owner = owner()
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="factord-patroni-"))
        if self.owner:
            os.chown(self.base, self.owner.pw_uid, self.owner.pw_gid)
        self.base.chmod(0o755)
        ports = free_ports(9)
        self.port, self.etcd_port, self.etcd_peer_port = ports[:3]
        self.members = [Member(self, n, *ports[3 + 2 * n:5 + 2 * n]) for n in range(3)]
        self.processes = []

    def start(self):
        self.start_etcd()
        for member in self.members:
            member.configure()
            member.begin()
        self.start_haproxy()
        self.wait_settled()
        self.primary().sql("CREATE DATABASE factord")
        return self

    @property
    def url(self):
        """The database as factord sees it: through HAProxy."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/factord"

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        self.begin("etcd", "etcd", "--name", "etcd", "--data-dir", self.base / "etcd", "--listen-client-urls", client,
                   "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", f"etcd={peer}")
        self.wait("etcd answers", lambda: asked(f"{client}/health") == {"health": "true"})

    def start_haproxy(self):
        servers = "\n".join(f"    server {it.name} 127.0.0.1:{it.port} check port {it.api_port}" for it in self.members)
        (self.base / "haproxy.cfg").write_text(f"""
defaults
    mode tcp
    retries 0
    timeout connect 2s
    timeout client 30m
    timeout server 30m
    timeout check 3s

listen primary
    bind 127.0.0.1:{self.port}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 1s fastinter 500ms fall 3 rise 1 on-marked-down shutdown-sessions
{servers}
""")
        self.begin("haproxy", "haproxy", "-db", "-f", self.base / "haproxy.cfg")

    def begin(self, log, name, *arguments):
        """Starts a program as the servers' owner, in a process group of its own."""
        with open(self.base / f"{log}.log", "ab") as out:
            process = subprocess.Popen([program(name), *map(str, arguments)], stdout=out, stderr=out, cwd=self.base,
                                       stdin=subprocess.DEVNULL, start_new_session=True, **self.members[0].as_owner())
        self.processes.append(process)
        return process

    # What there is

    def seen(self):
        """What Patroni says of its members: their roles by their names. Empty if nobody says anything."""
        for member in self.members:
            if answer := asked(f"{member.api}/cluster"):
                return {it["name"]: it["role"] for it in answer["members"]}
        return {}

    def primary(self):
        """The member that has the leader's key and takes writes, or None."""
        for name, role in self.seen().items():
            member = self.members[int(name.removeprefix("db"))]
            if role == "leader" and member.answers("SELECT pg_is_in_recovery()") == "f":
                return member
        return None

    def wait_primary(self, but):
        """Waits until another than `but` is the primary; gives it."""
        self.wait(f"another primary than {but.name}", lambda: self.primary() not in (None, but))
        return self.primary()

    def wait_settled(self):
        """Waits until two standbys stream from a primary, as many of them synchronously as ought to, and Patroni knows
        which: it promotes no other."""
        self.wait("a primary with its standbys", self.is_settled)

    def is_settled(self):
        primary = self.primary()
        if primary is None:
            return False
        rows = primary.answers("SELECT application_name, sync_state FROM pg_stat_replication WHERE state = 'streaming'") or ""
        standbys = dict(row.split("|") for row in rows.splitlines())
        synchronous = {name for name, state in standbys.items() if state == "sync"}
        known = {name for name, role in self.seen().items() if role == "sync_standby"}
        return (set(standbys) == {it.name for it in self.members if it is not primary}
                and len(synchronous) == self.synchronous and synchronous == known)

    def wait(self, what, holds):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not in {PATIENCE} s\n{self.logs()}"
            time.sleep(0.1)  # polling other processes

    def switchover(self):
        """Asks for an orderly change of the primary."""
        done = subprocess.run([program("patronictl"), "-c", self.members[0].config, "switchover", "--force"], text=True,
                              capture_output=True, timeout=PATIENCE, cwd=self.base, **self.members[0].as_owner())
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def logs(self):
        return "\n".join(f"--- {it.name}\n{it.read_text(errors='replace')[-3000:]}" for it in self.base.glob("*.log"))

    def discard(self):
        """Ends everything by its pid: those who start others first."""
        for process in self.processes:
            kill_group(process)
        for pid in started_in(self.base):
            kill_server(pid)
        shutil.rmtree(self.base, ignore_errors=True)


class Member(Postgres):
    """One server with its Patroni."""

    def __init__(self, whole, number, port, api_port):
        self.name = f"db{number}"
        super().__init__(base=whole.base / self.name, port=port)
        self.whole, self.api_port = whole, api_port
        self.api = f"http://127.0.0.1:{api_port}"
        self.config = whole.base / f"{self.name}.yml"
        self.agent = None

    def configure(self):
        here, api = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.api_port}"
        # JSON is YAML.
        self.config.write_text(json.dumps({
            "scope": "factord", "name": self.name,
            "restapi": {"listen": api, "connect_address": api},
            "etcd3": {"hosts": f"127.0.0.1:{self.whole.etcd_port}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL, "loop_wait": LOOP_WAIT, "retry_timeout": RETRY_TIMEOUT,
                    "synchronous_mode": True, "synchronous_mode_strict": True,
                    "synchronous_node_count": self.whole.synchronous,
                    "postgresql": {
                        "use_pg_rewind": True, "use_slots": True,
                        "remove_data_directory_on_rewind_failure": True,
                        "remove_data_directory_on_diverged_timelines": True,
                        "parameters": {"max_connections": 200, "shared_buffers": "64MB", "log_min_messages": "warning",
                                       "log_min_error_statement": "panic"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": here, "connect_address": here, "data_dir": str(self.data), "bin_dir": str(self.bin),
                "pgpass": str(self.base / "pgpass"),
                "authentication": {"superuser": {"username": USER}, "replication": {"username": "replicator"}},
                "parameters": {"unix_socket_directories": str(self.base)},
                "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 trust",
                           "host replication all 127.0.0.1/32 trust"],
            },
        }, indent=1))

    def begin(self):
        self.agent = self.whole.begin(self.name, "patroni", self.config)

    def answers(self, text):
        """What the server says to a statement, or None if it says nothing."""
        try:
            return self.sql(text)
        except (AssertionError, subprocess.TimeoutExpired):
            return None

    def kill(self):
        """`kill -9` of Patroni and the server at once, as if the machine had lost its power."""
        os.kill(self.agent.pid, signal.SIGSTOP)
        super().kill()
        self.kill_agent()

    def kill_agent(self):
        """`kill -9` of Patroni alone: the server goes on, and does not hear that it is no primary any more."""
        kill_group(self.agent)
        self.whole.processes.remove(self.agent)


def asked(url):
    """The JSON that a server answers with, or None."""
    try:
        return requests.get(url, timeout=3, proxies={"http": None}).json()
    except (requests.RequestException, ValueError):
        return None


def free_ports(count):
    """So many free ports from below those that the system gives to connections: a server that is started anew finds its
    port free."""
    found = []
    while len(found) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found += [port] if port not in found else []
    return found


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(PATIENCE)


def started_in(base):
    """The processes whose command line names the directory: Patroni starts servers, which do not end with it."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(base).encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)
        except OSError:
            pass
