import asyncio
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from headway.cli.bench import bench

app = typer.Typer()
app.command()(bench)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policies", "fcfs,sprt"), "no policy 'sprt'; the policies are fcfs, sjf, srpt"),
        (("--policies", ","), "no policies to compare"),
        (("--prompts", "nowhere.jsonl"), "no prompts file 'nowhere.jsonl'"),
        (("--tier", "interactive=lots"), "cannot read share 'interactive=lots'"),
        (("--tier", "urgent=1"), "unknown tier 'urgent'"),
        (("--tenant", "a=0"), "must name something and be above 0"),
        (("--arrivals", "poisson:x"), "write poisson:RATE"),
        (("--url", "http://127.0.0.1:9/v1"), "no server at http://127.0.0.1:9/v1"),
        (("--url", "nonsense"), "nonsense is no http:// or https:// address"),
        (("--json", "/no/such/folder/x.json"), "cannot write /no/such/folder/x.json"),
    ],
)
def test_mistakes_are_answered_with_one_line(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


async def test_a_running_server_is_loaded_and_its_numbers_shown(
    fake_server, tmp_path: Path
) -> None:
    numbers, page = tmp_path / "numbers.json", tmp_path / "page.html"
    result = await asyncio.to_thread(
        run,
        *("--url", fake_server.url, "--model", "fake", "--requests", "12", "--max-tokens", "6"),
        *("--arrivals", "poisson:200", "--tier", "interactive=1,batch=2", "--repeats", "2"),
        *("--json", str(numbers), "--report", str(page)),
    )
    assert result.exit_code == 0, result.output
    assert "p99" in result.output
    [row] = json.loads(numbers.read_text())["rows"]
    assert [len(measured["requests"]) for measured in row["runs"]] == [12, 12]
    assert row["summary"]["errors"] == 0
    assert row["summary"]["output_tokens"] == 12 * 6
    assert page.read_text().startswith("<!doctype html>")
    tiers = [headers.get("x-headway-tier") for headers in fake_server.headers]
    assert (tiers.count("interactive"), tiers.count("batch")) == (8, 16)
