"""How many examples a generated test tries: a few in `make test`, many in `make test-deep`."""

import os

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
TIMES_MORE = 50


def examples(ordinary: int) -> int:
    """`ordinary`, or many times that in a deep run."""
    return ordinary * TIMES_MORE if DEEP else ordinary
