"""Nodes and database servers that the tests start, and lose."""

import os

import pytest

from harness.cluster import Cluster
from harness.patroni import Patroni, lacking
from harness.postgres import Postgres, missing, programs

FULL = bool(os.environ.get("FACTORD_FULL"))


def counts(short, full):
    """How often something is done: a few times by `make test`, as often as promised by `make test-failover`."""
    return full if FULL else short


def seed(usual):
    """What chance begins with: `FACTORD_SEED`, if it is set."""
    return int(os.environ.get("FACTORD_SEED", usual))


@pytest.fixture
def start_postgres():
    if programs() is None:
        missing("PostgreSQL is not installed (Debian: postgresql)")
    started = []

    def start(settings=None, standby_of=None, name=None):
        server = Postgres(settings)
        started.append(server)
        if standby_of is None:
            return server.create().start()
        return server.create_standby_of(standby_of, name).start()

    yield start
    for server in started:
        server.discard()


@pytest.fixture
def start_patroni():
    if lacking():
        missing(f"not installed (Debian packages): {', '.join(lacking())}")
    started = []

    def start(**keywords):
        started.append(Patroni(**keywords))
        return started[-1].start()

    yield start
    for whole in started:
        whole.discard()


@pytest.fixture
def start_cluster(tmp_path):
    started = []

    def start(database, **keywords):
        cluster = Cluster(tmp_path / f"cluster{len(started)}", database, **keywords)
        started.append(cluster)
        return cluster.start()

    yield start
    for cluster in started:
        cluster.discard()
        for node in cluster.nodes:
            assert "panicked at" not in node.stderr_path.read_text(errors="replace"), node.logs()
