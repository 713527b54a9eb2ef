"""What tasks of a worker occupy together: a pure state machine.

Tasks that do not fit wait, the upper tiers before the lower ones, and in each tier the first to
come. A task that does not fit is not overtaken by a later one of its tier or below that needs some
of the same, so that it does not starve behind small ones; so a run of a low tier pauses between two
of its steps while a higher one waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from headway.workflows.definition import Needs
from headway.workflows.errors import WorkflowError


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the worker has. None: without limit, and not counted."""

    cpu: float | None = None
    memory_mb: float | None = None
    gpu: float | None = None
    gpu_memory_mb: float | None = None


AMOUNTS = ("cpu", "memory_mb", "gpu", "gpu_memory_mb")


class Resources:
    """Who holds what, and who waits.

    Args:
        capacity: what there is.
    """

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._held: dict[int, Needs] = {}
        self._waiting: dict[int, tuple[int, Needs]] = {}
        """By the order of arrival: tier and needs."""
        self._arrivals = 0

    def ask(self, tier: int, needs: Needs) -> int:
        """Ask for what a task needs; return its number, under which `granted` returns it.

        Raises:
            WorkflowError: the worker never has so much.
        """
        for name in AMOUNTS:
            has, wanted = getattr(self._capacity, name), getattr(needs, name)
            if has is not None and wanted > has:
                raise WorkflowError(
                    f"a task needs {wanted:g} {name}, this worker has {has:g}: lower what the task "
                    "states, or start the worker with more"
                )
        self._arrivals += 1
        self._waiting[self._arrivals] = (tier, needs)
        return self._arrivals

    def granted(self) -> list[int]:
        """Grant what fits now; return the numbers of those who have it from now on."""
        granted: list[int] = []
        waited_for: set[str] = set()
        for number, (_, needs) in sorted(
            self._waiting.items(), key=lambda one: (one[1][0], one[0])
        ):
            names = {name for name in AMOUNTS if getattr(needs, name)}
            names |= {f"exclusive {name}" for name in needs.exclusive}
            if names & waited_for or not self._fits(needs):
                waited_for |= names
                continue
            del self._waiting[number]
            self._held[number] = needs
            granted.append(number)
        return granted

    def release(self, number: int) -> None:
        """Give back what was granted, or stop waiting for it."""
        self._waiting.pop(number, None)
        self._held.pop(number, None)

    def _fits(self, needs: Needs) -> bool:
        if any(needs.exclusive & one.exclusive for one in self._held.values()):
            return False
        for name in AMOUNTS:
            has = getattr(self._capacity, name)
            wanted = getattr(needs, name)
            held = sum(getattr(one, name) for one in self._held.values())
            if has is not None and wanted and held + wanted > has:
                return False
        return True
