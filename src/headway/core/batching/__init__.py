"""Batches for models that answer a whole batch at once: encoders, classifiers, speech.

How it sits beside the scheduler. For a model that generates text the scheduler decides who is
next: a request starts on a slot of its own, is stopped or goes on by itself, and what else runs
makes little difference. A batch is formed at one moment, cannot be stopped, and ends for all at
once. So the question here is when to launch and with whom, and that is a state machine of its
own, `Batcher`, with events and decisions of its own. What both share is the order: `Request`,
tiers, tenants, policies and the starvation bound are the same classes (`Waiting`), and whoever is
next by them is in the batch that is launched.

Slots, preemption, KV cache and tokens that come one by one have no meaning here, and a scheduler
that knew batches would ask at every step which kind of model it has before it. One Batcher has
one model, on one or several workers.

    policy.py     BatchingPolicy: when to launch, and how many
    constant.py, adaptive.py, optimal.py   three of them
    smdp.py       the decision process that `optimal` looks up
    length_aware.py   with whom: items of about equal length
    limits.py     size, lengths, memory; draft.py holds a batch to them
    curve.py, rate.py   what is learned: durations and arrivals
    item_queue.py the waiting items of one tier
    batcher.py    Batcher: events go in, batches come out
"""

from headway.core.batching.batch import Batch, BatchDecision, Launch
from headway.core.batching.batcher import Batcher
from headway.core.batching.curve import Curve, CurveFit
from headway.core.batching.limits import Limits
from headway.core.batching.policy import BatchingPolicy, QueueSnapshot
from headway.core.batching.settings import BatchingSettings, TierBatching
from headway.core.batching.smdp import Problem, Table, solve

__all__ = [
    "Batch",
    "BatchDecision",
    "Batcher",
    "BatchingPolicy",
    "BatchingSettings",
    "Curve",
    "CurveFit",
    "Launch",
    "Limits",
    "Problem",
    "QueueSnapshot",
    "Table",
    "TierBatching",
    "solve",
]
