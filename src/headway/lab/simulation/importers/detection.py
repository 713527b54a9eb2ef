"""Which format a file is in, from its first row."""

from __future__ import annotations

import csv
from pathlib import Path

from headway.lab.simulation import parquet
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers import (
    agentcgroup,
    aiperf,
    azure,
    bailian,
    burstgpt,
    guidellm,
    llmservingsim,
    lmcache,
    mooncake,
    servegen_chunks,
    sessions,
    sharegpt,
    splitwise,
    vidur,
    vllm_bench,
)
from headway.lab.simulation.importers.folders import json_files
from headway.lab.simulation.importers.refused import HEADERS, JSON_KEYS, refuse_known
from headway.lab.simulation.importers.rows import first_row
from headway.lab.simulation.trace_file import COLUMNS, REQUIRED, opened

OWN, LOG, SERVEGEN = "headway", "log", "servegen"
SHAREGPT = "sharegpt"
MOONCAKE, MOONCAKE_CSV = "mooncake", "mooncake-csv"
"""Formats that are known by more than the names of columns or keys."""
OTHER_COMMAS = {";": "semicolons", "\t": "tabs"}
BY_HEADER = {
    "azure": azure.HEADER,
    "burstgpt": burstgpt.HEADER,
    "splitwise": splitwise.HEADER,
    "vidur": vidur.HEADER,
}
"""Columns of CSV files."""
BY_KEYS: tuple[tuple[str, set[str]], ...] = (
    ("sessions", sessions.KEYS),
    ("bailian", bailian.KEYS),
    ("lmcache", lmcache.KEYS),
    ("agentcgroup", agentcgroup.KEYS),
    ("agentcgroup", agentcgroup.KEYS_OF_SUMMARY),
    ("llmservingsim", llmservingsim.KEYS),
    ("vllm-bench", vllm_bench.KEYS),
    ("guidellm", guidellm.KEYS),
    ("aiperf", aiperf.KEYS),
    (SHAREGPT, sharegpt.KEYS),
    (MOONCAKE, mooncake.KEYS),
)
"""Keys of the first JSON object."""


def format_of(path: Path, unit_stated: bool = False) -> str:
    """The name of the format.

    Args:
        path: a file or a folder that is there.
        unit_stated: whether the unit of its times is known from elsewhere.

    Raises:
        SimulationError: it is in none, or in one of two with different units.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() in (".db", ".sqlite"):
        return LOG
    if parquet.is_parquet(path):
        return OWN
    with opened(path) as file:
        first = file.readline().strip()
    if first.startswith(("{", "[")):
        return _of_json(path, unit_stated)
    _refuse_other_commas(path, first)
    header = set(next(csv.reader([first]), []))
    for name, columns in BY_HEADER.items():
        if header >= columns:
            return name
    if "hash_ids" in header and header & set(COLUMNS) == set(REQUIRED):
        return MOONCAKE_CSV
    refuse_known(path, header, HEADERS)
    return OWN


def _refuse_other_commas(path: Path, first: str) -> None:
    for mark, name in OTHER_COMMAS.items():
        if mark in first and "," not in first:
            raise SimulationError(f"{path} has {name} between its values; write commas")


def _of_folder(path: Path) -> str:
    if servegen_chunks.are_in(path) or any(path.glob("rates.csv*")):
        return SERVEGEN
    pools = sorted({file.parent for file in path.rglob(servegen_chunks.RATES)})
    if pools:
        raise SimulationError(
            f"{path} holds {len(pools)} pools of ServeGen; name one of them, as {pools[0]}"
        )
    for file in json_files(path):
        if first_row(file) is not None:
            return _of_json(file, False)
    raise SimulationError(
        f"{path} holds neither ServeGen's statistics nor sessions of LMCache or AgentCgroup; name "
        f"the folder of one of them, or a file"
    )


def _of_json(path: Path, unit_stated: bool) -> str:
    row = first_row(path)
    if not isinstance(row, dict):
        raise SimulationError(
            f"{path} holds no JSON objects; write one for each request, or take CSV"
        )
    for name, keys in BY_KEYS:
        if keys <= set(row):
            return name
    if "timestamp" in row and "output_length" in row:
        if unit_stated:
            return MOONCAKE
        raise SimulationError(
            f"{path} does not say whether its timestamps are seconds, as GuideLLM's, or "
            f"milliseconds, as Mooncake's and AIPerf's; which are they? make a trace of it with "
            f"`headway trace convert --time-unit s` or `--time-unit ms`"
        )
    refuse_known(path, row, JSON_KEYS)
    raise SimulationError(
        f"{path} is in no known format: its first row has {', '.join(sorted(map(str, row))[:8])}; "
        f"see `headway trace convert --help` for those there are"
    )
