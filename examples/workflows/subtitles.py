"""Subtitles for recordings that land in a folder: speech recognised, then written properly.

    pip install pocketsphinx "headway[workflows]"          # and ffmpeg, from your distribution
    headway serve --model smollm2-135m-instruct --config examples/transcribe.yaml
    mkdir inbox
    headway worker examples/workflows/subtitles.py

Copy a recording into `inbox`: `NAME.srt` appears beside it. It is cut at its silences; the pieces
are recognised in batches by the instances of `asr`, of which there are more while much waits, and
each is cleaned by the LLM as soon as it is.
"""

from __future__ import annotations

import asyncio
import base64
import re
import subprocess
from pathlib import Path

import headway
from headway.workflows.triggers import Files

SILENCE = "silencedetect=noise=-35dB:duration=0.35"
SHORTEST_S = 0.1
Piece = tuple[float, float]


@headway.task
async def pieces(path: str) -> list[Piece]:
    """Beginning and end of each piece of speech, in seconds: what lies between the silences."""
    _, said = await ffmpeg("-i", path, "-af", SILENCE, "-f", "null", "-")
    begins = [0.0, *map(float, re.findall(r"silence_end: ([\d.]+)", said))]
    ends = [float(one) for one in re.findall(r"silence_start: (-?[\d.]+)", said)]
    hours, minutes, seconds = re.findall(r"time=(\d+):(\d+):([\d.]+)", said)[-1]
    ends.append(int(hours) * 3600 + int(minutes) * 60 + float(seconds))
    return [
        (begin, end) for begin, end in zip(begins, ends, strict=False) if end - begin > SHORTEST_S
    ]


@headway.task(retries=2, tier="batch")
async def recognised(path: str, begin: float, end: float) -> str:
    """What is said in a piece."""
    where = ("-ss", f"{begin:.3f}", "-to", f"{end:.3f}", "-i", path)
    audio, _ = await ffmpeg(*where, "-ac", "1", "-ar", "16000", "-f", "s16le", "-")
    (text,) = await headway.predict("asr", [base64.b64encode(audio).decode()])
    return str(text)


@headway.task(retries=2, tier="batch")
async def cleaned(text: str) -> str:
    """The text as one writes it; as it was recognised if the model changes a word."""
    answer = await headway.llm(
        f"Write this with capitals and a full stop, and change no word: {text}",
        max_tokens=2 * len(text.split()) + 20,
        temperature=0.0,
    )
    return answer.text.strip() if words(answer.text) == words(text) else text


@headway.task
def written(path: str, lines: list[tuple[float, float, str]]) -> str:
    """The path of the file with the subtitles."""
    srt = Path(path).with_suffix(".srt")
    blocks = [
        f"{number}\n{stamp(begin)} --> {stamp(end)}\n{text}\n"
        for number, (begin, end, text) in enumerate(lines, 1)
    ]
    srt.write_text("\n".join(blocks), encoding="utf-8")
    return str(srt)


@headway.workflow(triggers=[Files("inbox", "*.wav")])
async def subtitles(path: str) -> str:
    """The path of the subtitles of a recording."""

    async def line(piece: Piece) -> tuple[float, float, str]:
        text = await recognised(path, *piece)
        return (*piece, await cleaned(text) if text else "")

    lines = await headway.map(line, await pieces(path), limit=8)
    return await written(path, [one for one in lines if one[2]])


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return re.findall(r"[a-z']+", text.lower())


def stamp(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds, as .srt has them."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


async def ffmpeg(*arguments: str) -> tuple[bytes, str]:
    """What ffmpeg wrote, and what it said. Raises RuntimeError if it fails."""
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", "-hide_banner", "-nostdin", *arguments,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    made, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(arguments)}: {said.decode(errors='replace')[-300:]}")
    return made, said.decode(errors="replace")
