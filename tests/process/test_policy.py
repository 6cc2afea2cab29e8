"""The policy of `factord serve`: shown by a command, and taken over by a running server on SIGHUP."""

import json
import signal
import time

import pytest

from harness import expect, oath
from harness.people import AUTHENTICATOR, PROTECT, RECOVERY
from harness.serve import Installation, refused, run

PATIENCE = 20


@pytest.fixture
def one(tmp_path):
    installation = Installation(tmp_path / "one")
    yield installation
    installation.discard()


def write(one, policy):
    """The installation's configuration with these lines of policy."""
    one.write()
    with one.config.open("a") as file:
        file.write(policy)


def lines(one):
    """The log's lines."""
    whole, _, _ = one.process.stdout_path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def hang_up(one, says):
    """SIGHUP; gives the new lines of the log once one of them says that it was dealt with."""
    before = len(lines(one))
    one.process.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        new = lines(one)[before:]
        if any(says in json.dumps(line) for line in new):
            return new
        time.sleep(0.02)  # the log of another process, nothing else can be waited on
    raise AssertionError(f"the log does not say {says!r}\n{one.process.logs()}")


def offered(api, ident):
    return [it["factor_id"] for it in expect.ok(api.get(f"/api/2/mfa/users/{ident}/factors"), 200)]


def user(api, department):
    fields = {"username": f"u-{time.monotonic_ns()}", "custom_attributes": {"department": department}}
    return expect.ok(api.post("/api/2/users", fields), 201)["id"]


TAKEN_OVER, STAYS = "was read again and taken over", "the old configuration stays"
FIRST = """
[policy]
attribute = "department"
[policy.groups.finance]
factors = ["recovery_codes"]
"""


def test_a_new_policy_holds_from_the_next_request_on_and_a_wrong_one_changes_nothing(one):
    write(one, FIRST)
    one.start()
    api = one.api()
    clerk, guard = user(api, "Finance"), user(api, "security")
    assert offered(api, clerk) == [RECOVERY]
    assert offered(api, guard) == [AUTHENTICATOR, PROTECT, RECOVERY]
    registrations = f"/api/2/mfa/users/{clerk}/registrations"
    authenticator = {"factor_id": AUTHENTICATOR, "display_name": "x"}
    expect.invalid(api.post(registrations, authenticator), "factor_id")

    # A group is let in
    write(one, FIRST.replace('["recovery_codes"]', '["authenticator"]'))
    said = hang_up(one, TAKEN_OVER)
    assert not [line for line in said if line["level"] in ("WARN", "ERROR")], said
    assert offered(api, clerk) == [AUTHENTICATOR]
    made = expect.ok(api.post(registrations, authenticator), 201)
    secret, now = made["factor_data"]["verification_token"], time.time()
    expect.ok(api.put(f"{registrations}/{made['id']}", {"otp": oath.code(secret, now)}), 200)

    # A file that is wrong: every problem is said, and nothing changes
    write(one, FIRST.replace("factors", "factor") + 'max_expires_in = 5\n')
    said = hang_up(one, STAYS)
    problems = " ".join(line.get("problem", "") for line in said if line["level"] == "ERROR")
    assert "policy.groups.finance.factor (in " in problems and "did you mean factors?" in problems
    assert "policy.groups.finance.max_expires_in (in " in problems and "5 is outside 120 to 900" in problems
    assert offered(api, clerk) == [] and offered(api, guard) == [AUTHENTICATOR, PROTECT, RECOVERY]

    # No file is no policy either
    one.config.rename(one.base / "gone.toml")
    hang_up(one, STAYS)
    assert offered(api, clerk) == []

    # What is disabled is disabled for devices that there are
    write(one, FIRST + 'disabled = ["authenticator"]\n')
    hang_up(one, TAKEN_OVER)
    challenge = api.post(f"/api/2/mfa/users/{clerk}/verifications", {"device_id": made["device_id"]})
    expect.error(challenge, 403, "ForbiddenAction", message="The factor is disabled for this user")
    write(one, FIRST)
    hang_up(one, TAKEN_OVER)
    expect.ok(api.post(f"/api/2/mfa/users/{clerk}/verifications", {"device_id": made["device_id"]}), 201)
    assert one.process.stop() == 0


def test_whoever_is_moved_is_held_to_the_new_group_at_once(one):
    write(one, FIRST)
    one.start()
    api = one.api()
    ident = user(api, "security")
    assert offered(api, ident) == [AUTHENTICATOR, PROTECT, RECOVERY]
    moved = {"custom_attributes": {"department": "finance"}}
    expect.ok(api.put(f"/api/2/users/{ident}", moved), 200)
    assert offered(api, ident) == [RECOVERY]


def test_what_only_a_new_start_takes_over_is_named(one):
    one.start()
    one.settings.update(rate_limit=7, service_name="New", limits={"body_bytes": 5000}, rules={"temporary_tokens": 1})
    write(one, "[policy]\nmax_token_expires_in = 600\n")
    said = hang_up(one, TAKEN_OVER)
    named = {line["key"] for line in said if line["level"] == "WARN" and "new start" in json.dumps(line)}
    assert named == {"rate_limit", "limits.body_bytes"}
    api = one.api()
    ident = user(api, "x")
    tokens = f"/api/2/mfa/users/{ident}/mfa_token"
    expect.invalid(api.post(tokens, {"expires_in": 601}), "expires_in")
    expect.ok(api.post(tokens, {}), 201)
    expect.invalid(api.post(tokens, {}), "mfa_token")


def test_what_holds_for_whom_is_shown(one):
    write(one, FIRST + 'max_token_expires_in = 3600\n[policy.groups."Legal & Tax"]\ndisabled = ["recovery_codes"]\n'
          "devices.authenticator = 2\n")
    shown = run("policy", "check", one.config)
    rows = [line.split("  ") for line in shown.splitlines()]
    assert [row[0] for row in rows] == ["GROUP", "(everybody else)", "finance", "Legal & Tax"], shown
    assert "authenticator (2)" in shown and "at most 3600" in shown
    everybody, finance, legal = json.loads(run("policy", "check", one.config, "--output", "json"))
    assert everybody["group"] is None and finance["group"] == "finance"
    assert finance["offered"] == [{"factor": "recovery_codes", "factor_id": RECOVERY, "devices": 1}]
    assert legal["disabled"] == ["recovery_codes"]
    assert (legal["number_matching"], legal["number_digits"]) == ("on_request", 2)
    assert legal["offered"] == [
        {"factor": "authenticator", "factor_id": AUTHENTICATOR, "devices": 2},
        {"factor": "protect", "factor_id": PROTECT, "devices": 1},
    ]

    def by(*arguments):
        return json.loads(run("policy", "check", one.config, *arguments, "--output", "json"))

    assert by("--attribute", "department=LEGAL & tax") == [legal]
    assert by("--attribute", "department=none") == [everybody]
    assert "department" in refused("policy", "check", one.config, "--attribute", "team=finance")
    one.start()
    clerk, guard = user(one.api(), "finance"), user(one.api(), "guards")
    assert by("--user", clerk) == [finance]
    assert by("--user", guard) == [everybody]


def test_a_policy_that_is_wrong_is_refused_with_all_that_is_wrong(one, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('[policy]\nfactors = ["smss"]\nmax_expires_in = 1\n[policy.groups.a]\ndisabled = ["email", "voise"]\n')
    text = refused("policy", "check", file)
    for key in ("policy.factors", "policy.max_expires_in", "policy.attribute", "policy.groups.a.disabled"):
        assert f"  {key}" in text, text
    write(one, file.read_text())
    assert "did you mean sms?" in refused("serve", "--config", one.config, cwd=one.base)
