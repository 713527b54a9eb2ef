"""Prompts with the lengths of their answers, for training."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec
import numpy as np

from headway.prediction.texts.prompt import Prompt

Line = TypeVar("Line")


class ExamplesError(Exception):
    """The data cannot be used; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Prompts and output tokens from one source."""

    name: str
    prompts: list[Prompt]
    lengths: np.ndarray
    """Output tokens of the target's answers, at least 1; NaN where there is no answer."""
    others: np.ndarray
    """(prompts, models): the same for other models."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def has_target(self) -> bool:
        """Whether it holds any length of the target."""
        return bool(np.isfinite(self.lengths).any())

    def rows(self, chosen: np.ndarray) -> Examples:
        """Some of the examples, by number or by boolean mask."""
        numbers = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        prompts = [self.prompts[number] for number in numbers]
        return Examples(self.name, prompts, self.lengths[numbers], self.others[numbers])

    def answered(self) -> Examples:
        """The examples with a length of the target."""
        return self.rows(np.isfinite(self.lengths))


def joined(sources: Sequence[Examples]) -> Examples:
    """The answered examples of all `sources`, without other models' lengths."""
    answered = [source.answered() for source in sources]
    prompts = [prompt for source in answered for prompt in source.prompts]
    name = ", ".join(source.name for source in sources)
    lengths = np.concatenate([source.lengths for source in answered])
    return Examples(name, prompts, lengths, np.empty((len(prompts), 0)))


class _Line(msgspec.Struct):
    id: int | str
    prompt: str
    system: str = ""


class _Answer(msgspec.Struct):
    id: int | str
    model: str
    response: str


def load_folder(folder: Path, target: str) -> Examples:
    """Read `prompts.jsonl` (id, prompt) and `lengths.csv` (id, a column per model), or `.gz`.

    `lengths` is the column `target` if it exists; `others` are all other columns.

    Raises:
        ExamplesError: a file is missing or has an invalid line.
    """
    if not folder.is_dir():
        raise ExamplesError(f"there is no folder {folder}")
    rows, models = _lengths(folder)
    column = models.index(target) if target in models else None
    prompts: list[Prompt] = []
    lengths: list[np.ndarray] = []
    for line in _lines(folder, "prompts.jsonl", _Line):
        of_prompt = rows.get(str(line.id))
        if of_prompt is not None:
            prompts.append(Prompt(line.prompt, line.system))
            lengths.append(of_prompt)
    if not prompts:
        raise ExamplesError(f"{folder}: no prompt has a length; do the ids of both files agree?")
    table = np.array(lengths)
    own = table[:, column] if column is not None else np.full(len(prompts), np.nan)
    others = np.delete(table, column, axis=1) if column is not None else table
    return Examples(folder.name, prompts, own, others)


def load_answers(folder: Path, model: str) -> list[str | None]:
    """The answer of `model` to each prompt of `load_folder`; None where it is missing.

    From `responses_sample.jsonl` (id, model, response), or `.gz`.

    Raises:
        ExamplesError: a file is missing or has an invalid line.
    """
    known, _ = _lengths(folder)
    answers = {
        str(line.id): line.response
        for line in _lines(folder, "responses_sample.jsonl", _Answer)
        if line.model == model
    }
    ids = [str(line.id) for line in _lines(folder, "prompts.jsonl", _Line)]
    return [answers.get(prompt_id) for prompt_id in ids if prompt_id in known]


def models_of(folder: Path) -> list[str]:
    """Names of the models in a folder's lengths. Raises ExamplesError."""
    with _opened(folder, "lengths.csv") as (file, path):
        header = next(csv.reader(file), None)
        if not header or header[0] != "id" or len(header) < 2:
            raise ExamplesError(f"{path}: its first line must be id and the names of models")
        return header[1:]


def _lengths(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    models = models_of(folder)
    rows: dict[str, np.ndarray] = {}
    with _opened(folder, "lengths.csv") as (file, path):
        lines = csv.reader(file)
        next(lines)
        for row in lines:
            if len(row) != len(models) + 1:
                found = f"{len(row)} values for {len(models) + 1} columns"
                raise ExamplesError(f"{path}, line {lines.line_num}: {found}")
            try:
                values = np.array([float(value) if value else np.nan for value in row[1:]])
            except ValueError as error:
                raise ExamplesError(f"{path}, line {lines.line_num}: {error}") from None
            # No answer is shorter than one token, and infinity is not a length.
            values[~np.isfinite(values)] = np.nan
            rows[row[0]] = np.maximum(values, 1.0)
    return rows, models


def _lines(folder: Path, name: str, kind: type[Line]) -> Iterator[Line]:
    with _opened(folder, name) as (file, path):
        for number, line in enumerate(file, start=1):
            try:
                yield msgspec.json.decode(line, type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ExamplesError(f"{path}, line {number}: {error}") from None


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[tuple[TextIO, Path]]:
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            break
    else:
        raise ExamplesError(f"{folder} has neither {name} nor {name}.gz")
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as file:
                yield file, path
        else:
            with path.open(encoding="utf-8") as file:
                yield file, path
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise ExamplesError(f"{path} cannot be read: {error}") from None
