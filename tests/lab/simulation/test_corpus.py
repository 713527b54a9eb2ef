"""Files in the layouts that others publish, written for these tests: read right, or refused by
what they are."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.detection import format_of
from headway.lab.simulation.importers.loading import FORMATS, load_trace
from headway.lab.simulation.trace_file import read_trace, write_trace

CORPUS = Path(__file__).parent / "traces"

READ: dict[str, tuple[str, list[float], list[int], list[int]]] = {
    "agentcgroup": ("agentcgroup", [0.0, 7.5], [13217, 14118], [170, 181]),
    "aiperf_profile_export.jsonl": ("aiperf", [0.0, 0.5, 2.0], [550, 77, 600], [9, 5, 11]),
    "aiperf_sessions.jsonl": ("mooncake", [0.0, 0.5, 1.5, 2.0], [300, 3, 4, 390], [40, 10, 7, 30]),
    "azure_2023.csv": ("azure", [0.0, 0.052, 3.0], [374, 396, 879], [44, 109, 55]),
    "azure_2024_offsets.csv": (
        "azure",
        [0.0, 0.5, 2.0, 3.0],
        [200, 100, 300, 400],
        [20, 10, 30, 40],
    ),
    "bailian.jsonl": ("bailian", [0.0, 0.886, 12.0], [521, 20, 700], [100, 5, 12]),
    "burstgpt.csv": ("burstgpt", [0.0, 40.0, 113.0], [472, 1087, 417], [18, 230, 276]),
    "claude_code.jsonl": ("agentcgroup", [0.0, 2.0, 5.0], [13003, 500, 13005], [100, 30, 44]),
    "guidellm_benchmarks.json": ("guidellm", [0.0, 1.5, 61.0], [128, 130, 127], [64, 60, 62]),
    "guidellm_older.json": ("guidellm", [0.0, 0.5], [10, 30], [20, 40]),
    "headway_excel.csv": ("headway", [0.0, 2.0], [100, 1000], [100, 7]),
    "llmservingsim.jsonl": ("llmservingsim", [0.0, 0.5, 1.0], [25, 19, 91], [619, 119, 125]),
    "lmcache": ("lmcache", [0.0, 1.0, 4.0], [100, 15, 130], [10, 3, 5]),
    "mooncake.jsonl": ("mooncake", [0.0, 3.053], [1100, 600], [52, 26]),
    "sessions.jsonl": ("sessions", [0.0, 5.0], [304, 500], [100, 20]),
    "splitwise.csv": ("splitwise", [0.0, 2.5, 3.0], [4096, 2048, 2048], [32, 8, 16]),
    "vidur.csv": ("vidur", [0.0, 0.125, 2.0], [591, 547, 12], [140, 248, 4]),
    "vllm_bench.json": ("vllm-bench", [0.0, 1.5], [1024, 700], [128, 64]),
    "vllm_requests.jsonl": ("llmservingsim", [0.0, 0.25], [2358, 1034], [531, 769]),
}
"""Format, arrivals, prompt tokens and output tokens."""

REFUSED = {
    "aiperf_inputs.json": "holds inputs, as AIPerf's; take its profile_export.jsonl",
    "aiperf_multi_turn.jsonl": "holds AIPerf's multi-turn prompts: it does not say when",
    "aiperf_totals.json": "holds the totals of AIPerf; take its profile_export.jsonl",
    "guidellm_replay.jsonl": "`headway trace convert --time-unit s` or `--time-unit ms`",
    "headway_history.csv": "holds the history of a gateway, without what the prefix cache saved; t",
    "mooncake_seconds.jsonl": "would be 1,091 requests per second if its times are in ms",
    "openai_batch.jsonl": "holds requests for OpenAI's Batch API: it does not say when",
    "prompts.jsonl": "holds prompts: it does not say when requests came; send it through a gateway",
    "servegen_offline.jsonl": "holds ServeGen's offline tasks: it does not say when requests came",
    "sglang_bench.jsonl": "holds lengths without start_times",
    "sharegpt.json": "--tokenizer tokenizer.json --arrivals poisson:2 --out trace.csv`",
    "unknown.jsonl": "is in no known format: its first row has size, when; see",
    "vidur_lengths.csv": "holds Vidur's lengths without arrived_at",
    "vllm_bench_totals.json": "holds the totals of a benchmark; run `vllm bench serve` with",
}
"""Why."""

DRAWN = ("servegen", "servegen_multimodal")


def test_every_file_is_tried() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {*READ, *REFUSED, *DRAWN}


@pytest.mark.parametrize("name", READ)
def test_what_is_published_is_read_as_it_is(name: str) -> None:
    kind, arrivals_s, prompts, outputs = READ[name]
    assert format_of(CORPUS / name) == kind
    trace = load_trace(CORPUS / name)
    assert trace.arrival_s.tolist() == pytest.approx(arrivals_s, abs=2e-6)
    assert trace.prompt_tokens.tolist() == prompts
    assert trace.output_tokens.tolist() == outputs


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_traffic_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(SimulationError) as caught:
        load_trace(CORPUS / name)
    assert REFUSED[name] in str(caught.value)
    assert str(CORPUS / name) in str(caught.value)


def test_servegens_pools_are_drawn_as_published() -> None:
    trace = load_trace(CORPUS / "servegen")
    assert format_of(CORPUS / "servegen") == "servegen"
    assert len(trace) == pytest.approx(300 + 150 + 60, rel=0.2)
    assert set(trace.tenants) == {"client 0", "client 10"}
    sizes = zip(trace.tenants, trace.prompt_tokens.tolist(), strict=True)
    assert set(sizes) == {("client 0", 100), ("client 0", 200), ("client 10", 7)}
    quiet = (trace.arrival_s > 620.0) & (trace.arrival_s < 1180.0)
    assert not quiet.any()


def test_images_in_prompts_are_counted_one_by_one() -> None:
    trace = load_trace(CORPUS / "servegen_multimodal")
    assert set(trace.prompt_tokens.tolist()) == {10 + 2 * 500}


def test_a_folder_of_pools_asks_for_one_of_them() -> None:
    with pytest.raises(SimulationError, match=r"holds 2 pools of ServeGen; name one of them, as"):
        load_trace(CORPUS)


def test_a_chat_goes_on_when_its_turn_has_ended() -> None:
    trace = load_trace(CORPUS / "bailian.jsonl")
    assert trace.after.tolist() == [-1, -1, 0]
    assert trace.gap_s.tolist() == pytest.approx([0.0, 0.0, 10.0])
    assert trace.shared_tokens.tolist() == [0, 0, 33 * 16]
    first, _, second = trace.prefix_hashes
    assert first[0] == second[0]
    assert (len(first), len(second)) == (2, 2)


def test_turns_of_aiperf_come_a_delay_after_the_answer_before() -> None:
    trace = load_trace(CORPUS / "aiperf_sessions.jsonl")
    assert trace.after.tolist() == [-1, -1, -1, 0]
    assert trace.gap_s.tolist() == [0.0, 0.0, 0.0, 2.0]
    assert trace.shared_tokens.tolist() == [0, 0, 0, 340]
    assert trace.programs == ["s1", "s2", "s3", "s1"]


def test_sessions_of_aiperf_are_those_with_several_turns() -> None:
    trace = load_trace(CORPUS / "aiperf_profile_export.jsonl")
    assert trace.programs == ["c1", "", "c1"]
    assert trace.ids == ["q1", "q3", "q2"]


def test_a_transcript_has_a_session_for_each_agent() -> None:
    trace = load_trace(CORPUS / "claude_code.jsonl")
    assert trace.programs == ["61c602e1", "61c602e1 a7", "61c602e1"]
    assert trace.after.tolist() == [-1, -1, 0]
    assert trace.gap_s.tolist() == pytest.approx([0.0, 0.0, 3.0])
    assert trace.shared_tokens.tolist() == [12000, 0, 13000]


def test_agents_of_lmcache_share_what_their_texts_share() -> None:
    trace = load_trace(CORPUS / "lmcache")
    assert trace.tenants == ["miniswe", "taubench", "miniswe"]
    assert trace.shared_tokens.tolist() == [0, 0, 100]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_stated_unit_is_taken(unit: str) -> None:
    trace = load_trace(CORPUS / "guidellm_replay.jsonl", time_unit=unit)
    size_s = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit]
    assert trace.arrival_s.tolist() == pytest.approx([0.0, 0.7 * size_s, 2.1 * size_s])
    assert load_trace(CORPUS / "mooncake_seconds.jsonl", time_unit="s").span_s == 11.0


def test_a_stated_format_states_its_unit() -> None:
    trace = load_trace(CORPUS / "guidellm_replay.jsonl", kind="mooncake")
    assert trace.span_s == pytest.approx(0.0021)


def test_a_unit_is_for_bare_numbers_only() -> None:
    with pytest.raises(SimulationError, match="times of the format azure have their units; leave"):
        load_trace(CORPUS / "azure_2023.csv", time_unit="ms")
    with pytest.raises(SimulationError, match="no unit of time 'h'; there are s, ms, us, ns"):
        load_trace(CORPUS / "vidur.csv", time_unit="h")


@pytest.mark.parametrize("name", READ)
def test_what_was_read_is_a_trace_like_any_other(name: str, tmp_path: Path) -> None:
    trace = load_trace(CORPUS / name)
    write_trace(trace, tmp_path / name)
    again = read_trace(tmp_path / name)
    for column, values in vars(trace).items():
        if column == "ids" and not trace.ids:
            continue  # `after` names rows, so they have ids in a file
        if column == "left_out":
            continue  # of the file that was read
        assert list(map(str, getattr(again, column))) == list(map(str, values)), column


UNANSWERED = (
    "aiperf_profile_export.jsonl",
    "azure_2023.csv",
    "burstgpt.csv",
    "guidellm_benchmarks.json",
    "mooncake.jsonl",
    "vllm_bench.json",
)
"""Files with one request that was not answered."""


@pytest.mark.parametrize("name", READ)
def test_what_is_left_out_is_counted(name: str) -> None:
    assert load_trace(CORPUS / name).left_out == (name in UNANSWERED)


FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file() and "chunk" not in path.name)
PIECES = re.compile(rb'-?\d+(\.\d+)?|"[^"]{0,40}"|null')
OTHERS = (b"null", b'"x"', b"-1", b"[]", b"{}", b"1e400", b"9" * 20, b"NaN", b'""', b"0", b"1.5")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 10**6), st.sampled_from(OTHERS), st.booleans())
def test_a_damaged_file_is_read_or_refused(
    file: Path, place: int, other: bytes, is_cut: bool
) -> None:
    raw = file.read_bytes()
    pieces = [piece.span() for piece in PIECES.finditer(raw)]
    begin, end = pieces[place % len(pieces)]
    with TemporaryDirectory() as folder:
        damaged = Path(folder, file.name)
        damaged.write_bytes(raw[:begin] + (b"" if is_cut else other + raw[end:]))
        with suppress(SimulationError):
            assert load_trace(damaged).arrival_s[0] == 0.0


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(DRAWN), st.integers(0, 10**6), st.sampled_from(OTHERS))
def test_damaged_statistics_are_drawn_from_or_refused(name: str, place: int, other: bytes) -> None:
    with TemporaryDirectory() as folder:
        copied = Path(copytree(CORPUS / name, Path(folder, name)))
        files = sorted(copied.iterdir())
        damaged = files[place % len(files)]
        raw = damaged.read_bytes()
        pieces = [piece.span() for piece in PIECES.finditer(raw)]
        begin, end = pieces[place % len(pieces)]
        damaged.write_bytes(raw[:begin] + other + raw[end:])
        with suppress(SimulationError):
            assert load_trace(copied).arrival_s[0] == 0.0


def test_no_format_is_without_a_file() -> None:
    of_files = {kind for kind, *_ in READ.values()} | {"servegen", "sharegpt"}
    assert set(FORMATS) - of_files == {"log", "mooncake-csv"}  # in test_importers.py


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer with a token for each word, and two special ones around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({"?": 0, "<s>": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A <s>", special_tokens=[("<s>", 1)]
    )
    tokenizer.enable_truncation(2)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def conversation(*turns: tuple[str, str | None]) -> dict[str, object]:
    return {"id": "a", "conversations": [{"from": who, "value": says} for who, says in turns]}


def test_conversations_are_counted_by_a_named_tokenizer(tmp_path: Path, words: Path) -> None:
    path = tmp_path / "ShareGPT.json"
    rows = [
        conversation(("human", "one two three"), ("gpt", "four five"), ("human", "six")),
        conversation(("gpt", "an answer to nothing"), ("human", "Hi")),
        conversation(("system", "be kind"), ("user", "one two"), ("assistant", "a b c d")),
        conversation(
            ("human", "no answer"),
        ),
        conversation(("human", "an empty one"), ("gpt", None)),
        conversation(),
    ]
    path.write_text(json.dumps(rows))
    for tokenizer in (words, words / "tokenizer.json"):
        trace = load_trace(path, tokenizer=tokenizer, arrivals="poisson:2", seed=1)
        assert trace.prompt_tokens.tolist() == [3, 4]
        assert trace.output_tokens.tolist() == [2, 4]
        assert trace.arrival_s[0] == 0.0 < trace.arrival_s[1]


@pytest.mark.parametrize("stated", [{"arrivals": "burst"}, {"tokenizer": Path("tokenizer.json")}])
def test_conversations_need_a_tokenizer_and_arrivals(stated: dict[str, Any]) -> None:
    with pytest.raises(SimulationError, match="which have neither times nor numbers of tokens"):
        load_trace(CORPUS / "sharegpt.json", **stated)
    with pytest.raises(SimulationError, match="has times and numbers of tokens; leave --token"):
        load_trace(CORPUS / "vidur.csv", **stated)


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"nosuch\.json is no tokenizer that can be read"):
        load_trace(CORPUS / "sharegpt.json", tokenizer=tmp_path / "nosuch.json", arrivals="burst")


def test_times_that_are_too_slow_to_be_real_are_asked_about(tmp_path: Path) -> None:
    """Milliseconds in a format of seconds: a thousandth of the load."""
    path = tmp_path / "splitwise.csv"
    header = (CORPUS / "splitwise.csv").read_text().splitlines()[0]
    columns = header.split(",")
    values = {"request_id": "{n}", "arrival_timestamp": "{t}"}
    rows = [
        ",".join(values.get(name, "10").format(n=n, t=2500 * n) for name in columns)
        for n in range(12)
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(
        SimulationError, match=r"one request in 2,292 seconds if its times are in s"
    ):
        load_trace(path)
    assert load_trace(path, time_unit="ms").span_s == 27.5
    assert load_trace(path, time_unit="s").span_s == 27500.0
