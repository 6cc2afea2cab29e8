"""`factord serve` and the commands that work on its data."""

import json
import pathlib
import subprocess

from harness.client import Api
from harness.server import Process, binary, clean_env, free_port


def run(*arguments, env=None, cwd=None, status=0, text_in=None):
    """One command of the binary; gives what it wrote to standard output."""
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=60, input=text_in,
                          env=clean_env(**(env or {})), cwd=cwd)
    assert done.returncode == status, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def refused(*arguments, env=None, cwd=None):
    """One command that must fail by itself, soon and with a reason; gives what it wrote."""
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          env=clean_env(**(env or {})), cwd=cwd, stdin=subprocess.DEVNULL)
    assert done.returncode != 0, f"{arguments} was not refused\n{done.stdout}\n{done.stderr}"
    text = done.stdout + done.stderr
    assert text.strip(), "refused without a word"
    assert "panicked" not in text, text
    return text


class Installation:
    """A folder with a configuration, a sealing key and data, as an operator would have it."""

    def __init__(self, base, **settings):
        self.base = pathlib.Path(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.key = self.base / "sealing.key"
        self.key.write_text(run("key", "generate", cwd=self.base))
        self.key.chmod(0o600)
        self.port = free_port()
        self.settings = {
            "listen": f"127.0.0.1:{self.port}", "public_url": f"http://127.0.0.1:{self.port}",
            "data": str(self.base / "data"), "sealing_key_file": str(self.key), **settings,
        }
        self.config = self.base / "factord.toml"
        self.write()
        self.process = None

    @property
    def data(self):
        return pathlib.Path(self.settings["data"])

    def write(self):
        tables = {k: v for k, v in self.settings.items() if isinstance(v, dict)}
        lines = [f"{k} = {json.dumps(v)}" for k, v in self.settings.items() if k not in tables and v is not None]
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def cli(self, *arguments, status=0, **keywords):
        return run(*arguments, "--config", self.config, status=status, cwd=self.base, **keywords)

    def cli_json(self, *arguments):
        return json.loads(self.cli(*arguments, "--output", "json"))

    def start(self, scheme="http", verify=None, env=None):
        self.process = Process(["serve", "--config", str(self.config)], self.base, port=self.port, scheme=scheme,
                               verify=verify, env=env)
        self.process.start().wait_ready()
        return self.process

    def credential(self, scope):
        return self.cli_json("credential", "create", "--scope", scope)

    def api(self, scope="Manage All"):
        made = self.credential(scope)
        return Api(self.process, made["client_id"], made["client_secret"])

    def discard(self):
        if self.process is not None:
            self.process.discard()
