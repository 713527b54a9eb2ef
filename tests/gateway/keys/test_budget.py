"""A budget as a state machine."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.gateway.api.errors import ApiError
from headway.gateway.keys.budget import Allowance, Amount, Reservation, begin_of
from headway.gateway.keys.budgets import Budgets, Downgrade, Spender
from headway.gateway.settings import ApiKey, BudgetSettings
from headway.store.spending import Spent

HASH = "0" * 64


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


NOON = at("2026-01-31T12:00:00")


class Clock:
    unix_s = NOON

    def __call__(self) -> float:
        return self.unix_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def budgets_of(clock: Clock, tenant: BudgetSettings | None = None, **of_key: object) -> Budgets:
    key = ApiKey("team", HASH, budget=BudgetSettings(**of_key))  # type: ignore[arg-type]
    made = Budgets([key], {} if tenant is None else {"acme": tenant}, unix=clock)
    made.read([])
    return made


def reserve(
    budgets: Budgets, tokens: float, money: float | None = 0.0, downgraded: bool = False
) -> Reservation:
    spender = Spender("team", "acme", False)
    return budgets.reserve(spender, budgets.of(spender), Amount(tokens, money), "m", downgraded)


def reserve_line(budgets: Budgets, tokens: float, key: str = "team") -> Reservation:
    spender = Spender(key, "acme", True)
    return budgets.reserve(spender, budgets.of(spender), Amount(tokens, 0.0), "m", False)


def spent_of(budgets: Budgets) -> list[float]:
    return [one.spent for budget in budgets for one in budget.allowances]


def why(budgets: Budgets, spender: Spender) -> str:
    """Why lines wait."""
    pause = budgets.pause(spender)
    assert pause is not None
    return pause.why


def test_when_days_and_months_begin() -> None:
    assert begin_of("day", NOON) == at("2026-01-31T00:00:00")
    assert begin_of("month", NOON) == at("2026-01-01T00:00:00")
    for period, resets in (("day", "2026-02-01T00:00:00"), ("month", "2026-02-01T00:00:00")):
        one = Allowance(period=period, unit="money", most=1.0)  # type: ignore[arg-type]
        one.turn(NOON)
        assert one.resets_at_s == at(resets)


def test_what_was_not_used_comes_back(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    first = reserve(budgets, 80)
    with pytest.raises(ApiError):
        reserve(budgets, 30)
    first.settle(Amount(20, None))
    first.settle(Amount(20, None))  # no effect
    reserve(budgets, 80).withdraw()
    reserve(budgets, 80)


def test_nothing_is_reserved_once_no_request_is_under_way(clock: Clock) -> None:
    budgets = budgets_of(clock, money_per_day=5.0)
    under_way = [reserve(budgets, 1, money) for money in (0.1, 0.2, 0.3)]
    for one in under_way:
        one.withdraw()
    assert [one.reserved for budget in budgets for one in budget.allowances] == [0.0]


def test_a_spent_budget_says_when_it_begins_anew(clock: Clock) -> None:
    budgets = budgets_of(clock, money_per_day=5.0)
    reserve(budgets, 10, 5.0).settle(Amount(10, 5.0))
    with pytest.raises(ApiError, match=r"has spent its 5 a day; .* 2026-02-01T00:00:00Z") as caught:
        reserve(budgets, 10, 0.1)
    error = caught.value
    assert (error.status, error.code, error.type) == (
        429,
        "insufficient_quota",
        "insufficient_quota",
    )
    assert error.headers == {"Retry-After": "43200", "x-should-retry": "false"}
    clock.unix_s += 43_200
    reserve(budgets, 10, 5.0)


def test_what_requests_under_way_hold_may_be_free_soon(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    reserve(budgets, 80)
    with pytest.raises(ApiError, match="under way") as caught:
        reserve(budgets, 30)
    assert caught.value.headers == {"Retry-After": "5", "x-should-retry": "true"}


def test_one_that_needs_more_than_is_left_is_told_so(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    reserve(budgets, 80).settle(Amount(80, None))
    with pytest.raises(ApiError, match=r"20 tokens left of its 100 tokens a day.* need 30"):
        reserve(budgets, 30)
    reserve(budgets, 20)


def test_a_budget_of_0_allows_only_what_costs_nothing(clock: Clock) -> None:
    with pytest.raises(ApiError, match="has spent its 0 tokens a day"):
        reserve(budgets_of(clock, tokens_per_day=0), 1)
    free = budgets_of(clock, money_per_day=0.0)
    reserve(free, 1000, 0.0).settle(Amount(1000, 0.0))
    with pytest.raises(ApiError, match="has spent its 0 a day"):
        reserve(free, 1, 0.001)


def test_money_needs_prices(clock: Clock) -> None:
    with pytest.raises(ApiError, match="'m' has no price") as caught:
        reserve(budgets_of(clock, money_per_day=5.0), 10, None)
    assert (caught.value.status, caught.value.code) == (403, "model_unpriced")
    reserve(budgets_of(clock, tokens_per_day=50), 10, None)


def test_what_lost_its_price_meanwhile_counts_as_it_was_predicted(clock: Clock) -> None:
    budgets = budgets_of(clock, money_per_day=5.0)
    reserve(budgets, 10, 4.0).settle(Amount(10, None))
    with pytest.raises(ApiError, match="1 left of its 5 a day"):
        reserve(budgets, 10, 2.0)


def test_every_budget_of_a_request_counts_and_a_refusal_reserves_nothing(clock: Clock) -> None:
    budgets = budgets_of(clock, BudgetSettings(tokens_per_month=50), tokens_per_day=100)
    reserve(budgets, 10).settle(Amount(10, None))
    with pytest.raises(ApiError, match=r"Tenant 'acme' has 40 tokens left of its 50 tokens a mon"):
        reserve(budgets, 45)
    reserve(budgets, 40)
    assert [one.reserved for budget in budgets for one in budget.allowances] == [40, 40]


def test_downgrade_lets_requests_run_on_and_says_where(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100, when_spent="downgrade", downgrade_to="small")
    reserve(budgets, 100).settle(Amount(100, None))
    with pytest.raises(Downgrade) as caught:
        reserve(budgets, 10)
    assert caught.value.to == "small"
    reserve(budgets, 10, downgraded=True).settle(Amount(10, None))
    assert [one.spent for budget in budgets for one in budget.allowances] == [110]


def test_a_downgraded_request_is_still_refused_by_a_budget_that_refuses(clock: Clock) -> None:
    budgets = budgets_of(
        clock, BudgetSettings(tokens_per_day=0), tokens_per_day=0, when_spent="downgrade"
    )
    with pytest.raises(ApiError, match=r"Tenant 'acme'"):
        reserve(budgets, 10, downgraded=True)


def test_refused_and_downgraded_requests_are_counted_until_the_period_ends(clock: Clock) -> None:
    month = BudgetSettings(tokens_per_month=0)
    budgets = budgets_of(clock, month, tokens_per_day=0, when_spent="downgrade")
    with pytest.raises(Downgrade):
        reserve(budgets, 10)
    with pytest.raises(ApiError):
        reserve(budgets, 10, downgraded=True)
    both = [one for budget in budgets for one in budget.allowances]
    assert {one.period: (one.refused, one.downgraded) for one in both} == {
        "day": (0, 1),
        "month": (1, 0),
    }
    clock.unix_s += 86_400.0
    budgets.turn()
    assert {one.period: (one.refused, one.downgraded) for one in both}["day"] == (0, 0)


def test_a_clock_that_jumps_back_gives_no_second_day(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    clock.unix_s = at("2026-02-01T00:00:10")
    reserve(budgets, 100).settle(Amount(100, None))
    for unix_s in (at("2026-01-31T23:59:00"), at("2026-02-01T00:00:20")):
        clock.unix_s = unix_s
        with pytest.raises(ApiError, match="2026-02-02T00:00:00Z"):
            reserve(budgets, 1)


def test_a_request_counts_in_the_day_that_admitted_it(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    over_midnight = reserve(budgets, 90)
    clock.unix_s = at("2026-02-01T00:00:10")
    reserve(budgets, 100)
    over_midnight.settle(Amount(90, None))
    assert [one.spent for budget in budgets for one in budget.allowances] == [0]


def test_a_reload_changes_limits_and_keeps_what_is_spent(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    reserve(budgets, 90).settle(Amount(90, None))
    raised = BudgetSettings(tokens_per_day=200, money_per_month=1.0)
    budgets.use_keys([ApiKey("team", "1" * 64, budget=raised)])
    budgets.read([Spent("team", "acme", False, False, 1000, 0.75)])
    with pytest.raises(ApiError, match="110 tokens left of its 200"):
        reserve(budgets, 120)
    with pytest.raises(ApiError, match=r"0\.25 left of its 1 a month"):
        reserve(budgets, 10, 0.5)
    budgets.use_keys([])
    reserve(budgets, 10_000)


def test_what_was_spent_before_the_start_is_read_from_the_log(clock: Clock) -> None:
    made = Budgets(
        [ApiKey("team", HASH, budget=BudgetSettings(tokens_per_day=100, tokens_per_month=1000))],
        {"acme": BudgetSettings(money_per_month=10.0)},
        BudgetSettings(tokens_per_day=50),
        clock,
    )
    made.read([
        Spent("team", "acme", False, True, 60, 1.0),
        Spent("team", "other", False, False, 300, 2.0),
        Spent("", "acme", True, True, 20, 4.0),
        Spent("", "acme", True, False, 30, 0.5),
    ])  # fmt: skip
    spent = [[one.spent for one in budget.allowances] for budget in made]
    assert spent == [[60, 360], [5.5], [20]]


def test_what_was_spent_before_counts_once_though_requests_come_while_the_log_is_read(
    clock: Clock,
) -> None:
    budgets = budgets_of(clock)
    budgets.use_keys([ApiKey("team", HASH, budget=BudgetSettings(tokens_per_day=1000))])
    reserve(budgets, 10).settle(Amount(10, None))
    budgets.turn()  # the console looks
    spent = Spent("team", "acme", False, True, 607, 0.0)
    budgets.read([spent])
    budgets.read([spent])  # another reload
    assert spent_of(budgets) == [617]


def test_what_was_spent_the_day_before_does_not_count_where_it_ends_while_the_log_is_read(
    clock: Clock,
) -> None:
    budgets = budgets_of(clock)
    both = BudgetSettings(tokens_per_day=1000, tokens_per_month=9000)
    clock.unix_s = at("2026-01-30T23:59:59")
    budgets.use_keys([ApiKey("team", HASH, budget=both)])
    budgets.turn()
    clock.unix_s = at("2026-01-31T00:00:00")
    budgets.read([Spent("team", "acme", False, True, 607, 0.0)])
    assert spent_of(budgets) == [0, 607]


def test_lines_pause_until_the_budget_begins_anew(clock: Clock) -> None:
    made = Budgets(batches=BudgetSettings(tokens_per_day=100), unix=clock)
    made.read([])
    line = Spender("", "acme", True)
    assert made.of(Spender("", "acme", False)) == []
    first = reserve_line(made, 90)
    assert made.pause(line) is None
    with pytest.raises(ApiError):
        reserve_line(made, 20)
    assert "the budget of batches has 10 tokens left, and a line needs 20;" in why(made, line)
    first.settle(Amount(85, None))
    assert made.pause(line) is None  # it may be enough for another line
    with pytest.raises(ApiError, match="Batches has 15 tokens left"):
        reserve_line(made, 20)
    pause = made.pause(line)
    assert pause is not None
    assert pause.why.endswith("anew at 2026-02-01T00:00:00Z")
    assert pause.until == clock.unix_s + 43_200
    reserve_line(made, 15)
    assert "the budget of batches is spent; it begins anew" in why(made, line)
    clock.unix_s += 43_200
    assert made.pause(line) is None


def test_a_line_that_does_not_fit_holds_up_smaller_ones_for_a_minute_at_most(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    line = Spender("team", "acme", True)
    reserve_line(budgets, 50)
    with pytest.raises(ApiError):
        reserve_line(budgets, 80)
    assert budgets.pause(line)
    clock.unix_s += 60.0
    assert budgets.pause(line) is None
    reserve_line(budgets, 10).settle(Amount(10, None))
    with pytest.raises(ApiError):
        reserve_line(budgets, 80)
    reserve_line(budgets, 10).settle(Amount(10, None))  # it was under way already
    assert budgets.pause(line) is None


def test_lines_go_on_at_once_when_what_was_refused_would_fit(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    line = Spender("team", "acme", True)
    small, large = reserve(budgets, 10), reserve(budgets, 70)
    with pytest.raises(ApiError):
        reserve_line(budgets, 40)
    small.withdraw()
    assert budgets.pause(line)  # thousands would be refused
    large.withdraw()
    assert budgets.pause(line) is None


@pytest.mark.parametrize("tokens", [50, 5000])
def test_a_request_that_is_no_line_pauses_none(clock: Clock, tokens: float) -> None:
    budgets = budgets_of(clock, BudgetSettings(tokens_per_day=100), tokens_per_day=100)
    reserve(budgets, 60)
    with pytest.raises(ApiError):
        reserve(budgets, tokens)
    assert budgets.pause(Spender("team", "acme", True)) is None


def test_a_line_that_one_key_lacks_budget_for_pauses_no_other_key_of_its_tenant(
    clock: Clock,
) -> None:
    budgets = budgets_of(clock, BudgetSettings(tokens_per_day=1000), tokens_per_day=100)
    reserve_line(budgets, 60)
    with pytest.raises(ApiError):
        reserve_line(budgets, 90)
    assert budgets.pause(Spender("team", "acme", True))
    assert budgets.pause(Spender("other", "acme", True)) is None


def test_what_needs_more_than_the_whole_budget_is_not_told_to_wait(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=100)
    for ask in (reserve, reserve_line):
        with pytest.raises(
            ApiError, match=r"may spend 100 tokens a day.* raise tokens_per_day\."
        ) as caught:
            ask(budgets, 101)
        assert (caught.value.status, caught.value.code) == (403, "exceeds_budget")
    assert budgets.pause(Spender("team", "acme", True)) is None
    reserve_line(budgets, 100)


def test_a_budget_of_0_makes_lines_wait_until_it_is_raised(clock: Clock) -> None:
    budgets = budgets_of(clock, tokens_per_day=0)
    line = Spender("team", "acme", True)
    with pytest.raises(ApiError, match="has spent its 0 tokens a day"):
        reserve_line(budgets, 10)
    assert "is spent" in why(budgets, line)
    raised = BudgetSettings(tokens_per_day=50)
    budgets.use_keys([ApiKey("team", HASH, budget=raised)])
    assert budgets.pause(line) is None


@given(
    st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 2.0), st.integers(0, 5)), max_size=60)
)
def test_a_burst_exceeds_a_budget_by_no_more_than_its_predictions_were_too_low(
    asked: list[tuple[float, float, int]],
) -> None:
    budgets = budgets_of(Clock(), tokens_per_day=100)
    under_way: list[tuple[Reservation, float]] = []
    used = too_low = 0.0
    for predicted, ratio, endings in asked:
        try:
            under_way.append((reserve(budgets, predicted), predicted * ratio))
            too_low += max(0.0, predicted * ratio - predicted)
        except ApiError as error:
            assert error.code == "insufficient_quota"
        for _ in range(min(endings, len(under_way))):
            reservation, amount = under_way.pop(0)
            reservation.settle(Amount(amount, None))
            used += amount
    used += sum(amount for _, amount in under_way)
    assert used <= 100.0 + too_low + 1e-6
