"""For every test: generated ones repeat themselves in CI, and are new each time elsewhere.

A deep run (`make test-deep`) tries many times more, from a seed that it prints and keeps.
"""

import os
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import settings
from tests.deep import DEEP
from tests.redis_server import RedisServer, redis_server
from tests.store import postgres_server

# Test processes side by side have a core each: threads of OpenMP that wait for a core spin.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: they are wall-clock time, so a busy machine would break them.
settings.register_profile("ordinary", deadline=None)
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("deep", print_blob=True, max_examples=5000, deadline=None)
if DEEP:
    settings.load_profile("deep")
else:
    settings.load_profile("ci" if os.environ.get("CI") else "ordinary")

try:
    from anthropic import _base_client as _anthropic
    from openai import _base_client as _openai
except ModuleNotFoundError:
    pass
else:
    # A client that a test leaves open closes itself when it is collected, in some later test, whose
    # log then says that the loop of the client is gone.
    for _clients in (_openai, _anthropic):
        if "__del__" in vars(_clients.AsyncHttpxClientWrapper):
            del _clients.AsyncHttpxClientWrapper.__del__

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real server; skips where none is installed."""
    if postgres_server.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server.temporary() as address:
        yield address


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server for each module, which may kill it; skips where none is installed."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def postgres_database(postgres: str) -> str:
    """The address of one that is empty, for this test alone."""
    return postgres_server.new_tables(postgres, f"test{next(_numbers)}")
