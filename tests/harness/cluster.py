"""Several `factord dev` on one PostgreSQL database, seen as one server: each request goes to the next node."""

import itertools
import pathlib
import secrets
import subprocess
import threading

from harness.client import Api
from harness.server import Clock, DevServer, binary


class Cluster(DevServer):
    """What speaks to a server speaks to this as well. A node that is down is still asked in its turn, as by a client that
    does not know."""

    def __init__(self, base, database, count=3, wrappers=(), extra=(), env=None):
        self.base = pathlib.Path(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.client_secret = secrets.token_hex(32)
        key = self.base / "sealing.key"
        key.write_text(subprocess.run([binary(), "key", "generate"], capture_output=True, text=True, check=True).stdout)
        key.chmod(0o600)
        self.nodes = []
        for n in range(count):
            folder = self.base / f"node{n}"
            folder.mkdir()
            self.nodes.append(DevServer(
                folder / "data", folder, database=database, client_secret=self.client_secret,
                extra=["--key", str(key), *extra], env=env, wrapper=wrappers[n] if n < len(wrappers) else (),
            ))
        self._turn = itertools.count()
        self.verify = None
        self.api = Api(self, self.CLIENT_ID, self.client_secret)
        self.clock = Clock(self)
        self._scoped = {}
        self._numbers = iter(range(1, 10_000))
        self._numbers_lock = threading.Lock()

        for node in self.nodes:
            node._numbers, node._numbers_lock = self._numbers, self._numbers_lock

    @property
    def url(self):
        return self.nodes[next(self._turn) % len(self.nodes)].url

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait_ready()
        self.api.reset()
        return self

    restart = start

    def wait_ready(self):
        for node in self.nodes:
            node.wait_ready()
        return self

    def logs(self):
        return "\n".join(node.logs() for node in self.nodes)

    def discard(self):
        for node in self.nodes:
            node.discard()
