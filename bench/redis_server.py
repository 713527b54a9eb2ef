"""The Redis of the tests, for benchmarks."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from tests.redis_server import RedisServer, redis_server

__all__ = ["RedisServer", "redis_server"]
