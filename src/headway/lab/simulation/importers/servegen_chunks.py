"""ServeGen's statistics as published: two files a client.

`chunk-N-trace.csv` has no header: start of a window in seconds, requests per second, coefficient of
variation, distribution of the gaps, its shape and scale. `chunk-N-dataset.json` has by start of a
window the distributions of its lengths, each as text: `{39: 0.0004, 40: 0.0002}`.
"""

from __future__ import annotations

import csv
import re
from functools import partial
from pathlib import Path

import msgspec

from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.importers.rows import json_lines, read_cell
from headway.lab.simulation.importers.servegen_statistics import (
    Lengths,
    Media,
    Rate,
    Statistics,
    Window,
)
from headway.lab.simulation.numbers import finite
from headway.lab.simulation.trace_file import opened

RATES = "chunk-*-trace.csv*"
COLUMNS = 6
NOTHING = "{}"
KINDS = ("image", "audio", "video")
"""Of what is in a prompt beside text."""


class _Window(msgspec.Struct):
    output_tokens: str
    input_tokens: str = ""
    text_tokens: str = ""
    """In their place, where prompts hold more than text."""
    image_count: str = ""
    image_tokens: str = ""
    """Of each image, and so on."""
    audio_count: str = ""
    audio_tokens: str = ""
    video_count: str = ""
    video_tokens: str = ""


def are_in(folder: Path) -> bool:
    """Whether a folder holds statistics as published, itself."""
    return any(folder.glob(RATES))


def read(folder: Path) -> Statistics:
    """The clients of a folder. Raises SimulationError."""
    rates: list[Rate] = []
    lengths: dict[int, list[Window]] = {}
    for client, file in sorted((_client(file), file) for file in folder.glob(RATES)):
        rates += _rates(file, client)
        lengths[client] = _windows(_dataset(file))
    return Statistics(rates, lengths)


def _client(file: Path) -> int:
    found = re.match(r"chunk-(\d+)-", file.name)
    if found is None:
        raise SimulationError(f"{file} is no chunk-N-trace.csv; name it so, or take it away")
    return int(found[1])


def _dataset(rates: Path) -> Path:
    name = rates.name.partition("-trace.csv")[0] + "-dataset.json"
    for path in (rates.with_name(name + suffix) for suffix in ("", ".gz", ".zst")):
        if path.exists():
            return path
    raise SimulationError(f"{rates} is there without {name}; add it, or leave both out")


def _rates(file: Path, client: int) -> list[Rate]:
    rates = []
    with opened(file) as text:
        for number, row in enumerate(csv.reader(text), start=1):
            if not row:
                continue
            if len(row) != COLUMNS:
                raise SimulationError(
                    f"{file}, row {number}: {len(row)} values instead of {COLUMNS}; leave it out"
                )
            rates.append(read_cell(file, number, "rate", row, partial(_rate, client)))
    return rates


def _rate(client: int, row: list[str]) -> Rate:
    start_s, per_s, _, gaps, shape, scale = row
    return Rate(client, float(start_s), float(per_s), gaps, float(shape), float(scale))


def _windows(file: Path) -> list[Window]:
    windows: list[Window] = []
    for by_start in json_lines(file, dict[str, _Window]):
        for row, (start, one) in enumerate(by_start.items(), start=1):
            text = one.input_tokens or one.text_tokens
            if NOTHING in (text, one.output_tokens):
                continue  # no request came then
            media = [
                read_cell(file, row, kind, kind, partial(_media, one))
                for kind in KINDS
                if getattr(one, f"{kind}_count")
            ]
            windows.append(
                Window(
                    read_cell(file, row, "window", start, finite),
                    read_cell(file, row, "input_tokens", text, _lengths),
                    read_cell(file, row, "output_tokens", one.output_tokens, _lengths),
                    media,
                )
            )
    return windows


def _media(window: _Window, kind: str) -> Media:
    return Media(
        _lengths(getattr(window, f"{kind}_count")), _lengths(getattr(window, f"{kind}_tokens"))
    )


def _lengths(text: str) -> Lengths:
    """From `{39: 0.0004, 40: 0.0002}`."""
    inside = text.strip().removeprefix("{").removesuffix("}")
    pairs = [pair.partition(":") for pair in inside.split(",")]
    return Lengths.of([(float(tokens), float(weight)) for tokens, _, weight in pairs])
