import gzip
import random
from pathlib import Path

import pytest

from headway.lab.loadtest.arrivals import ArrivalsError, make_arrivals


def times(spec: str, count: int, rate_scale: float = 1.0) -> list[float]:
    return [a.at_s for a in make_arrivals(spec, count, random.Random(1), rate_scale)]


def test_a_burst_comes_all_at_once() -> None:
    assert times("burst", 3) == [0.0, 0.0, 0.0]


def test_bursts_of_two_every_five_seconds() -> None:
    assert times("burst:2@5", 5) == [0.0, 0.0, 5.0, 5.0, 10.0]


def test_poisson_arrivals_keep_their_rate_and_their_order() -> None:
    at = times("poisson:10", 5000)
    assert at == sorted(at)
    assert at[-1] == pytest.approx(500, rel=0.05)


def test_the_rate_scale_makes_them_come_faster() -> None:
    assert times("burst:1@5", 3, rate_scale=10) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_trace_has_times_and_sizes_and_starts_at_zero(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"trace{suffix}"
    rows = b"arrival_s,prompt_tokens,output_tokens,other\n4.5,100,7,x\n3.0,20,,x\n9,9,9,x\n"
    path.write_bytes(gzip.compress(rows) if suffix.endswith("gz") else rows)
    first, second = make_arrivals(str(path), 2, random.Random(1))
    assert (first.at_s, first.prompt_tokens, first.output_tokens) == (0.0, 20, None)
    assert (second.at_s, second.prompt_tokens, second.output_tokens) == (1.5, 100, 7)


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ("poisson:fast", "poisson:RATE"),
        ("poisson:0", "poisson:RATE"),
        ("burst:3", "burst:N@T"),
        ("burst:0@1", "burst:N@T"),
        ("nowhere.csv", "burst, burst:N@T, poisson:RATE or a CSV file"),
    ],
)
def test_what_cannot_be_read_is_answered_with_what_can(spec: str, advice: str) -> None:
    with pytest.raises(ArrivalsError, match=advice):
        times(spec, 1)


def test_a_trace_without_the_column_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("when,size\n1,2\n")
    with pytest.raises(ArrivalsError, match="arrival_s"):
        times(str(path), 1)


def test_a_rate_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ArrivalsError, match="above 0"):
        times("burst", 1, rate_scale=0)


def test_the_first_arrivals_of_a_trace_are_the_earliest(tmp_path: Path) -> None:
    """As Excel writes it, with a byte order mark, and in another order."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfarrival_s\r\n9\r\n7\r\n5\r\n6\r\n")
    assert times(str(path), 2) == [0.0, 1.0]


def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arrival_s\n1\nnan\n")
    with pytest.raises(ArrivalsError, match="arrival_s nan is no time"):
        times(str(path), 2)
