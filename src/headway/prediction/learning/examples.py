"""Prompts with the lengths of their answers, for training."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec
import numpy as np

from headway.prediction.learning.prompt_lines import PromptLine
from headway.prediction.texts.prompt import Prompt
from headway.text_files import TextFileError, reading

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


class _Answer(msgspec.Struct):
    id: int | str
    model: str
    response: str


def load_folder(folder: Path, target: str) -> Examples:
    """Read `prompts.jsonl` (id, and prompt or messages) and `lengths.csv` (id, a column per model).

    Either may be `.gz` or `.zst`. `lengths` is the column `target` if it exists; `others` are all
    other columns. Cells that are empty or below 1 stand for no answer.

    Raises:
        ExamplesError: a file is missing or has an invalid line, or an id occurs twice.
    """
    if not folder.is_dir():
        raise ExamplesError(
            f"there is no folder {folder}; name one with prompts.jsonl and lengths.csv"
        )
    rows, models = _lengths(folder)
    column = models.index(target) if target in models else None
    prompts: list[Prompt] = []
    lengths: list[np.ndarray] = []
    for line in _prompts(folder):
        of_prompt = rows.get(str(line.id))
        if of_prompt is not None:
            prompts.append(line.read())
            lengths.append(of_prompt)
    if not prompts:
        raise ExamplesError(f"{folder}: no prompt has a length; do the ids of both files agree?")
    table = np.array(lengths)
    own = table[:, column] if column is not None else np.full(len(prompts), np.nan)
    others = np.delete(table, column, axis=1) if column is not None else table
    return Examples(folder.name, prompts, own, others)


def check_target(target: str, folders: Sequence[Path]) -> None:
    """Raise ExamplesError if no folder's lengths.csv has a column of that name."""
    names = list(dict.fromkeys(name for folder in folders for name in models_of(folder)))
    if target not in names:
        raise ExamplesError(
            f"no lengths.csv has a column {target!r}; name one of {', '.join(names)} with --target"
        )


def load_answers(folder: Path, model: str) -> list[str | None]:
    """The answer of `model` to each prompt of `load_folder`; None where it is missing.

    From `responses_sample.jsonl` (id, model, response), or `.gz`.

    Raises:
        ExamplesError: a file is missing or has an invalid line, or a model answers a prompt twice.
    """
    known, _ = _lengths(folder)
    answers: dict[str, str] = {}
    for number, line in enumerate(_lines(folder, "responses_sample.jsonl", _Answer), start=1):
        if line.model == model:
            if str(line.id) in answers:
                raise _twice(folder / "responses_sample.jsonl", number, str(line.id))
            answers[str(line.id)] = line.response
    ids = [str(line.id) for line in _prompts(folder)]
    return [answers.get(prompt_id) for prompt_id in ids if prompt_id in known]


def models_of(folder: Path) -> list[str]:
    """Names of the models in a folder's lengths. Raises ExamplesError."""
    with _opened(folder, "lengths.csv") as (file, path):
        header = next(csv.reader(file), None)
        if not header or header[0] != "id" or len(header) < 2:
            raise ExamplesError(f"{path}: its first line must be id and the names of models")
        twice = [name for name, times in Counter(header).items() if times > 1]
        if twice:
            raise ExamplesError(f"{path} has several columns {twice[0]}; leave all but one out")
        return header[1:]


def _lengths(folder: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    models = models_of(folder)
    rows: dict[str, np.ndarray] = {}
    with _opened(folder, "lengths.csv") as (file, path):
        lines = csv.reader(file)
        next(lines)
        for row in lines:
            if not "".join(row).strip():
                continue  # a blank line, as editors leave at the end
            if len(row) != len(models) + 1:
                found = f"{len(row)} values for {len(models) + 1} columns"
                raise ExamplesError(f"{path}, line {lines.line_num}: {found}")
            try:
                values = np.array([float(value) if value else np.nan for value in row[1:]])
            except ValueError as error:
                raise ExamplesError(f"{path}, line {lines.line_num}: {error}") from None
            # No answer is shorter than one token: 0 and -1 say that there was none.
            values[~np.isfinite(values) | (values < 1.0)] = np.nan
            if row[0] in rows:
                raise _twice(path, lines.line_num, row[0])
            rows[row[0]] = values
    return rows, models


def _prompts(folder: Path) -> Iterator[PromptLine]:
    seen: set[str] = set()
    for number, line in enumerate(_lines(folder, "prompts.jsonl", PromptLine), start=1):
        if str(line.id) in seen:
            raise _twice(folder / "prompts.jsonl", number, str(line.id))
        seen.add(str(line.id))
        yield line


def _twice(path: Path, number: int, name: str) -> ExamplesError:
    return ExamplesError(
        f"{path}, line {number}: the id {name!r} is there twice, so lengths would be learned for "
        f"the wrong prompts; if two runs were joined, give their prompts different ids"
    )


def _lines(folder: Path, name: str, kind: type[Line]) -> Iterator[Line]:
    with _opened(folder, name) as (file, path):
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield msgspec.json.decode(line, type=kind)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ExamplesError(f"{path}, line {number}: {error}") from None


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[tuple[TextIO, Path]]:
    for path in (folder / f"{name}.gz", folder / f"{name}.zst", folder / name):
        if path.exists():
            break
    else:
        raise ExamplesError(f"{folder} has neither {name} nor {name}.gz")
    try:
        with reading(path) as file:
            yield file, path
    except TextFileError as error:
        raise ExamplesError(str(error)) from None
