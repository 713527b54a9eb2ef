"""`headway simulate`, `advise`, `plan` and `trace` as a user types them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headway.cli import application
from headway.lab.simulation.profile import write_profile
from headway.lab.simulation.profiles import load_profile

SMALL = ["--profile", "llama-3.1-8b-rtx4090", "--requests", "60"]


def run(*words: str | Path) -> tuple[int, str, str]:
    texts = [str(word) for word in words]
    result = CliRunner().invoke(application(texts[0]), texts)
    return result.exit_code, result.stdout, result.stderr


def test_it_compares_policies_on_made_traffic(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("out.json", "out.csv", "out.html")]
    code, out, err = run(
        "simulate", "poisson:20", *SMALL, "--policies", "fcfs,srpt", "--seeds", "2",
        "--json", files[0], "--csv", files[1], "--report", files[2], "--loads", "0.5,0.9",
    )  # fmt: skip
    assert code == 0, err
    assert "fcfs" in out and "oracle" in out
    written = json.loads(files[0].read_text())
    found = written["policies"]
    assert set(found) == {"fcfs", "srpt", "srpt+oracle"}
    assert set(written["loads"]) == {"0.5", "0.9"}
    assert set(written["loads"]["0.9"]["srpt"]) == set(found["srpt"])
    assert set(found["srpt"]["latency_s"]) == {"mean", "p50", "p90", "p95", "p99", "max"}
    assert set(found["srpt"]) >= {"ttft_s", "slowdown", "oracle_gain_captured", "goodput"}
    rows = list(csv.DictReader(files[1].open()))
    assert len(rows) == 6
    assert float(rows[0]["latency_s.mean"]) > 0
    assert {"oracle_gain_captured", "latency_p99_interval_s"} <= set(rows[0])
    page = files[2].read_text()
    assert page.count("<svg") >= 6
    assert "<script" not in page and "http" not in page
    said = written["remarks"]
    assert len(said) >= 2 and out.startswith("\n".join(said))
    assert all(re.split("[`-]", line)[0] in unescape(page) for line in said)
    slots = page.split("<h2>Slots</h2>")[1].split("</section>")[0]
    ticks = [
        re.findall(r'text-anchor="middle">([^<]+)<', panel) for panel in slots.split("<figure")
    ]
    assert len(ticks) == 4 and ticks[1] == ticks[2] == ticks[3]  # one time axis for all panels


def test_it_deals_requests_to_several_gateways(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    code, _, err = run(
        "simulate", "poisson:200", *SMALL, "--slots", "4", "--policies", "hrrn", "--json", file,
        "--gateways", "3", "--gateway-delay", "20",
    )  # fmt: skip
    assert code == 0, err
    written = json.loads(file.read_text())
    assert written["settings"]["gateways"] == 3
    assert 0.0 < written["policies"]["hrrn"]["inversions"] < 1.0


def test_it_compares_routings_on_a_cluster_that_fails_and_scales(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("out.json", "out.html")]
    code, out, err = run(
        "simulate", "poisson:20", *SMALL, "--policies", "fcfs", "--routing", "shared,least_work",
        "--scale", "0..3", "--cold-start", "2", "--idle", "5", "--backlog", "1", "--price", "2",
        "--fail", "llama-3.1-8b-rtx4090-1@3+2", "--json", files[0], "--report", files[1],
    )  # fmt: skip
    assert code == 0, err
    assert "fcfs, least_work" in out and "starts" in out
    found = json.loads(files[0].read_text())["policies"]
    assert set(found) == {
        f"{policy}, {routing}"
        for policy in ("fcfs", "srpt+oracle")
        for routing in ("shared", "least_work")
    }
    row = found["fcfs, shared"]
    assert row["cold_starts"] >= 2 and row["failovers"] >= 1
    assert row["cost"] == pytest.approx(row["replica_s"] / 3600 * 2)
    assert row["replica_s"] == pytest.approx(row["replicas"] * row["duration_s"])
    assert "<h2>Replicas</h2>" in files[1].read_text()


def test_json_alone_goes_to_the_terminal() -> None:
    code, out, _ = run("simulate", "burst", *SMALL, "--policies", "fcfs", "--json", "-")
    assert code == 0
    assert json.loads(out)["policies"]["fcfs"]["requests"] == 60


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.csv"], "there is no trace none.csv here"),
        (["poisson:fast"], "cannot make 'poisson:fast'; there are burst, poisson:RATE"),
        (["burst", "--policies", "fastest"], "no policy 'fastest'; there are fcfs"),
        (["burst", "--predict", "magic"], "no prediction 'magic'; there are oracle"),
        (["burst", "--profile", "cray"], "no profile 'cray'"),
        (["burst", "--output", "pareto:100@1"], "cannot make 'pareto:100@1'"),
        (["burst", "--slo", "joy=1s"], "no SLO 'joy'"),
        (["burst", "--slo", "ttft=soon"], "'soon' is no time"),
        (["none.csv", "--loads", "many"], "cannot read loads 'many'"),
        (["none.csv", "--loads", "0.5"], "say where to write it with --report or --json"),
        (["none.csv", "--csv", "no/out.csv"], "--csv cannot write no/out.csv: there is no folder"),
        (["none.csv", "--report", "/"], "--report cannot write /: it is a folder"),
        (["burst", "--fairness", "none"], "no fairness 'none'"),
        (["burst", "--price", "much"], "cannot read the price 'much'"),
        (
            ["burst", "--price", "typo=3"],
            "the price 'typo=3' is of no profile here; there are smol",
        ),
        (["burst", "--profile", "llama-3.1-8b-h100*x"], "cannot read 'llama-3.1-8b-h100*x'"),
        (["burst", "--routing", "random"], "no routing 'random'; there are shared, round_robin"),
        (["burst", "--routing", "hexgen:2"], "no routing 'hexgen:2'; there are shared"),
        (["burst", "--gateways", "3", "--routing", "least_work"], "gateways share all engines"),
        (["burst", "--gateway-delay", "1"], "between gateways; add --gateways 3"),
        (["burst", "--routing", ""], "nothing to compare; name a policy and a routing"),
        (["burst", "--policies", ""], "nothing to compare; name a policy and a routing"),
        (["burst", "--fail", "gpu-9@1+1"], "no backend 'gpu-9' to fail; there are smollm2"),
        (["burst", "--mtbf", "60"], "random failures need both: --mtbf 3600 --repair 120"),
        (["burst", "--scale", "4..1"], "has its least above its most; write 1..4"),
        (
            ["burst", "--scale", "0..4", "--profile", "llama-3.1-8b-h100*2"],
            "--scale starts replicas of one engine",
        ),
    ],
)
def test_mistakes_are_one_sentence(words: Sequence[str], says: str) -> None:
    code, _, err = run("simulate", *words)
    assert code == 1
    assert says in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["advise", "--policies", "fastest"],
            "headway advise: no policy 'fastest'; there are fcfs",
        ),
        (["advise", "--policies", ""], "headway advise: there is no policy to choose"),
        (["plan", "--price", "typo=3"], "the price 'typo=3' is of no profile here"),
        (["plan", "--profile", "llama-3.1-8b-h100*2"], "'llama-3.1-8b-h100*2' gives one; write"),
        (
            ["plan", "--profile", "llama-3.1-8b-h100,llama-3.1-8b-l40s", "--slo", "ttft_p50=1us"],
            "'1us' is no time",
        ),
        (
            ["plan", "--profile", "llama-3.1-8b-h100,llama-3.1-8b-l40s", "--slo", "ttft_p50=.1ms"],
            "idle llama-3.1-8b-h100 it is",
        ),
        (
            ["plan", "--profile", "llama-3.1-8b-h100,llama-3.1-8b-l40s", "--policy", "fastest"],
            "headway plan: no policy 'fastest'; there are fcfs",
        ),
    ],
)
def test_mistakes_in_questions_are_one_sentence(words: Sequence[str], says: str) -> None:
    command, *options = words
    slo = [] if "--slo" in words else ["--slo", "ttft_p99=9s"]
    code, _, err = run(command, "burst", "--requests", "9", *slo, *options)
    assert code == 1
    said = " ".join(err.split())
    assert says in said
    assert said.count(says) == 1


def test_advice_is_of_what_the_gateway_does_by_default(tmp_path: Path) -> None:
    """Its queue holds 10,000 requests of a tier."""
    burst = tmp_path / "burst.csv"
    rows = ["arrival_s,prompt_tokens,output_tokens", *["0,1,1"] * 10_200]
    burst.write_text("\n".join(rows) + "\n")
    code, out, err = run(
        "advise", burst, "--slo", "wait_p50=60s", "--policies", "fcfs", "--slots", "1",
        "--profile", "llama-3.1-8b-rtx4090",
    )  # fmt: skip
    assert code == 0, err
    assert "200 of 10200 requests were rejected" in out


def test_advice_names_a_policy_and_what_it_buys() -> None:
    code, out, err = run(
        "advise", "burst", *SMALL, "--slo", "latency_mean=1ms,ttft_p99=1ms", "--policies",
        "fcfs,sjf", "--predict", "oracle",
    )  # fmt: skip
    assert code == 0, err
    assert "Use: headway serve --backend URL --set policy=" in out
    first, _, _ = out.partition("settings")
    assert "No setting of these engines meets latency_mean=0.001s, ttft_p99=0.001s: the n" in first
    assert "prediction oracle (as asked for)" in first
    assert out.count("recommended") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["simulate", "poisson:10", "--policies", "fcfs,srpt"],
        ["plan", "poisson:10", "--slo", "ttft_p99=2s"],
        ["advise", "poisson:10", "--slo", "ttft_p99=2s", "--policies", "fcfs,sjf"],
    ],
)
def test_what_was_assumed_stands_above_the_table(words: list[str]) -> None:
    code, out, err = run(*words, *SMALL)
    assert code == 0, err
    assert out.startswith("Assumed: 1 of llama-3.1-8b-rtx4090 with 256 slots; prediction noise:1 (")
    assert "starvation bound: " in out.partition("mean")[0]


def test_rows_that_say_little_are_explained_above_the_table() -> None:
    code, out, _ = run("simulate", "poisson:1", *SMALL, "--policies", "fcfs,srpt")
    assert code == 0
    assert "Nobody waited" in out.partition("policy")[0]


def test_a_plan_says_how_many(tmp_path: Path) -> None:
    profile = ["--profile", "llama-3.1-8b-rtx4090", "--requests", "60"]
    code, out, err = run("plan", "poisson:10", *profile, "--slo", "ttft_p99=2s")
    assert code == 0, err
    assert "of llama-3.1-8b-rtx4090.\n" in out
    code, out, _ = run("plan", "poisson:10", *profile, "--slo", "ttft_p99=2s", "--price", "0.5")
    assert "of llama-3.1-8b-rtx4090, " in out and " an hour" in out
    code, _, err = run("plan", "poisson:10", *profile, "--slo", "ttft_p99=1ms")
    assert code == 1
    assert "cannot be met: alone on an idle" in " ".join(err.split())


def test_an_outage_of_a_trace_with_absolute_times_has_an_effect(tmp_path: Path) -> None:
    path, file = tmp_path / "t.csv", tmp_path / "out.json"
    rows = [f"{1767225600 + number / 10},500,300" for number in range(60)]
    path.write_text("\n".join(["arrival_s,prompt_tokens,output_tokens", *rows]) + "\n")
    for options in (["--fail", "llama-3.1-8b-rtx4090-1@1+2"], ["--mtbf", "3", "--repair", "1"]):
        code, _, err = run(
            "simulate", path, "--profile", "llama-3.1-8b-rtx4090", "--policies", "fcfs",
            "--no-oracle", *options, "--json", file,
        )  # fmt: skip
        assert code == 0, err
        found = json.loads(file.read_text())["policies"]["fcfs"]
        assert found["failovers"] > 0
        assert found["duration_s"] < 1000.0


def test_the_same_slo_is_asked_of_every_command(tmp_path: Path) -> None:
    asked = ["--slo", "latency=30s,goodput=90%,ttft_p95=20s"]
    file = tmp_path / "out.json"
    code, out, err = run(
        "simulate", "poisson:4", *SMALL, "--policies", "fcfs", *asked, "--json", file
    )
    assert code == 0, err
    assert "SLO" in out and "yes" in out
    assert json.loads(file.read_text())["policies"]["fcfs"]["slo_met"] is True
    code, out, err = run("advise", "poisson:4", *SMALL, "--policies", "fcfs,sjf", *asked)
    assert code == 0, err
    assert "goodput=90%" in "".join(out.split()) and "No setting" not in out
    code, out, err = run("plan", "poisson:4", *SMALL, *asked)
    assert code == 0, err
    assert "Take 1 of" in out
    hopeless = ["--slo", "latency=1ms,goodput=90%"]
    code, out, err = run("advise", "poisson:4", *SMALL, "--policies", "fcfs", *hopeless)
    assert code == 0, err
    assert "meets latency=0.001s, goodput=90%: the nearest reaches 0%." in out
    code, _, err = run("plan", "burst", "--requests", "9", *SMALL[2:], *hopeless)
    assert code == 1
    assert "do not meet latency=0.001s, goodput=90% either" in " ".join(err.split())


def test_a_plan_chooses_among_machines_with_the_same_model(tmp_path: Path) -> None:
    mine = replace(load_profile("llama-3.1-8b-rtx4090"), name="Llama-3.1-8B")
    files = {"old": mine.slower(3.0), "new": mine, "hopeless": mine.slower(1000.0)}
    for name, profile in files.items():
        (tmp_path / name).write_bytes(write_profile(profile))
    old, new, hopeless = (str(tmp_path / name) for name in files)
    code, out, err = run(
        "plan", "poisson:10", "--requests", "60", "--slo", "ttft_p99=2s",
        "--profile", f"{old},{new},{hopeless}", "--price", f"{old}=4,{new}=3,{hopeless}=1",
    )  # fmt: skip
    assert code == 0, err
    assert {old, new} <= set(out.split())
    assert f"Not {hopeless}: ttft_p99=2s cannot be met" in out
    assert re.search(rf"Take \d+ of {new}, ", out)


def test_a_plan_of_engines_that_scale_says_between_how_many_and_what_they_cost() -> None:
    code, out, err = run(
        "plan", "poisson:4", *SMALL, "--slots", "2", "--slo", "wait_p99=30s", "--price", "2",
        "--policy", "fcfs", "--least", "0", "--cold-start", "4", "--idle", "5", "--backlog", "1",
        "--routing", "least_work",
    )  # fmt: skip
    assert code == 0, err
    assert re.search(r"Take 0 to \d+ of llama-3.1-8b-rtx4090, \d+\.\d on average, \S+ an hour", out)


def test_the_newest_part_of_a_trace(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    rows = "".join(f"{number},8,4\n" for number in range(100))
    file.write_text("arrival_s,prompt_tokens,output_tokens\n" + rows)
    code, out, err = run("simulate", file, "--last", "0.5min", "--json", "-", "--no-oracle")
    assert code == 0, err
    assert json.loads(out)["settings"]["requests"] == 31
    code, _, err = run("simulate", file, "--last", "long")
    assert code == 1 and "'long' is no time" in err
    code, _, err = run("simulate", "burst", "--last", "1h")
    assert code == 1 and "--last is for recorded traffic, and burst is made; leave it out" in err
