"""One-time codes by `oathtool` (OATH Toolkit): an implementation that we did not write."""

import shutil
import subprocess

import pytest

STEP = 30


def code(secret, at):
    """The six digits of `secret` (base32) at the second `at`."""
    return codes(secret, at, 1)[0]


def codes(secret, at, count):
    """The codes of `count` consecutive time steps, beginning with the one that holds the second `at`."""
    if shutil.which("oathtool") is None:
        pytest.exit("oathtool is missing: install Debian's package of that name", returncode=3)
    # The secret goes through standard input: command lines can be read by everybody.
    run = subprocess.run(
        ["oathtool", "--totp=sha1", "--base32", "--digits=6", f"--now=@{int(at)}", f"--window={count - 1}", "-"],
        input=secret, capture_output=True, text=True, timeout=20,
    )
    assert run.returncode == 0, f"oathtool refused the secret: {run.stderr}"
    lines = run.stdout.split()
    assert len(lines) == count
    return lines


def hotp(seed, counter, digits=6, count=1):
    """The codes of a counted token (RFC 4226) from `counter` on; `seed` is hexadecimal."""
    run = subprocess.run(
        ["oathtool", "--hotp", f"--digits={digits}", f"--counter={counter}", f"--window={count - 1}", "-"],
        input=seed, capture_output=True, text=True, timeout=20,
    )
    assert run.returncode == 0, f"oathtool refused the seed: {run.stderr}"
    return run.stdout.split()


def wrong_code(secret, at, salt=0):
    """Six digits that are no code of `secret` within 20 steps of `at`."""
    near = set(codes(secret, at - 20 * STEP, 41))
    for n in range(salt * 7919, 1_000_000):
        candidate = f"{n % 1_000_000:06d}"
        if candidate not in near:
            return candidate
    raise AssertionError("unreachable")


def other(digits, by=1):
    """A code of the same length that is not `digits`."""
    return str((int(digits) + by) % 10 ** len(digits)).zfill(len(digits))
