"""Traces in the formats of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.loading import load_trace, load_traces
from headway.store.request_log import RequestLog
from headway.store.request_record import RequestRecord


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_azure(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "azure.csv",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:04.5000000,10,3\n"
        "2023-11-16 18:17:03.9799600,374,44\n"
        "2023-11-16 18:17:05.0,5,0\n",
    )
    trace = load_trace(path)
    assert trace.arrival_s.tolist() == pytest.approx([0.0, 0.52004])
    assert trace.prompt_tokens.tolist() == [374, 10]
    newer = "2024-05-10 00:00:00.009930+00:00,1452,3\n2024-05-10 00:00:01+00:00,1,1\n"
    path = written(tmp_path, "2024.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n" + newer)
    assert load_trace(path).arrival_s.tolist() == pytest.approx([0.0, 0.99007])


def test_burstgpt(tmp_path: Path) -> None:
    header = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = "5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,0,1087,API log\n"
    path = written(tmp_path, "burst.csv", header + rows + "118,ChatGPT,417,276,693,API log\n")
    trace = load_trace(path)
    assert trace.arrival_s.tolist() == [0.0, 113.0]
    assert trace.output_tokens.tolist() == [18, 276]
    assert trace.left_out == 1


def test_a_prompt_of_fewer_than_no_tokens_is_refused(tmp_path: Path) -> None:
    header = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    path = written(tmp_path, "burst.csv", header + "5,ChatGPT,-1,18,17,Conversation log\n")
    with pytest.raises(SimulationError, match="an answered request with -1 prompt tokens"):
        load_trace(path)


def test_mooncake_as_published_and_as_csv(tmp_path: Path) -> None:
    lines = [
        {"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]},
        {"timestamp": 3000, "input_length": 700, "output_length": 6, "hash_ids": [0, 2]},
    ]
    published = written(tmp_path, "m.jsonl", "\n".join(map(json.dumps, lines)))
    table = "arrival_s,prompt_tokens,output_tokens,hash_ids\n0,600,5,0 1\n3,700,6,0 2\n"
    for path in (published, written(tmp_path, "m.csv", table)):
        trace = load_trace(path)
        assert trace.arrival_s.tolist() == [0.0, 3.0]
        assert trace.prefix_hashes == [(0, 1), (0, 2)]


def test_a_short_trace_may_be_a_burst(tmp_path: Path) -> None:
    row = '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}\n'
    assert load_trace(written(tmp_path, "m.jsonl", 100 * row)).span_s == 0.0


def test_a_header_in_quotes_looks_as_one_without(tmp_path: Path) -> None:
    header = '"TIMESTAMP","ContextTokens","GeneratedTokens"\n'
    path = written(tmp_path, "azure.csv", header + '"2023-11-16 18:17:04.0","10","3"\n')
    assert load_trace(path).prompt_tokens.tolist() == [10]


def test_hashes_of_mooncake_make_no_mooncake_of_a_trace_with_tenants(tmp_path: Path) -> None:
    header = "arrival_s,prompt_tokens,output_tokens,hash_ids,tenant,tier\n"
    trace = load_trace(written(tmp_path, "own.csv", header + "0,600,5,0 1,a,batch\n"))
    assert trace.tenants == ["a"]
    assert [tier.label for tier in trace.tiers] == ["batch"]


def test_a_session_goes_on_when_its_step_has_ended(tmp_path: Path) -> None:
    steps = [
        {"t_request_s": 0.0, "t_response_s": 4.0, "prompt_tokens": 10, "output_tokens": 5},
        {
            "t_request_s": 6.5,
            "t_response_s": 8.0,
            "prompt_tokens": 20,
            "output_tokens": 5,
            "cached_tokens": 15,
        },
    ]
    sessions = [
        {"session": "a", "start_unix": 100, "steps": steps},
        {"session": "b", "start_unix": 101, "steps": steps[:1]},
    ]
    trace = load_trace(written(tmp_path, "s.jsonl", "\n".join(map(json.dumps, sessions))))
    assert trace.arrival_s.tolist() == [0.0, 1.0, 6.5]
    assert trace.after.tolist() == [-1, -1, 0]
    assert trace.gap_s.tolist() == [0.0, 0.0, 2.5]
    assert trace.programs == ["a", "b", "a"]
    assert trace.shared_tokens.tolist() == [0, 0, 15]


def test_servegen_is_drawn_at_its_rates(tmp_path: Path) -> None:
    written(
        tmp_path,
        "rates.csv",
        "client,t_s,rate_rps,iat_cv,iat_dist,shape,scale\n"
        "1,0,2.0,1.0,Gamma,1.0,0.5\n1,600,0,,,,\n2,0,1.0,2.0,Weibull,0.6,0.66\n",
    )
    pdf = {"window_start_s": 0, "input_tokens": [[10, 0.5], [20, 0.5]], "output_tokens": [[7, 1]]}
    empty = {"window_start_s": 900, "input_tokens": [], "output_tokens": []}
    lines = [json.dumps({"client": client, **of}) for client in (1, 2) for of in (pdf, empty)]
    written(tmp_path, "token_pdfs.jsonl", "\n".join(lines))
    trace = load_trace(tmp_path)
    assert len(trace) == pytest.approx(1800, rel=0.15)
    assert set(trace.prompt_tokens.tolist()) == {10, 20}
    assert set(trace.tenants) == {"client 1", "client 2"}
    first, again, other = (load_trace(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.arrival_s, again.arrival_s)
    assert not np.array_equal(first.arrival_s[:100], other.arrival_s[:100])
    drawn = load_traces(tmp_path, seeds=2)
    assert [len(one) for one in drawn] == [len(first), len(other)]


def test_what_is_recorded_is_the_same_for_all_seeds(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "arrival_s,prompt_tokens,output_tokens\n0,1,1\n")
    assert len(load_traces(path, seeds=5)) == 1


async def test_headways_own_log(tmp_path: Path) -> None:
    path = tmp_path / "requests.db"
    log = RequestLog(path)
    for number, outcome in enumerate(("finished", "cancelled", "finished")):
        log.write(
            RequestRecord(
                id=str(number),
                arrival_unix_s=1000.0 + number,
                tier="batch",
                tenant="t",
                prompt_tokens=10,
                cached_tokens=[0, 0, 9, None][number],
                output_tokens=20 + number,
                outcome=outcome,
                status=200,
            )
        )
    log.close()
    trace = load_trace(path)
    assert trace.arrival_s.tolist() == [0.0, 2.0]
    assert trace.output_tokens.tolist() == [20, 22]
    assert trace.prompt_tokens.tolist() == [10, 1], "cached tokens cost nothing"
    assert trace.left_out == 1
    assert [tier.label for tier in trace.tiers] == ["batch", "batch"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "a.csv",
            "TIMESTAMP,ContextTokens,GeneratedTokens\nnoon,1,1\n",
            "row 1: TIMESTAMP 'noon' cannot be read; correct it",
        ),
        (
            "a.csv",
            "ContextTokens,GeneratedTokens,TIMESTAMP\n1,1,2023-11-16\n1,1\n",
            "row 2: there is no TIMESTAMP, as it has fewer values than there are columns; add",
        ),
        ("m.jsonl", '{"timestamp": 0, "input_length": 1, "hash_ids": []}\n', "row 1"),
        ("s.jsonl", '{"session": "a", "steps": [{}]}\n', "row 1"),
        ("x.jsonl", "{broken\n", "row 1"),
        ("log.db", "no database", "request log"),
        (
            "v.csv",
            "arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,99999999999999999999\n",
            "has a request of 99,999,999,999,999,999,999 tokens, more than any model has",
        ),
        (
            "v.csv",
            "arrived_at,num_prefill_tokens,num_decode_tokens\n0,1,1\ninf,1,1\n",
            "row 2: inf is no time; correct it",
        ),
        ("e.csv", "arrival_s;prompt_tokens;output_tokens\n0;1;1\n", "has semicolons between its"),
        ("t.tsv", "arrival_s\tprompt_tokens\toutput_tokens\n0\t1\t1\n", "has tabs between its val"),
    ],
)
def test_errors_name_the_row(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(SimulationError) as caught:
        load_trace(written(tmp_path, name, text))
    assert says in str(caught.value)
    assert name in str(caught.value)


def test_a_column_that_is_missing_is_named_with_those_there_should_be(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "TIMESTAMP,ContextTokens\n")
    with pytest.raises(SimulationError) as caught:
        load_trace(path, kind="azure")
    needs = "it needs TIMESTAMP, ContextTokens, GeneratedTokens"
    assert str(caught.value) == f"{path} has no column 'GeneratedTokens'; {needs}"


def test_blank_lines_between_json_lines_are_left_alone(tmp_path: Path) -> None:
    line = '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}\n'
    assert len(load_trace(written(tmp_path, "m.jsonl", line + "\n" + line + "\n"))) == 2


def test_a_trace_begins_at_0(tmp_path: Path) -> None:
    header = "arrival_s,prompt_tokens,output_tokens\n"
    path = written(tmp_path, "t.csv", header + "1767225600.5,1,1\n1767225602.5,1,1\n")
    assert load_trace(path).arrival_s.tolist() == [0.0, 2.0]
    mended = load_trace(written(tmp_path, "u.csv", header + "9,1,1\n5,1,2\n"), mend=True)
    assert mended.arrival_s.tolist() == [0.0, 4.0]


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    header = "request_id,arrival_timestamp,prompt_size,token_size\n"
    path = written(tmp_path, "s.csv", header + "0,0,1,1\n1,1,1,1\n0,2,1,1\n")
    with pytest.raises(SimulationError, match="row 3: id '0' is that of row 1, too; were two fil"):
        load_trace(path)
    line = json.dumps({"session": "a", "steps": []})
    with pytest.raises(SimulationError, match="row 2: id 'a' is that of row 1, too"):
        load_trace(written(tmp_path, "s.jsonl", f"{line}\n{line}\n"))


def test_numbers_in_quotes_and_with_a_point_are_read(tmp_path: Path) -> None:
    row = '{"timestamp": "5.0", "input_length": 1e2, "output_length": "7.0", "hash_ids": ["1"]}'
    trace = load_trace(written(tmp_path, "m.jsonl", row))
    assert (trace.prompt_tokens.tolist(), trace.output_tokens.tolist()) == ([100], [7])
    table = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16,1e2,7.0\n,,\n"
    assert load_trace(written(tmp_path, "a.csv", table)).prompt_tokens.tolist() == [100]


def test_json_may_be_one_list_or_on_several_lines(tmp_path: Path) -> None:
    rows = [
        {"timestamp": n, "input_length": 1, "output_length": 1, "hash_ids": [1]} for n in (0, 9)
    ]
    for text in (json.dumps(rows), json.dumps(rows, indent=2), "\ufeff" + json.dumps(rows)):
        assert len(load_trace(written(tmp_path, "m.json", text))) == 2


def test_of_a_large_pool_the_first_requests_are_drawn(tmp_path: Path) -> None:
    rates = "".join(f"{600 * n},2000,1,Gamma,1,0.0005\n" for n in range(10))
    written(tmp_path, "chunk-0-trace.csv", rates)
    lengths = {"0": {"input_tokens": "{5: 1.0}", "output_tokens": "{7: 1.0}"}}
    written(tmp_path, "chunk-0-dataset.json", json.dumps(lengths))
    with pytest.raises(SimulationError, match="describes about 12,000,000 requests, more than fit"):
        load_trace(tmp_path)
    assert 50_000 <= len(load_trace(tmp_path, most=50_000)) < 1_500_000


def test_no_such_file_or_format(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="there is no trace"):
        load_trace(tmp_path / "none.csv")
    with pytest.raises(SimulationError, match="no format 'vax'; there are headway, log, azure"):
        load_trace(tmp_path, kind="vax")
