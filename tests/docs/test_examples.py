"""The examples of the documentation, run as a reader would: every line that starts with `$ ` is typed into one shell, and what
the page shows beneath it must come out. Blocks of Python run with the SDK's own interpreter, and a
block of TOML is the `factord.toml` of what follows. What differs at every run (ids, codes,
tokens, times) is compared by its shape."""

import os
import re
import subprocess
import sys

import pytest

from harness import app
from harness.server import ROOT

PAGES = sorted(
    page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if re.search(r"^```(console|python)$", page.read_text(), re.M)
)

# What each page of a factor must have done at its end, and complete_verification.
ENROLS = {"confirm_registration", "import_device", "create_temporary_token"}

# From the most specific to the most general.
SHAPES = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"\b[0-9a-f]{64}\b", "<token>"),
    (r"\b[A-Z2-7]{32}\b", "<secret>"),
    (r"\b[A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{4}\b", "<recovery code>"),
    (r"\b(?:[A-Z2-7]{4}-){6}[A-Z2-7]{2}\b", "<activation code>"),
    (r"user_temp_otp_\d+", "<temporary>"),
    (r"\b\d{6,9}\b", "<number>"),
    (r"127\.0\.0\.1:\d+", "<address>"),
]


def shape(text):
    for pattern, name in SHAPES:
        text = re.sub(pattern, name, text)
    return text.strip()


def blocks(page):
    """The (language, text) of each block that is to be run, in order."""
    return re.findall(r"^```(console|python|toml)\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands(text):
    """The (command, expected output) pairs of a console block; a command goes on where a line ends in a backslash."""
    pairs = []
    for line in text.splitlines():
        if line.startswith("$ "):
            pairs.append([line[2:], []])
        elif pairs and pairs[-1][0].endswith("\\"):
            pairs[-1][0] += "\n" + line
        else:
            pairs[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in pairs]


class Shell:
    """One bash that reads commands and says where the output of each ends."""

    END = "--- end of output ---"

    def __init__(self, env, cwd):
        self.process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, env=env, cwd=cwd)

    def run(self, command):
        self.process.stdin.write(f"{command}\necho; echo '{self.END}'\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == self.END:
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"the shell ended at: {command}")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_reader_sees_what_the_page_shows(page, start_dev, tmp_path):
    server = start_dev()
    env = {
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}", "HOME": str(tmp_path),
        "CLIENT_ID": server.CLIENT_ID, "CLIENT_SECRET": server.client_secret, "DATA": str(server.data),
        "AUTHENTICATOR": app.binary(),
        "FACTORD": os.environ.get("FACTORD_BIN", str(ROOT / "target/debug/factord")),
    }
    here = lambda text: text.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    shell, ran = Shell(env, tmp_path), 0
    for language, text in blocks(page):
        if language == "python":
            (tmp_path / "example.py").write_text(here(text))
            continue
        if language == "toml":
            (tmp_path / "factord.toml").write_text(here(text))
            continue
        for command, expected in commands(text):
            output = shell.run(here(command))
            assert shape(output) == shape(here(expected)), f"$ {command}"
            ran += 1
    shell.close()
    assert ran, f"{page} has no example that was run"
    if page.parent.name == "factors":
        done = {it["action"] for it in server.dev("GET", "/dev/events") if it["outcome"] == "success"}
        assert done & ENROLS and "complete_verification" in done, f"{page} does not enrol and verify"
