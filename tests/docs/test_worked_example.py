"""The worked example of a factor: the page shows the file's own lines, and the file does what the page says."""

import os
import re
import subprocess
from pathlib import Path

from harness.server import ROOT

PAGE = ROOT / "docs/factors/adding.md"
FOLDER = ROOT / "crates/factord/examples/security_questions"


def test_the_page_shows_lines_of_the_example():
    shown = re.findall(r"^```rust\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    source = "".join(file.read_text() for file in sorted(FOLDER.iterdir()))
    assert shown and [block for block in shown if block not in source] == []


def test_the_example_does_what_the_page_says():
    built = Path(os.environ.get("FACTORD_BIN", ROOT / "target/debug/factord")).parent
    example = built / "examples/security_questions"
    said = subprocess.run([example], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stderr) == (0, "")
    assert [line.split(":")[0] for line in said.stdout.splitlines()] == [
        "the answer that was accepted last is refused",
        "after five wrong ones no answer is looked at",
    ]
