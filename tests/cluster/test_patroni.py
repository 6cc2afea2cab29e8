"""The database fails over by Patroni in strict synchronous mode, seen through HAProxy, again and again under load."""

import os
import random

import pytest

from cluster.conftest import FULL, counts
from cluster.load import Load
from harness.patroni import versions

SEED = int(os.environ.get("FACTORD_SEED", "20261124"))
SETTINGS = [{"synchronous": 1}, {"synchronous": 2}, {"as_documented": True}]
# How a primary is lost: with its Patroni, in an orderly way, or (the last) it lives on and does not know.
KINDS = ["kill"] * 6 + ["switchover"] * 2 + ["agent"] * 2


@pytest.mark.parametrize("setting", SETTINGS if FULL else SETTINGS[:1], ids=str)
def test_patroni_fails_over_under_load_and_nothing_is_lost_or_accepted_twice(start_patroni, start_cluster, setting):
    chance = random.Random(SEED)
    patroni = start_patroni(**setting)
    cluster = start_cluster(patroni.url, env={"FACTORD_DATABASE_PASSWORD": patroni.password})
    load = Load(cluster, SEED)
    lines = unknown = 0
    silences = {}
    for kind in counts(KINDS[:1], chance.sample(KINDS, len(KINDS))):
        with load:
            load.wait_for(chance.randrange(30, 90))
            lost = patroni.primary()
            {"kill": lost.kill, "agent": lost.kill_agent, "switchover": patroni.switchover}[kind]()
            patroni.wait_primary(but=lost)
            load.wait_for(chance.randrange(20, 60))
            if kind != "switchover":
                lost.begin()
            patroni.wait_settled()
            load.wait_for(30)
        silences.setdefault(kind, []).append(round(load.silence, 1))
        checked = load.check()
        lines, unknown = lines + checked[0], unknown + checked[1]
    print(f"\n{sum(map(len, silences.values()))} failovers, {setting}, {lines} lines checked, {unknown} of "
          f"unknown outcome, seed {SEED}\nlongest silence of each round, s: {silences}; longest answer {load.longest:.1f} s\n"
          f"{versions()}")
    assert lines > 60 * len(silences)
