"""Three PostgreSQL servers under Patroni in strict synchronous mode, with etcd and HAProxy: from Debian's packages, as a
user who is not root, in a temporary directory, on loopback. HAProxy finds the primary by Patroni's health check. The
configuration is the one that the documentation gives, with other addresses."""

import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import requests
import trustme

from harness.postgres import USER, Postgres, kill_server, owner, programs
from harness.server import ROOT

PATIENCE = 120
PACKAGES = {"patroni": "patroni", "patronictl": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}
PAGE = ROOT / "docs" / "operations" / "high-availability.md"
# For a failover that takes seconds. Patroni's rule: loop_wait + 2 retry_timeout <= ttl.
QUICK = {"ttl: 20": "ttl: 8", "loop_wait: 5": "loop_wait: 1", "retry_timeout: 5": "retry_timeout: 3"}
# What the database's server is called in its certificate, and by factord.
NAME = "db.example.com"


def program(name):
    """Where a program is: HAProxy's folder is not in everybody's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:{programs()}")


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
    """The whole: `synchronous` of the two standbys have to confirm each commit. Patroni's times are short, or
    `as_documented`."""

    def __init__(self, synchronous=1, as_documented=False):
        self.synchronous, self.as_documented = synchronous, as_documented
        self.owner = owner()
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="factord-patroni-"))
        if self.owner:
            os.chown(self.base, self.owner.pw_uid, self.owner.pw_gid)
        self.base.chmod(0o755)
        ports = free_ports(9)
        self.port, self.etcd_port, self.etcd_peer_port = ports[:3]
        self.members = [Member(self, n, *ports[2 * n + 1:2 * n + 3]) for n in (1, 2, 3)]
        self.processes = []
        self.password = secrets.token_hex(16)

    def start(self):
        self.certify()
        self.start_etcd()
        for member in self.members:
            member.configure()
            member.begin()
        self.start_haproxy()
        self.wait_settled()
        primary = self.primary()
        primary.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'")
        primary.sql(f"CREATE DATABASE factord OWNER {USER}")
        return self

    @property
    def url(self):
        """The database as factord sees it: through HAProxy, under the name that its certificate has."""
        roots = self.base / "authority.pem"
        return f"postgres://{USER}@{NAME}:{self.port}/factord?hostaddr=127.0.0.1&sslrootcert={roots}"

    def certify(self):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.base / "authority.pem")
        certificate = authority.issue_cert(NAME)
        key = self.base / "server.key"
        certificate.private_key_pem.write_to_path(key)
        certificate.cert_chain_pems[0].write_to_path(self.base / "server.pem")
        if self.owner:
            os.chown(key, self.owner.pw_uid, self.owner.pw_gid)
        key.chmod(0o600)

    def start_etcd(self):
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        self.begin("etcd", "etcd", "--name", "etcd", "--data-dir", self.base / "etcd", "--listen-client-urls", client,
                   "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                   "--initial-cluster", f"etcd={peer}")
        self.wait("etcd answers", lambda: (asked(f"{client}/health") or {}).get("health") == "true")

    def start_haproxy(self):
        text = block("haproxy").replace("127.0.0.1:5432", f"127.0.0.1:{self.port}")
        for member in self.members:
            there = f"{member.documented}:5432 check port 8008"
            assert there in text, text
            text = text.replace(there, f"127.0.0.1:{member.port} check port {member.api_port}")
        (self.base / "haproxy.cfg").write_text(text)
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
            member = self.members[int(name.removeprefix("db")) - 1]
            if role == "leader" and member.answers("SELECT pg_is_in_recovery()") == "f":
                return member
        return None

    def synchronous_standbys(self):
        """The members that Patroni would promote."""
        return [it for it in self.members if self.seen().get(it.name) == "sync_standby"]

    def wait_primary(self, but=None):
        """Waits until there is a primary, another than `but`; gives it."""
        found = []
        self.wait(f"a primary, not {but and but.name}", lambda: found.append(self.primary()) or found[-1] not in (None, but))
        return found[-1]

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
        known = {it.name for it in self.synchronous_standbys()}
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
        while left := started_in(self.base):
            for pid in left:
                kill_server(pid)
        shutil.rmtree(self.base, ignore_errors=True)


class Member(Postgres):
    """One server with its Patroni."""

    def __init__(self, whole, number, port, api_port):
        self.name = f"db{number}"
        self.documented = f"10.0.0.1{number}"
        super().__init__(base=whole.base / self.name, port=port)
        self.whole, self.api_port = whole, api_port
        self.api = f"http://127.0.0.1:{api_port}"
        self.config = whole.base / f"{self.name}.yml"
        self.agent = None

    def configure(self):
        """What the documentation shows of the first server, with other addresses and places."""
        changes = {
            "name: db1": f"name: {self.name}",
            "10.0.0.11:2379,10.0.0.12:2379,10.0.0.13:2379": f"127.0.0.1:{self.whole.etcd_port}",
            "10.0.0.11:8008": f"127.0.0.1:{self.api_port}",
            "10.0.0.11:5432": f"127.0.0.1:{self.port}",
            "10.0.0.0/24": "127.0.0.1/32",
            "/var/lib/postgresql/factord": self.data,
            "/usr/lib/postgresql/15/bin": self.bin,
            "/var/lib/postgresql/patroni.pgpass": self.base / "pgpass",
            "/var/run/postgresql": self.base,
            "/etc/patroni/server": self.whole.base / "server",
            "synchronous_node_count: 1": f"synchronous_node_count: {self.whole.synchronous}",
            **({} if self.whole.as_documented else QUICK),
        }
        text = block("yaml")
        for documented, real in changes.items():
            assert documented in text, f"the documentation does not say {documented!r} any more"
            text = text.replace(documented, str(real))
        self.config.write_text(text)

    def as_owner(self):
        """Nothing of our own Python's settings is Patroni's."""
        clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.base), "LANG": "C.UTF-8"}
        return {**super().as_owner(), "env": clean}

    def begin(self):
        self.agent = self.whole.begin(self.name, "patroni", self.config)

    def sql(self, text):
        return self.run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, "-d",
                        self.superuser()).stdout.strip()

    def psql(self, text):
        """A statement that is under way in a process of its own."""
        return self.whole.begin("psql", "psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", text, "-d", self.superuser())

    def superuser(self):
        """How psql connects to this very server."""
        password = re.search(r"username: postgres\n +password: (\S+)", block("yaml")).group(1)
        return f"host=127.0.0.1 port={self.port} user=postgres password={password} dbname=postgres connect_timeout=5"

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


def block(language):
    """The one block of that language on the page that tells operators how to set this up."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(found) == 1, f"{PAGE}: {len(found)} blocks of {language}"
    return found[0]


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
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            found += [int(entry.name)] if str(base).encode() in (entry / "cmdline").read_bytes() else []
        except OSError:
            pass  # it has just ended
    return found
