"""The database is lost, and comes back, or another takes its place."""

import threading
import time

import requests

from cluster.conftest import counts, seed
from cluster.load import Load
from harness import expect
from harness.people import Person

SEED = seed(20261125)


def test_without_its_database_a_node_refuses_fast_and_recovers_by_itself(start_postgres, start_cluster):
    server = start_postgres()
    cluster = start_cluster(server.database("factord"), count=2)
    person = Person(cluster)
    device = person.enrol_totp()
    at = cluster.clock.fresh_step()
    server.stop("immediate")
    gone = time.monotonic()
    refused = 0
    while time.monotonic() - gone < counts(5, 30):
        began = time.monotonic()
        answer = person.verify(device.code(at), device)
        # Each try is bounded; a machine that is busy with other things gets as much again.
        assert time.monotonic() - began < 8
        expect.error(answer, 503, "ServiceUnavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert requests.get(f"{cluster.url}/readyz", timeout=10).status_code == 503
        assert requests.get(f"{cluster.url}/healthz", timeout=10).status_code == 200
        refused += 1
    assert refused > 1
    server.start()
    for node in cluster.nodes:
        node.wait_ready()
    # Nothing was half done: the code that was refused so often is accepted once.
    at = cluster.clock.fresh_step()
    expect.accepted(person.verify(device.code(at), device))
    expect.refused_code(person.verify(device.code(at), device))
    reasons = [event["reason"] for event in person.events()]
    assert reasons.count("wrong") == 0, reasons


def test_the_database_dies_under_load_and_nothing_is_lost_or_accepted_twice(start_postgres, start_cluster):
    server = start_postgres()
    cluster = start_cluster(server.database("factord"))
    load = Load(cluster, SEED)
    lines = unknown = 0
    for _ in range(counts(2, 10)):
        with load:
            load.wait_for(60)
            server.kill()
            server.start()
            for node in cluster.nodes:
                node.wait_ready()
            load.wait_for(30)
        checked = load.check()
        lines, unknown = lines + checked[0], unknown + checked[1]
    print(f"\n{lines} lines checked, {unknown} of unknown outcome, seed {SEED}")
    assert lines > 100 and unknown > 0


def test_a_primary_dies_its_synchronous_standby_takes_over_and_nothing_is_lost(start_postgres, start_cluster):
    primary = start_postgres()
    database = "factord"
    primary.database(database)
    standby = start_postgres(standby_of=primary, name="standby")
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    primary.sql("SELECT pg_reload_conf()")
    wait_until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
    url = f"postgres://factord@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/{database}"
    cluster = start_cluster(url)
    load = Load(cluster, SEED)
    with load:
        load.wait_for(counts(80, 400))
        primary.kill()
        # The copy was made of a primary that waited for a standby; the new one has none.
        standby.promote()
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.sql("SELECT pg_reload_conf()")
        for node in cluster.nodes:
            node.wait_ready()
        load.wait_for(counts(40, 200))
    lines, unknown = load.check()
    print(f"\n{lines} lines checked, {unknown} of unknown outcome, longest answer {load.longest:.1f} s, seed {SEED}")
    assert lines > 100


def test_a_commit_whose_standby_is_gone_is_not_acknowledged(start_postgres, start_cluster):
    primary = start_postgres()
    url = primary.database("factord")
    cluster = start_cluster(url, count=1)
    person = Person(cluster)
    device = person.enrol_totp()
    at = cluster.clock.fresh_step()
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    primary.sql("SELECT pg_reload_conf()")
    wait_until(lambda: primary.sql("SHOW synchronous_standby_names") == "nobody")
    answers = []
    asking = threading.Thread(target=lambda: answers.append(person.verify(device.code(at), device)))
    asking.start()
    asking.join(30)
    assert answers and answers[0].status_code == 503, answers
    primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
    primary.sql("SELECT pg_reload_conf()")
    cluster.wait_ready()
    # It was committed on the primary, which nobody was told: used it is all the same.
    wait_until(lambda: person.verify(device.code(at), device).status_code in (200, 401))
    expect.refused_code(person.verify(device.code(at), device))


def wait_until(holds, patience=30):
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)  # polling another process
