"""Database servers of the tests in which databases are put back or moved."""

import pytest

from harness.postgres import Postgres, missing, programs


@pytest.fixture(scope="module")
def postgres():
    """One PostgreSQL server for the module."""
    if programs() is None:
        missing("PostgreSQL is not installed (Debian: postgresql)")
    server = Postgres().create().start()
    yield server
    server.discard()
