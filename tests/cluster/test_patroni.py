"""The database fails over by Patroni in strict synchronous mode, seen through HAProxy, again and again under load."""

import random
import time

import pytest

from cluster.conftest import FULL, counts, seed
from cluster.load import WORKERS, Load
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
    load = Load(cluster, SEED, workers=counts(2, WORKERS))
    lines = unknown = 0
    losses = counts(LOSSES[:1], chance.sample(LOSSES, len(LOSSES)))
    for loss in losses:
        with load:
            load.wait_for(chance.randrange(30, 90))
            began = time.monotonic()
            lost, waiting = lose(patroni, loss)
            took = time.monotonic() - began
            load.wait_for(chance.randrange(20, 60))
        silence = load.silence
        # At once, while the codes that were accepted before are codes still.
        done = load.check()
        with load:
            if loss != "switchover":
                lost.begin()
            patroni.wait_settled()
            load.wait_for(30)
        again = load.check()
        if waiting:
            assert waiting.wait(60) != 0, "the old primary has acknowledged a commit"
            assert patroni.wait_primary().sql("SELECT to_regclass('nobody_confirms_this')") == ""
        print(f"\n{loss}: nothing acknowledged for {silence:.1f} s, another primary after {took:.1f} s; until the server was "
              f"back {load.silence:.1f} s at most", end="", flush=True)
        lines, unknown = lines + done[0] + again[0], unknown + done[1] + again[1]
    print(f"\n{len(losses)} losses, {setting}: {lines} lines checked, {unknown} of unknown outcome, longest answer "
          f"{load.longest:.1f} s, seed {SEED}, {versions()}")
    assert lines > 60 * len(losses)


def lose(patroni, loss):
    """Loses a server, and waits for another primary if it was the primary. Gives the server, and where it lives on a
    client that waits for its commit."""
    primary = patroni.wait_primary()
    if loss == "standby":
        standby = patroni.synchronous_standbys()[0]
        standby.kill()
        return standby, None
    {"machine": primary.kill, "agent": primary.kill_agent, "switchover": patroni.switchover}[loss]()
    patroni.wait_primary(but=primary)
    return primary, write_to(primary, patroni) if loss == "agent" else None


def write_to(old, patroni):
    """Two servers take themselves for the primary. The old one is asked to write, which it cannot confirm."""
    assert old.sql("SELECT pg_is_in_recovery()") == "f"
    waiting = old.psql("CREATE TABLE nobody_confirms_this ()")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE%' AND wait_event = 'SyncRep'"
    patroni.wait("a commit that waits", lambda: old.sql(waits) == "1")
    return waiting
