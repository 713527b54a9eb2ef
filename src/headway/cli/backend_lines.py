"""The lines of the backends in what `headway serve` prints at its start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headway.engines.backend_status import BackendStatus
from headway.engines.changes import named
from headway.redaction import masked


def backend_lines(statuses: Iterable[BackendStatus], embedded: str) -> Sequence[str]:
    """A line for each backend: the models of one that is up, and why another is down.

    Args:
        statuses: of all backends, as they are now.
        embedded: the name of the embedded engine, whose address is of no use to anybody.
    """
    lines = []
    for status in statuses:
        place = "the embedded engine" if status.name == embedded else masked(status.url)
        if status.healthy:
            lines.append(f"  model   {named(status.models)} on {place}")
        elif status.starting:
            lines.append(f"  starts  {place}; requests wait for it")
        else:
            lines.append(f"  down    {place}: {masked(status.why_down)}; it is tried again")
    return lines
