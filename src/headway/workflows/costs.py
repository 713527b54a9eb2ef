"""What a run still needs after each of its steps, learned from the runs that ended before."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable

from headway.workflows.journal.rows import RunRow, RunState, StepRow

MOST = 10_000
"""Steps that are remembered: those of workflows that ran last."""
WEIGHT = 0.1
"""Of the newest run in the averages."""
WAITS = ("timer", "person", "event")


def pattern(path: str) -> str:
    """The step whatever branch and attempt it is in: `gather[3]/check#2~1` is `gather/check`."""
    return re.sub(r"\[\d+\]|#\d+|~\w+", "", path)


class Costs:
    """Mean seconds from the end of a step to the end of its run, waits for people left out.

    So the critical path of any graph is learned as it is run, and needs no drawing of it.
    """

    def __init__(self) -> None:
        self._remaining_s: OrderedDict[tuple[str, str], float] = OrderedDict()

    def learn(self, run: RunRow, steps: Iterable[StepRow]) -> None:
        """Learn from a run that ended; those that failed or were cancelled say nothing."""
        if run.state is not RunState.FINISHED or run.ended_at is None:
            return
        steps = list(steps)
        waits = [
            (one.started_at, one.ended_at)
            for one in steps
            if one.kind in WAITS and one.started_at and one.ended_at
        ]
        for step in steps:
            if step.kind in WAITS or step.ended_at is None:
                continue
            waited_s = sum(max(0.0, end - max(begin, step.ended_at)) for begin, end in waits)
            self._average(
                (run.workflow, pattern(step.path)),
                max(0.0, run.ended_at - step.ended_at - waited_s),
            )

    def remaining_s(self, workflow: str, path: str) -> float | None:
        """Predicted seconds from the end of this step to that of its run; None: not known."""
        return self._remaining_s.get((workflow, pattern(path)))

    def _average(self, key: tuple[str, str], seconds: float) -> None:
        known = self._remaining_s.pop(key, seconds)
        self._remaining_s[key] = known + WEIGHT * (seconds - known)
        while len(self._remaining_s) > MOST:
            self._remaining_s.popitem(last=False)
