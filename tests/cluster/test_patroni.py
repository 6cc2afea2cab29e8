"""The database fails over by Patroni in strict synchronous mode, seen through HAProxy, again and again under load."""

import random
import time

import pytest

from cluster.conftest import FULL, counts, seed
from cluster.load import Load
from harness.patroni import versions

SEED = seed(20261124)
SETTINGS = [{"synchronous": 1}, {"synchronous": 2}, {"as_documented": True}]
# What happens to a server: it is lost with its Patroni; the two change places; its Patroni alone is lost, so that it does
# not know that it is no primary any more. The last is no failover: the synchronous standby is lost.
LOSSES = ["machine"] * 6 + ["switchover"] * 2 + ["agent"] * 2 + ["standby"]


@pytest.mark.parametrize("setting", SETTINGS if FULL else SETTINGS[:1], ids=str)
def test_patroni_fails_over_under_load_and_nothing_is_lost_or_accepted_twice(start_patroni, start_cluster, setting):
    chance = random.Random(SEED)
    patroni = start_patroni(**setting)
    cluster = start_cluster(patroni.url, env={"FACTORD_DATABASE_PASSWORD": patroni.password})
    load = Load(cluster, SEED)
    lines = unknown = 0
    losses = counts(LOSSES[:1], chance.sample(LOSSES, len(LOSSES)))
    for loss in losses:
        with load:
            load.wait_for(chance.randrange(30, 90))
            began = time.monotonic()
            lost = lose(patroni, loss)
            took = time.monotonic() - began
            load.wait_for(chance.randrange(20, 60))
            if loss != "switchover":
                lost.begin()
            patroni.wait_settled()
            load.wait_for(30)
        checked = load.check()
        print(f"\n{loss}: nothing acknowledged for {load.silence:.1f} s, another primary after {took:.1f} s, "
              f"{checked[0]} lines checked, {checked[1]} of unknown outcome", end="", flush=True)
        lines, unknown = lines + checked[0], unknown + checked[1]
    print(f"\n{len(losses)} losses, {setting}: {lines} lines checked, {unknown} of unknown outcome, longest answer "
          f"{load.longest:.1f} s, seed {SEED}, {versions()}")
    assert lines > 60 * len(losses)


def lose(patroni, loss):
    """Loses a server, and waits for another primary if it was the primary; gives the server."""
    primary = patroni.wait_primary()
    if loss == "standby":
        standby = patroni.synchronous_standbys()[0]
        standby.kill()
        return standby
    {"machine": primary.kill, "agent": primary.kill_agent, "switchover": patroni.switchover}[loss]()
    patroni.wait_primary(but=primary)
    if loss == "agent":
        # Two servers take themselves for the primary, but what the old one is told it cannot confirm.
        assert primary.sql("SELECT pg_is_in_recovery()") == "f"
        said = primary.run("psql", "-X", "-d", primary.superuser(), "-c", "SET statement_timeout = '2s'",
                           "-c", "CREATE TABLE nobody_confirms_this ()").stderr
        assert "might not have been replicated" in said, said
    return primary
