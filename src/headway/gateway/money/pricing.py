"""What requests cost: follows their runs, at the prices of what they run on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from headway.core.cost import CostModel
from headway.engines.backend_status import BackendStatus
from headway.gateway.money.used_tokens import used_tokens
from headway.gateway.work.bill import Bill, BilledRun
from headway.gateway.work.work import Work
from headway.prices.hours import HOUR_S, SharedHours
from headway.prices.table import Prices
from headway.prices.tokens import TokenPrice, Tokens
from headway.store.request_record import Outcome


class Pricing:
    """Bills every request.

    A run is paid by its tokens or by its share of its backend's hours. Each run that answered pays
    for the prompt that it computed: one that goes on after a preemption takes the prompt and what
    was generated before, less what its cache had. A run that gave nothing pays only for its time.

    Args:
        prices: those in use at first.
        clock: seconds; never goes backwards.
    """

    def __init__(self, prices: Prices, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._meters: dict[str, SharedHours] = {}
        self.prices = Prices()
        self.use(prices)

    def use(self, prices: Prices) -> None:
        """These are the prices from now on; tokens of runs under way keep the price they have."""
        self.prices = prices
        now_s, unix_s = self._clock(), time.time()
        meters = {}
        for name, backend in prices.backends.items():
            if backend.hourly is None:
                continue
            meter = self._meters.get(name)
            if meter is None:
                meter = SharedHours(backend.hourly, now_s)
            else:
                meter.use(backend.hourly, now_s, unix_s)
            meters[name] = meter
        self._meters = meters

    def begins(self, work: Work, now_s: float) -> None:
        """A run of `work` begins on the backend that it was given."""
        bill = work.bill = work.bill or Bill()
        backend = work.served.backend
        price = self.prices.of(backend, work.origin.model)
        run = bill.run = BilledRun(output_before=work.request.output_tokens)
        if isinstance(price, TokenPrice):
            run.tokens = price
        elif price is not None:
            run.hours = self._meters[backend]
            run.mark = run.hours.begin(now_s, time.time())

    def prefilled(self, work: Work, cached_tokens: int | None) -> None:
        """The present run has computed its prompt, with so many tokens from a cache."""
        if work.bill is not None and work.bill.run is not None:
            work.bill.run.cached = cached_tokens

    def stops(self, work: Work, now_s: float) -> None:
        """The run of `work` has given its slot back; it is charged when its outcome is known."""
        run = None if work.bill is None else work.bill.run
        if run is not None and run.hours is not None and run.mark is not None:
            run.share = run.hours.end(run.mark, now_s, time.time())
            run.mark = None

    def loses(self, work: Work, now_s: float) -> None:
        """The run of `work` lost its backend, and another one will follow: charge it."""
        self.stops(work, now_s)
        bill = work.bill
        if bill is None or bill.run is None:
            return
        used = Tokens()
        if work.turn.arrived:
            used = Tokens(
                work.prompt_tokens, work.served.cached_tokens or 0, work.request.output_tokens
            )
        cost = _cost(bill.run, used, bill.run.share)
        bill.run = None
        if cost is None:
            bill.unpriced = True
        else:
            bill.cost += cost

    def expected(
        self, backends: Iterable[BackendStatus], model: str, tokens: Tokens
    ) -> float | None:
        """The most that a request may cost on one of these backends; None: one has no price.

        Args:
            backends: those that serve the model.
            model: that it runs on.
            tokens: predicted.
        """
        most, unix_s = None, time.time()
        for status in backends:
            price = self.prices.of(status.name, model)
            if isinstance(price, TokenPrice):
                cost = price.cost(tokens)
            elif price is None or (hour := price.at(unix_s)) is None:
                return None
            else:
                of = CostModel() if status.description is None else status.description.cost
                takes_s = of.prefill_s_per_token * tokens.prompt
                takes_s += of.decode_s_per_token * tokens.output
                cost = hour * takes_s / HOUR_S / max(1, status.slots)
            most = cost if most is None else max(most, cost)
        return most

    def of_items(self, model: str, tokens: int) -> float | None:
        """What a model of this process costs that read so many tokens; None: it has no price."""
        price = self.prices.of("", model)
        return price.cost(Tokens(tokens)) if isinstance(price, TokenPrice) else None

    def cost(self, work: Work, outcome: Outcome) -> float | None:
        """What `work` costs if it ends like this now; None: something it ran on has no price."""
        bill = work.bill
        if bill is None:
            return 0.0  # it never ran
        if bill.unpriced:
            return None
        run = bill.run
        if run is None:
            return bill.cost
        share = run.share
        if run.hours is not None and run.mark is not None:
            share = run.hours.share(run.mark, self._clock(), time.time())
        cost = _cost(run, used_tokens(work, outcome), share)
        return None if cost is None else bill.cost + cost


def _cost(run: BilledRun, used: Tokens, share: float | None) -> float | None:
    """What a run costs, given the tokens of the whole request and its share of the hours."""
    if run.tokens is None:
        return share
    if not used.prompt:
        return 0.0
    return run.tokens.cost(
        Tokens(
            used.prompt + run.output_before,
            used.cached if run.cached is None else run.cached,
            max(0, used.output - run.output_before),
        )
    )
