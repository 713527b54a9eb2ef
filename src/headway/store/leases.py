"""Leases of durable work: they are renewed while their owner lives, and end without it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from headway.store.owner import died, lives
from headway.store.transactions import Connection

logger = logging.getLogger(__name__)

LEASE_S = 6.0
"""How long another machine waits before it takes over what this one held."""
RENEWALS = 4
"""In that time: one that is late costs nothing."""


def abandoned(owner: str, lease_until: float, connection: Connection) -> bool:
    """Whether `owner` does not run any more what it holds until `lease_until`.

    Among processes of one machine, one that lives keeps what it holds, even if it was stopped for
    longer than a lease. Where several machines share the database only the lease counts; and when
    the database comes back after it was away, those who live may renew theirs first.
    """
    if died(owner):
        return True
    if connection.one_machine:
        return lease_until < connection.now() and not lives(owner)
    return connection.age_s > LEASE_S and lease_until < connection.now()


class Renewal:
    """Renews leases in a thread: work that blocks the event loop must not cost them.

    Args:
        renew: keeps all that this process holds for another LEASE_S; waits for the disk.
    """

    def __init__(self, renew: Callable[[], None]) -> None:
        self._renew = renew
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headway-leases", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Renew nothing any more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(LEASE_S / RENEWALS):
            try:
                self._renew()
            except Exception as error:
                logger.warning("leases cannot be renewed: %s", error)
