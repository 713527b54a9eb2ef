"""Which sites have the KV memory for a request, as lanes of the scheduler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.site import Site
from headway.lab.simulation.trace import Trace


class Fitting:
    """Groups requests by the number of sites that they are too large for: one lane per number.

    The size of a request is its prompt and its answer: if both do not fit it would never end.
    If everything fits everywhere, there is one lane.

    Args:
        trace: the requests.
        sites: where they may run.

    Raises:
        SimulationError: a request is larger than the memory of every site.
    """

    def __init__(self, trace: Trace, sites: Sequence[Site]) -> None:
        _refuse_too_large(trace, sites)
        self._memories = sorted({site.profile.kv_tokens for site in sites} - {0})
        names = ["", *(f"above {tokens} tokens" for tokens in self._memories)]
        too_small = np.searchsorted(self._memories, trace.prompt_tokens + trace.output_tokens)
        self.lane_of = [names[count] for count in too_small.tolist()]
        """Of each request, by number."""
        self._names = names

    def lanes_of(self, site: Site) -> frozenset[str]:
        """The lanes of requests that `site` has memory for."""
        memory = site.profile.kv_tokens
        larger = self._memories.index(memory) if memory else len(self._memories)
        return frozenset(self._names[: larger + 1])


def _refuse_too_large(trace: Trace, sites: Sequence[Site]) -> None:
    if not sites:
        raise ValueError("a simulation needs an engine to run on")
    if any(not site.profile.kv_tokens for site in sites):
        return
    largest = max(sites, key=lambda site: site.profile.kv_tokens).profile
    tokens = trace.prompt_tokens + trace.output_tokens
    too_large = np.flatnonzero(tokens > largest.kv_tokens)
    if len(too_large):
        row = int(too_large[0])
        raise SimulationError(
            f"{trace.name}, row {row + 1}: {tokens[row]} tokens of prompt and answer are more than "
            f"the KV memory of {largest.name} ({largest.kv_tokens}); take a profile with more, or "
            f"`headway trace convert --most-tokens {largest.kv_tokens}`"
        )
