"""The example app of OneLogin Protect, as a person's phone: `cargo build -p factord --example authenticator` builds it."""

import json
import os
import pathlib
import subprocess

import pytest

from harness.server import ROOT, clean_env

PATIENCE = 60


def binary():
    beside = pathlib.Path(os.environ.get("FACTORD_BIN", ROOT / "target" / "debug" / "factord")).parent
    path = pathlib.Path(os.environ.get("AUTHENTICATOR_BIN", beside / "examples" / "authenticator"))
    if not os.access(path, os.X_OK):
        pytest.exit(f"no example app at {path}: `cargo build -p factord --example authenticator`", returncode=3)
    return str(path)


class Phone:
    """An app with a file of its own."""

    def __init__(self, folder):
        self.file = folder / f"app-{len(list(folder.glob('app-*.json')))}.json"

    def run(self, *arguments, status=0):
        done = subprocess.run([binary(), str(self.file), *map(str, arguments)], capture_output=True, text=True,
                              timeout=PATIENCE, env=clean_env(), stdin=subprocess.DEVNULL)
        assert (done.returncode == 0) == (status == 0), f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if status == 0 else done.stderr

    def activate(self, uri, **keywords):
        return self.run("activate", uri, **keywords)

    def list(self, wait=0):
        return self.run("list", "--wait", wait)

    def approve(self, verification, number="", **keywords):
        return self.run("approve", verification, number, **keywords)

    def deny(self, verification, **keywords):
        return self.run("deny", verification, **keywords)

    def waiting(self):
        """A process that waits for the next login; `communicate()` gives what it shows."""
        return subprocess.Popen([binary(), str(self.file), "list", "--wait", "25"], stdout=subprocess.PIPE, text=True,
                                env=clean_env(), stdin=subprocess.DEVNULL)
