"""Prediction refined as tokens appear, with limited preemption."""

from headway.core.policies.srpt import Srpt

LIMIT_C = 0.8
"""Age, in initial predictions, from which on a request runs to its end (c in the paper)."""


class Trail(Srpt):
    """By expected remaining service time; what is well on its way is not stopped any more.

    A late preemption frees little and holds its KV cache for long. `preemption.trail_c` sets
    another limit. Source: Shahout et al., ICLR 2025.
    """

    limit_c = LIMIT_C
