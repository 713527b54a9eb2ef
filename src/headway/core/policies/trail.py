"""Predictions refined as tokens appear, with limited preemption."""

from headway.core.policies.srpt import Srpt

LIMIT_C = 0.8
"""Age, in initial predictions, from which a request runs to its end (c in the paper)."""


class Trail(Srpt):
    """By expected remaining service time; a request that is well advanced is not stopped.

    A late preemption frees little and occupies KV cache for long. `preemption.trail_c` sets another
    limit. Source: Shahout et al., ICLR 2025.
    """

    limit_c = LIMIT_C
