"""A trace: recorded requests, to be sent again under other policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from headway.core.request import Tier
from headway.lab.simulation.errors import SimulationError

TIMES = {"arrival_s": "from the beginning of the trace", "gap_s": "after the end of the other"}
"""Columns of times, and from when they count."""
MOST_TOKENS = 10_000_000
"""Limit on the tokens of a prompt or an answer; more are a mistake in the trace."""
MOST_S = 1e11
"""Limit on times: more seconds are thousands of years, so they are milliseconds or finer."""
BLOCK_TOKENS = 512
"""Prompt tokens that one prefix hash stands for, as in Mooncake's traces."""


@dataclass(frozen=True)
class Trace:
    """Requests in order of arrival, as columns of equal length.

    Raises:
        SimulationError: a row makes no sense; rows are counted from 1.
    """

    name: str
    arrival_s: np.ndarray
    """Seconds, not falling. Where `after` says so, the request comes later than that."""
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    ids: Sequence[str] = ()
    """May be empty."""
    tenants: Sequence[str] = ()
    tiers: Sequence[Tier] = ()
    programs: Sequence[str] = ()
    """The run that each is part of; empty: none."""
    steps: Sequence[str] = ()
    """The name of each in its run; empty: none."""
    prompt_ids: Sequence[str] = ()
    """The id of the prompt where texts are kept."""
    deadline_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Seconds after arrival; NaN: none."""
    run_deadline_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    """The deadline of its run, in seconds after the run's first request was sent; NaN: none."""
    max_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """0: none."""
    predicted_tokens: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Output tokens that the scheduler expected; 0: no prediction."""
    prefix_hashes: Sequence[tuple[int, ...]] = ()
    """A hash for each BLOCK_TOKENS of the prompt, as far as other prompts may begin alike."""
    after: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Number of the request that has to end first, as in an agent's session; -1: none."""
    joins: Sequence[tuple[int, ...]] = ()
    """Numbers of further requests that have to end first, where branches of a run meet again."""
    gap_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Seconds from the last such end until this one is sent: the time of a tool or a person."""
    shared_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Prompt tokens shared with the request in `after`."""
    waited_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    """Seconds that it had waited when it arrives here: for a trace that begins in the middle."""
    produced_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Output tokens of one that runs when the trace begins; -1: it does not. Those that run come
    first, at 0."""
    left_out: int = 0
    """Recorded requests that are not in it, since they have no answer."""

    def __post_init__(self) -> None:
        if not len(self):
            raise SimulationError(f"{self.name} has no rows")
        self._check_times()
        self._check_tokens()
        self._check_order()

    def _check_times(self) -> None:
        for name in ("arrival_s", "gap_s"):
            values = getattr(self, name)
            self._refuse(
                ~np.isfinite(values) | (values < 0),
                name,
                f"is no time from 0 on; give seconds, {TIMES[name]}",
            )
            self._refuse(
                values >= MOST_S,
                name,
                "is thousands of years, so it may be milliseconds or nanoseconds; give seconds",
            )
        falls = np.flatnonzero(np.diff(self.arrival_s) < 0)
        if len(falls):
            row = int(falls[0]) + 2
            raise SimulationError(
                f"{self.name}, row {row}: arrival_s {self.arrival_s[row - 1]:g} is before that of "
                f"the row above it; `headway trace convert --mend` puts rows in order"
            )
        for name, since in (("deadline_s", "arrival"), ("run_deadline_s", "its run began")):
            values = getattr(self, name)
            self._refuse(
                np.isinf(values) | (values <= 0),
                name,
                f"must be above 0; give seconds after {since}, or nothing where there is no "
                f"deadline",
            )
        self._refuse(self.waited_s < 0, "waited_s", "must not be negative; give nothing for none")

    def _check_tokens(self) -> None:
        self._refuse(
            self.prompt_tokens < 1,
            "prompt_tokens",
            "must be at least 1; correct it, or leave the row out",
        )
        self._refuse(
            self.output_tokens < 1,
            "output_tokens",
            "must be at least 1; `headway trace convert --mend` leaves such rows out",
        )
        for name in ("prompt_tokens", "output_tokens"):
            self._refuse(
                getattr(self, name) > MOST_TOKENS,
                name,
                f"are more than any model has; correct it to at most {MOST_TOKENS:,}",
            )
        self._refuse(
            self.max_tokens < 0,
            "max_tokens",
            "must be at least 1; correct it, or give nothing where there is no limit",
        )
        self._refuse(
            self.shared_tokens < 0, "shared_tokens", "must not be negative; give nothing for none"
        )
        if len(self.produced_tokens):
            self._refuse(
                self.produced_tokens >= self.output_tokens,
                "produced_tokens",
                "are its whole answer; leave requests out that have ended",
            )
            runs = self.produced_tokens >= 0
            self._refuse(
                runs & ((self.arrival_s > 0) | (np.cumsum(~runs) > 0)),
                "produced_tokens",
                "are of a request that does not run from the beginning; put those that do first",
            )
        if len(self.shared_tokens):
            self._refuse(
                self.shared_tokens > self.prompt_tokens,
                "shared_tokens",
                "are more than its prompt_tokens; give those of the prompt that were sent before",
            )
        if self.prefix_hashes:
            hashes = np.array([len(hashes) for hashes in self.prefix_hashes])
            self._refuse(
                hashes > -(-self.prompt_tokens // BLOCK_TOKENS),
                "prompt_tokens",
                f"has more prefix_hashes than blocks; give one for each {BLOCK_TOKENS} tokens, and "
                f"one for those that are left",
            )

    def _check_order(self) -> None:
        """Requests wait for earlier ones only."""
        late = np.flatnonzero(self.after >= np.arange(len(self.after)))
        if len(late):
            raise SimulationError(
                f"{self.name}, row {late[0] + 1}: `after` must name a row above it"
            )
        for number, joined in enumerate(self.joins):
            waits = len(self.after) and self.after[number] >= 0
            if joined and not (waits and min(joined) >= 0 and max(joined) < number):
                raise SimulationError(
                    f"{self.name}, row {number + 1}: `joins` must name rows above it, besides the "
                    f"one in `after`"
                )

    def _refuse(self, bad: np.ndarray, column: str, why: str) -> None:
        rows = np.flatnonzero(bad)
        if len(rows):
            value = getattr(self, column)[rows[0]]
            raise SimulationError(f"{self.name}, row {rows[0] + 1}: {column} {value:g} {why}")

    def __len__(self) -> int:
        return len(self.arrival_s)

    @property
    def span_s(self) -> float:
        """From the first to the last arrival."""
        return float(self.arrival_s[-1] - self.arrival_s[0])

    @cached_property
    def followers(self) -> dict[int, list[int]]:
        """Numbers of the requests that wait for the end of each."""
        followers: dict[int, list[int]] = {}
        for number in np.flatnonzero(self.after >= 0).tolist():
            followers.setdefault(int(self.after[number]), []).append(number)
        for number, joined in enumerate(self.joins):
            for before in joined:
                followers.setdefault(before, []).append(number)
        return followers

    @cached_property
    def began(self) -> np.ndarray:
        """Number of the first request of each one's session: its own if it waits for none."""
        began = list(range(len(self)))
        for number, before in enumerate(self.after.tolist()):
            if before >= 0:
                began[number] = began[before]  # a row above: known already
        return np.array(began)

    @cached_property
    def runs(self) -> np.ndarray:
        """Number of the first request of each one's run: of its program, else of its session."""
        runs = self.began.tolist() if len(self.after) else list(range(len(self)))
        firsts: dict[tuple[str, str], int] = {}
        for number, program in enumerate(self.programs):
            if program:
                tenant = self.tenants[number] if self.tenants else ""
                runs[number] = firsts.setdefault((tenant, program), number)
        return np.array(runs)

    def from_zero(self) -> Trace:
        """The same requests, the first of which arrives at 0."""
        return replace(self, arrival_s=self.arrival_s - self.arrival_s[0])

    def faster(self, times: float) -> Trace:
        """The same requests, arriving so many `times` faster; gaps within sessions stay.

        Raises:
            SimulationError: `times` is not above 0.
        """
        if not 0.0 < times < float("inf"):
            raise SimulationError(f"arrivals can come 0.5, 2 or 3.7 times faster, not {times:g}")
        return replace(self, arrival_s=self.arrival_s / times)

    def arriving(self, arrival_s: np.ndarray) -> Trace:
        """The same requests at other times, in the same order; sessions begin then."""
        return replace(self, arrival_s=arrival_s - arrival_s[0])

    def first(self, count: int) -> Trace:
        """The first `count` requests."""
        return self.rows(np.arange(min(count, len(self))))

    def newest(self, window_s: float) -> Trace:
        """The requests that came at most so long before the last one."""
        since_s = self.arrival_s[-1] - window_s
        return self.rows(np.flatnonzero(self.arrival_s >= since_s)).from_zero()

    def rows(self, chosen: np.ndarray) -> Trace:
        """Some of the requests, by number, in order; one whose predecessor is left out comes at
        its own arrival."""
        columns: dict[str, Any] = {
            name: _part(getattr(self, name), chosen)
            for name in ("arrival_s", "prompt_tokens", "output_tokens", *OPTIONAL)
        }
        if len(self.after):
            place = np.full(len(self), -1)
            place[chosen] = np.arange(len(chosen))
            kept = columns["after"]
            columns["after"] = np.where(kept >= 0, place[kept], -1)
            columns["joins"] = [
                tuple(int(place[before]) for before in joined if place[before] >= 0)
                for joined in columns["joins"]
            ]
        return replace(self, **columns)


def _part(values: Any, chosen: np.ndarray) -> Any:
    if isinstance(values, np.ndarray):
        return values[chosen] if len(values) else values
    return [values[number] for number in chosen.tolist()] if len(values) else ()


OPTIONAL = (
    "ids",
    "tenants",
    "tiers",
    "programs",
    "steps",
    "prompt_ids",
    "deadline_s",
    "run_deadline_s",
    "max_tokens",
    "predicted_tokens",
    "prefix_hashes",
    "after",
    "joins",
    "gap_s",
    "shared_tokens",
    "waited_s",
    "produced_tokens",
)
"""Columns that may be empty."""
