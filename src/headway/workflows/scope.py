"""Where the code of a run stands: which step comes next has a name that is the same each time.

Steps are named by the way to them: `answer/generate#2` is the second call of `generate` in
`answer`, `gather[3]/check` is a step of the fourth branch. So branches that run at a time may end
in any order, and a run that goes on finds every step under the name that it had.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from headway.core.request import Tier
from headway.workflows.errors import WorkflowError

if TYPE_CHECKING:
    from headway.workflows.execution import Execution

_scope: ContextVar[Scope | None] = ContextVar("headway_scope", default=None)


class Scope:
    """The body of a workflow, of a branch or of an attempt of a task.

    Args:
        run: the run that it belongs to.
        path: the name that those of its steps begin with; "" for the workflow itself.
        is_branch: whether it may wait for people, times and runs; a task may not, since it would
            run again from its beginning.
        tier: of its calls; None: the run's.
        holds: whether it is in a task that holds resources.
    """

    def __init__(
        self,
        run: Execution,
        path: str,
        *,
        is_branch: bool,
        tier: Tier | None = None,
        holds: bool = False,
    ) -> None:
        self.run = run
        self.path = path
        self.is_branch = is_branch
        self.tier = tier
        self.holds = holds
        self.task = asyncio.current_task()
        self._counts: Counter[str] = Counter()

    def reserve(self, name: str) -> str:
        """The path of the next step called `name`.

        Raises:
            WorkflowError: another task of asyncio calls it than the one that entered this scope.
        """
        try:
            caller = asyncio.current_task()
        except RuntimeError:
            caller = None
        if caller is not self.task:
            raise WorkflowError(
                f"{name} is called from a task or thread of its own, where the order of steps is "
                "left to chance; use headway.gather(…) or headway.map(…)"
            )
        self._counts[name] += 1
        count = self._counts[name]
        own = name if count == 1 else f"{name}#{count}"
        return f"{self.path}/{own}" if self.path else own

    @contextmanager
    def entered(self) -> Iterator[None]:
        """While it is the current scope of this task of asyncio."""
        token = _scope.set(self)
        try:
            yield
        finally:
            _scope.reset(token)


def current() -> Scope | None:
    """The scope of the code that runs now; None outside of runs."""
    return _scope.get()


def required(name: str) -> Scope:
    """The same. Raises WorkflowError outside of a workflow's own body, naming what was called."""
    inside = current()
    if inside is None or not inside.is_branch:
        where = "a task runs again from its beginning" if inside else "there is no run here"
        raise WorkflowError(f"{name} belongs into the body of a workflow: {where}")
    return inside
