"""Batches for models that answer a whole batch at once: encoders, classifiers, speech.

Why this is not the scheduler. For a model that generates text, the scheduler decides which request
is next: a request starts on a slot of its own, and stops or continues independently of the others.
A batch is formed at one moment, cannot be stopped, and ends for all of its items at once. So the
question here is when to launch and with which items, and a state machine of its own, `Batcher`,
answers it with its own events and decisions. Both share the order: `Request`, tiers, tenants,
policies and the starvation bound are the same classes (`Waiting`), and the item that is next in
that order is in the batch that is launched.

Slots, preemption, KV cache and streamed tokens have no meaning here, and a scheduler that knew
batches would have to ask at every step which kind of model it serves. One Batcher has one model,
on one or several workers.

    batcher.py     Batcher: events go in, batches come out
    admission.py   whether a new item may wait
    pending.py     the waiting items in their order; item_queue.py: those of one tier
    assembly.py    which items the next batch holds; draft.py keeps it within its limits
    length_aware.py   batches of items of about equal length
    slices.py      how long a batch may delay interactive items
    workers.py     the workers and their running batches; batch.py: Batch, Launch
    retries.py     halves of failed batches
    outlook.py     predicted waits and latest starts
    policy.py      when to launch, and how many: constant.py, adaptive.py, optimal.py
    smdp.py        the decision process whose solution `optimal` looks up
    limits.py      size, length, memory
    curve.py, rate.py   what is learned: durations and arrivals
    settings.py    everything an operator decides
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
