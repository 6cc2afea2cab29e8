"""SQLite on a disk that fails: whatever was acknowledged is there, and what cannot be made durable is not acknowledged.
Failures are injected into the running server's system calls by `strace`."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

import pytest
import requests

from harness import expect
from harness.people import Person
from harness.postgres import missing


@contextlib.contextmanager
def failing(server, calls, error):
    """System calls of the server fail with `error` as long as this lasts, or as the server does. Gives whether one has:
    the first calls after strace has attached may still be missed."""
    if shutil.which("strace") is None:
        missing("strace is not installed (Debian: strace)")
    said, trace = server.stderr_path.with_name("strace.log"), server.stderr_path.with_name("trace.log")
    trace.unlink(missing_ok=True)
    with open(said, "wb") as log:
        tracer = subprocess.Popen(
            ["strace", "-f", "-p", str(server.process.pid), "-o", str(trace), "-e", f"trace={calls}",
             "-e", f"inject={calls}:error={error}"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while b"attached" not in said.read_bytes():
            if tracer.poll() is not None or time.monotonic() > deadline:
                missing(f"strace may not look into the server: {said.read_text(errors='replace')}")
            time.sleep(0.02)  # polling for another process
        yield lambda: "(INJECTED)" in trace.read_text(errors="replace")
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(5)
            except subprocess.TimeoutExpired:
                # It waits for a process that is dying: the kernel lets go of it when the tracer is gone.
                tracer.kill()
                tracer.wait(20)


@pytest.fixture
def server(start_dev):
    return start_dev()


@pytest.fixture
def totp(server):
    person = Person(server)
    return person, person.enrol_totp()


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
def test_a_disk_that_takes_no_more_acknowledges_nothing_and_loses_nothing(server, totp, error):
    """Full, or read-only: the write of the log fails."""
    person, device = totp
    at = server.clock.fresh_step()
    with failing(server, "pwrite64", error) as has_failed:
        _, answer = until_it_fails(at, person, device, has_failed)
        assert answer is None or answer.status_code == 503, expect.story(answer)
        stopped = server.process.poll() is not None
    if stopped or not answers(server):
        server.discard()
        server.restart()
    at = server.clock.fresh_step()
    expect.accepted(person.verify(device.code(at), device))
    expect.refused_code(person.verify(device.code(at), device))


def test_a_sync_that_fails_stops_the_server_before_it_acknowledges(server, totp):
    person, device = totp
    at = server.clock.fresh_step()
    with failing(server, "fsync,fdatasync", "EIO") as has_failed:
        code, answer = until_it_fails(at, person, device, has_failed)
        assert answer is None or answer.status_code == 503, expect.story(answer)
        assert server.process.wait(20) != 0
    assert "the database cannot say what it holds" in server.stderr_path.read_text(errors="replace")
    server.restart()
    # It was not acknowledged: it may have been written or not, but it is accepted once at most.
    first = person.verify(code, device)
    assert first.status_code in (200, 401), expect.story(first)
    expect.refused_code(person.verify(code, device))
    at = server.clock.fresh_step()
    expect.accepted(person.verify(device.code(at), device))


def test_a_log_that_cannot_be_copied_into_its_file_stays_and_nothing_is_lost(large_server):
    server, enrolled = large_server, []

    def enrol():
        person = Person(server)
        enrolled.append((person, person.enrol_totp()))

    # The beginning of the log is synced once, by the first commit.
    enrol()
    with failing(server, "fsync", "EIO") as has_failed:
        while not has_failed():
            assert len(enrolled) < 2_000, "no system call has failed"
            enrol()
        at = server.clock.fresh_step()
        person, device = enrolled[-1]
        code = device.code(at)
        expect.accepted(person.verify(code, device))
    assert "the log of the database cannot be copied" in server.stderr_path.read_text(errors="replace")
    assert server.process.poll() is None
    server.kill()
    server.restart()
    expect.refused_code(person.verify(code, device))
    for person, device in enrolled:
        assert person.device_ids() == [device.id]


@pytest.mark.parametrize("length", [1, 24, 2000, 4119])
def test_a_torn_last_page_of_the_log_takes_nothing_that_was_acknowledged(server, totp, length):
    """What a power loss leaves of a write that was under way: a frame that is cut off, or whose sum is wrong."""
    person, device = totp
    at = server.clock.fresh_step()
    code = device.code(at)
    expect.accepted(person.verify(code, device))
    server.kill()
    log = server.data / "factord.db-wal"
    whole = log.read_bytes()
    assert len(whole) > 32 + 4120, "there is no frame in the log"
    last = whole[-4120:]
    log.write_bytes(whole + last[:length])
    server.restart()
    expect.refused_code(person.verify(code, device))
    assert person.device_ids() == [device.id]
    at = server.clock.fresh_step()
    expect.accepted(person.verify(device.code(at), device))


def test_a_file_that_may_not_be_written_is_refused_at_the_start(server, totp, tmp_path):
    if os.getuid() == 0:
        # Root may write whatever its mode says, but not into a file system that is read-only.
        if shutil.which("unshare") is None:
            missing("unshare is not installed (Debian: util-linux)")
        server.stop()
        script = f'mount --bind "{server.data}" "{server.data}" && mount -o remount,ro,bind "{server.data}" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, "sh", *server.arguments]
    else:
        server.stop()
        (server.data / "factord.db").chmod(0o400)
        command = server.arguments
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=server.env, cwd=tmp_path)
    (server.data / "factord.db").chmod(0o600)
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        missing(f"a read-only file system cannot be made here: {done.stderr}")
    assert done.returncode != 0 and "panicked" not in done.stderr, done.stderr
    assert str(server.data) in done.stderr, done.stderr
    server.restart()
    person, device = totp
    assert person.device_ids() == [device.id]


def until_it_fails(at, person, device, has_failed):
    """Sends a right code, and if nothing has failed by then other writes; gives the code, and the answer to what failed
    if there was one."""
    code = device.code(at)
    for n in range(200):
        answer = None
        with contextlib.suppress(requests.RequestException):
            answer = person.verify(code, device) if n == 0 else person.update(firstname=f"Per {n}")
        if has_failed() or answer is None:
            return code, answer
        expect.ok(answer, 200)
    raise AssertionError("no system call has failed")


def answers(server):
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{server.url}/readyz", timeout=10).status_code == 200
    return False
