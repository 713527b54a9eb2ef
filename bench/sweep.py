"""Which policy wins on which traffic: real traces under every policy, at one load.

    HEADWAY_DATA=../shared/data python bench/sweep.py [--load 0.95] [--predict noise:0.7]

Each trace runs on one engine of the same profile, its arrivals scaled to the load. A page with
plots of each trace is written beside the JSON file.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from claims import publish
from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import Results, show, table_console
from headway.lab.simulation.comparison import ORACLE, Contender, Scenario, compare
from headway.lab.simulation.importers.loading import load_trace
from headway.lab.simulation.load import at_load, capacity_rps
from headway.lab.simulation.measures import Slo
from headway.lab.simulation.report import report_html
from headway.lab.simulation.result import SimulationResult
from headway.lab.simulation.settings import settings_of
from headway.lab.simulation.site_list import sites_of

TRACES = {
    "Azure chat": ("azure2023_conv.csv.gz", 64),
    "Azure code": ("azure2023_code.csv.gz", 64),
    "Mooncake": ("mooncake_conversation.csv.gz", 32),
    "ServeGen R1": ("servegen_deepseek_r1", 64),
    "agents (LMCache)": ("agentic_lmcache.jsonl.gz", 8),
    "agents (SWE)": ("agentic_swebench_agentcgroup.jsonl.gz", 8),
}
"""File, and slots: those whose prompts fit the memory, and fewer than there are sessions."""
POLICIES = ("fcfs", "sjf", "srpt", "trail", "gittins", "hrrn", "mlfq")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", default="llama-3.1-8b-rtxpro6000")
    parser.add_argument("--load", type=float, default=0.95)
    parser.add_argument("--predict", default="noise:0.7")
    parser.add_argument("--requests", type=int, default=8000)
    parser.add_argument("--json", type=Path, default=Path("results/sweep.json"))
    options = parser.parse_args()
    folder = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "traces"
    settings = settings_of()
    contenders = {policy: Contender.parse(policy, options.predict) for policy in POLICIES}
    contenders[ORACLE] = Contender.parse(ORACLE, options.predict)
    rows, details = [], {}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for name, (file, slots) in TRACES.items():
        sites = sites_of(options.profile, slots)
        trace = load_trace(folder / file).first(options.requests)
        trace = at_load(trace, capacity_rps(trace, sites), options.load)
        scenario = Scenario([trace], sites, settings, Slo())
        result = SimulationResult(compare(scenario, contenders), {"trace": file} | vars(options))
        details[name] = result.to_json()["policies"]
        page = options.json.with_name(f"sweep-{file.partition('.')[0]}.html")
        page.write_text(report_html(result, scenario, {}), encoding="utf-8")
        for label in result.runs:
            rows.append(
                [
                    name,
                    label,
                    *(
                        figures(result.mean(label, *path))
                        for path in (
                            ("latency_s", "mean"),
                            ("latency_s", "p50"),
                            ("latency_s", "p99"),
                            ("wait_s", "max"),
                            ("slowdown", "mean"),
                            ("ttft_s", "mean"),
                        )
                    ),
                    f"{result.mean(label, 'preemptions'):.0f}",
                    share(result.gain(label)),
                ]
            )
            print(*rows[-1], sep=", ", flush=True)
    headings = ["trace", "policy", "mean s", "p50 s", "p99 s", "worst wait s", "slow- down"]
    headings += ["TTFT s", "pre- empted", "oracle gain"]
    show(table_console(), Results(headings, rows))
    return publish([], details, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
