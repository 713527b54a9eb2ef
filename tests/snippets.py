"""What the documents ask a reader to run: shell commands and Python blocks, as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
MEASUREMENTS = ROOT / "bench/README.md"
"""Its commands take minutes and data: only their options are tried."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`(headway [^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Snippet:
    """One block, or one command of a block."""

    where: str
    """Document and line."""
    language: str
    """Of its block; empty where the document names none."""
    text: str
    answer: str = ""
    """What a command prints, as the comments after it say; … stands for anything."""

    def __str__(self) -> str:
        return self.where


def blocks(documents: Iterable[Path] = DOCUMENTS) -> Iterator[Snippet]:
    """Every block of every document."""
    for document in documents:
        text = document.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 2
            yield Snippet(f"{document.name}:{line}", found[1], found[2])


def commands() -> list[Snippet]:
    """Every command of every block of shell lines; once, where several pages have it."""
    found = {}
    for block in blocks():
        for one in _split(block) if block.language == "sh" else ():
            found.setdefault((one.text, one.answer), one)
    return list(found.values())


def spans() -> list[Snippet]:
    """Every `headway …` inside a sentence or a table, unless it leaves something out.

    Of the measurements also those in blocks.
    """
    found = {
        one.text: one
        for block in blocks([MEASUREMENTS])
        for one in _split(block)
        if one.text.startswith("headway ")
    }
    for document in (*DOCUMENTS, MEASUREMENTS):
        text = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), document.read_text("utf-8"))
        for span in SPAN.finditer(text):
            line = text.count("\n", 0, span.start()) + 1
            if "…" not in span[1]:
                found[span[1]] = Snippet(f"{document.name}:{line}", "sh", span[1])
    return list(found.values())


def _split(block: Snippet) -> Iterator[Snippet]:
    document, _, first = block.where.partition(":")
    command, answer, began = "", "", 0
    for number, line in enumerate(block.text.splitlines(), int(first)):
        if not (command and _goes_on(command)):
            if line.startswith("#"):
                answer += line.removeprefix("#")
                continue
            if command:
                yield Snippet(f"{document}:{began}", "sh", command, answer)
            command, answer, began = "", "", number
        command += f"{line}\n" if line.strip() else ""
    if command:
        yield Snippet(f"{document}:{began}", "sh", command, answer)


def _goes_on(command: str) -> bool:
    """Whether the next line belongs to it: after a backslash, a pipe, or inside quotes."""
    if command.endswith(("\\\n", "|\n")):
        return True
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False
