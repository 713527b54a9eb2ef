import json
from html.parser import HTMLParser
from xml.etree import ElementTree

from headway.lab.loadtest.client import RequestResult
from headway.lab.loadtest.remarks import headline, remarks
from headway.lab.loadtest.report import report_html
from headway.lab.loadtest.result import BenchResult, Row
from headway.lab.loadtest.solo import SoloTime
from headway.lab.loadtest.table import errors_of
from headway.lab.loadtest.workload import LoadRequest

SOLO = SoloTime(0.02, 0.0, 0.01)


def row(label: str, latencies: list[float], *, oracle: bool = False, error: str = "") -> Row:
    run = []
    for number, latency_s in enumerate(latencies):
        tier = ("interactive", "batch")[number % 2]
        message = {"role": "user", "content": f"Is {number} < 7 & odd?"}
        request = LoadRequest(float(number), (message,), 100, tier)
        outcome = RequestResult(
            request, ttft_s=latency_s / 4, latency_s=latency_s, output_tokens=20
        )
        run.append(outcome)
    run[0].error = error
    return Row(label, (tuple(run),), SOLO, oracle)


def result(error: str = "") -> BenchResult:
    rows = (
        row("fcfs", [4.0, 8.0, 12.0], error=error),
        row("srpt", [2.0, 6.0, 10.0]),
        row("srpt (oracle)", [1.0, 5.0, 9.0], oracle=True),
    )
    return BenchResult(rows, {"arrivals": "<burst>", "requests": 3})


def page_of(found: BenchResult) -> str:
    return report_html(found, remarks(found))


class Page(HTMLParser):
    """What a page would fetch, and which elements were left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetches: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetches += [str(value) for name, value in attrs if name in {"src", "href"}]
        if tag not in {"meta", "link", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass


def test_the_page_stands_alone_and_is_well_formed() -> None:
    page = Page(page_of(result()))
    assert page.fetches == ["data:,"]
    assert page.open == []
    assert "http" not in page_of(result())


def test_its_plots_are_valid_svg_with_a_dot_for_every_request() -> None:
    text = page_of(result())
    plots = [part.split("</svg>")[0] + "</svg>" for part in text.split("<svg")[1:]]
    charts = [ElementTree.fromstring("<svg" + plot) for plot in plots if "role=" in plot]
    dots = [len(chart.findall("circle")) for chart in charts]
    assert dots == [0, 0, *[3] * 6, 0, 0]  # lines and ranges are there for two widths


def test_it_names_rows_tiers_settings_and_who_is_best() -> None:
    text = page_of(result())
    for word in ("srpt (oracle)", "interactive", "batch", "&lt;burst&gt;", "67%"):
        assert word in text
    assert "srpt has 0.75 times the mean latency of fcfs (6.00 s, not 8.00 s) and" in text


def test_the_headline_is_there_for_any_rows() -> None:
    fcfs, srpt, other = row("fcfs", [4.0]), row("srpt", [6.0]), row("boost", [5.0])
    assert headline(BenchResult((fcfs, srpt), {})).startswith("No policy has a lower mean latency")
    assert headline(BenchResult((srpt, other), {})).startswith("boost has the lowest mean latency,")
    assert headline(BenchResult((fcfs,), {})).startswith(
        "fcfs: mean latency 4.00 s, p99 4.00 s, at"
    )


def test_a_policy_that_fails_more_wins_nothing_by_it() -> None:
    fcfs, other = row("fcfs", [4.0, 8.0]), row("sjf", [5.0, 6.0])
    failed = row("srpt", [9.0, 1.0], error="no answer")
    oracle = row("srpt (oracle)", [1.0, 2.0], oracle=True)
    found = BenchResult((fcfs, failed, other, oracle), {})
    assert headline(found).startswith("sjf has 0.92 times the mean latency of fcfs")
    assert found.oracle_gain_captured(other) is not None
    assert found.oracle_gain_captured(failed) is None
    assert headline(BenchResult((failed, other), {})).startswith("sjf: mean latency 5.50 s")
    alone = BenchResult((row("srpt", [9.0], error="no answer"),), {})
    assert headline(alone) == "srpt answered none of 1 requests."


def test_one_outlier_gets_a_log_axis() -> None:
    latencies = [*(1.0 + 0.1 * n for n in range(40)), 500.0]
    assert "latency (s, log scale)" in page_of(BenchResult((row("fcfs", latencies),), {}))
    assert "log scale" not in page_of(result())


def test_what_is_said_is_in_the_json() -> None:
    found = result()
    assert found.to_json(remarks(found))["remarks"] == remarks(found)


def test_failures_are_shown_not_hidden() -> None:
    broken = result(error="connection failed: gone")
    assert errors_of(broken) == ["fcfs: 1 of 3 failed, first: connection failed: gone"]
    assert "connection failed: gone" in page_of(broken)


def test_the_json_holds_every_request_and_the_summary() -> None:
    data = json.loads(json.dumps(result().to_json()))
    assert [r["label"] for r in data["rows"]] == ["fcfs", "srpt", "srpt (oracle)"]
    assert data["rows"][1]["oracle_gain_captured"] == 2 / 3
    assert data["rows"][1]["summary"]["latency_mean_s"] == 6.0
    first = data["rows"][0]["runs"][0]["requests"][0]
    assert (first["latency_s"], first["tier"], first["output_tokens"]) == (4.0, "interactive", 20)
    assert data["settings"]["requests"] == 3


def test_one_server_alone_is_a_report_too() -> None:
    alone = BenchResult((row("a server", [1.0, 2.0]),), {})
    assert "a server" in page_of(alone)
    assert "oracle gain" not in page_of(alone)
