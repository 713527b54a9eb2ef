"""Which requests can be stopped and continued exactly."""

from __future__ import annotations

import msgspec

from headway.engines.engine import Description, Kind


def continuable(
    kind: Kind, body: dict[str, msgspec.Raw], description: Description | None = None
) -> str | None:
    """None if the request can be stopped and continued without a trace, else the reason why not.

    The reason completes the sentence "It cannot be preempted: it ...". With a `description`
    what that engine cannot continue is judged too, without one only the request itself.
    """
    raise NotImplementedError
