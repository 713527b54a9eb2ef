"""Whether a preemption saves a deadline.

The first of the waiting requests gets the next slot anyway. To take one before costs something, and
is worth it only if the request would be late otherwise, with all that its run does after it, and
if the one that is stopped can still be in time.
"""

from __future__ import annotations

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.core.request import Request
from headway.core.settings import INFINITE


def rescues(
    waiting: Request,
    running: Request,
    backend: Backend,
    cost: CostModel,
    next_slot_s: float,
    now_s: float,
) -> bool:
    """Whether `waiting` needs the slot of `running`, and `running` can spare it.

    Args:
        waiting: the first of those that wait.
        running: runs on `backend`.
        backend: has the slot.
        cost: the reference cost model.
        next_slot_s: predicted time until a slot frees.
        now_s: the time.
    """
    if spare_s(waiting, cost, now_s) > next_slot_s:
        return False
    taken_s = cost.duration_s(waiting) + backend.cost.stop_s(running)
    return spare_s(running, cost, now_s) >= taken_s


def spare_s(request: Request, cost: CostModel, now_s: float) -> float:
    """Time that `request` may still wait and its run meet the deadline; below 0 it is late."""
    if request.deadline_s is None:
        return INFINITE
    return request.deadline_s - now_s - cost.duration_s(request) - request.after_s
