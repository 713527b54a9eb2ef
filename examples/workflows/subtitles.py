"""Subtitles for recordings that land in a folder, with the text cleaned by a model.

    pip install pocketsphinx "headway[workflows]"       # and ffmpeg, from your distribution
    headway serve
    mkdir -p inbox
    headway worker examples/workflows/subtitles.py

Copy a recording into `inbox`: a file of the same name with `.srt` appears beside it. It is cut at
its silences, the pieces are recognised several at a time (as many as there are CPUs), and the LLM
puts in capitals and full stops.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import headway
from headway.workflows.triggers import Files

INBOX = Path("inbox")
RATE_HZ = 16_000
SILENCE = "silencedetect=noise=-35dB:d=0.35"


@headway.task
async def samples(path: str) -> str:
    """The recording as 16 kHz mono; returns its file."""
    wav = str(Path(path).with_suffix(".16k.raw"))
    await program("ffmpeg", "-y", "-i", path, "-ac", "1", "-ar", str(RATE_HZ), "-f", "s16le", wav)
    return wav


@headway.task
async def pieces(path: str) -> list[tuple[float, float]]:
    """Beginning and end of each piece of speech, in seconds."""
    said = await program("ffmpeg", "-i", path, "-af", SILENCE, "-f", "null", "-")
    begins = [float(one) for one in re.findall(r"silence_start: (-?[\d.]+)", said)]
    ends = [float(one) for one in re.findall(r"silence_end: ([\d.]+)", said)]
    hours, minutes, seconds = re.findall(r"time=(\d+):(\d+):([\d.]+)", said)[-1]
    length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    edges = [0.0, *ends], [*begins, length]
    return [(a, b) for a, b in zip(*edges, strict=False) if b - a > 0.1]


@headway.task(resources={"cpu": 1})
def recognise(raw: str, begin: float, end: float) -> str:
    """What is said in a piece."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE_HZ, fwdflat=False, bestpath=False, loglevel="FATAL")
    with Path(raw).open("rb") as audio:
        audio.seek(int(begin * RATE_HZ) * 2)
        data = audio.read(int((end - begin) * RATE_HZ) * 2)
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found is not None else ""


@headway.task(retries=2, tier="batch")
async def cleaned(text: str) -> str:
    """The text as one writes it; as it was recognised if the model makes something else of it."""
    if not text:
        return ""
    answer = await headway.llm(
        f"Write this with capitals and a full stop, and change no word: {text}",
        max_tokens=2 * len(text.split()) + 20,
        temperature=0.0,
    )
    words = re.findall(r"[a-z']+", answer.text.lower())
    return answer.text.strip() if words == re.findall(r"[a-z']+", text.lower()) else text


@headway.task
def written(path: str, lines: list[tuple[float, float, str]]) -> str:
    """The subtitles in a file; returns its path."""
    srt = Path(path).with_suffix(".srt")
    blocks = [
        f"{number}\n{stamp(begin)} --> {stamp(end)}\n{text}\n"
        for number, (begin, end, text) in enumerate(lines, 1)
    ]
    srt.write_text("\n".join(blocks), encoding="utf-8")
    return str(srt)


@headway.workflow(triggers=[Files(str(INBOX), "*.wav")] if INBOX.is_dir() else ())
async def subtitles(path: str) -> str:
    """The path of the subtitles of a recording."""
    raw, spoken = await headway.gather(samples(path), pieces(path))

    async def line(piece: tuple[float, float]) -> tuple[float, float, str]:
        begin, end = piece
        return begin, end, await cleaned(await recognise(raw, begin, end))

    lines = await headway.map(line, spoken, limit=8)
    return await written(path, [one for one in lines if one[2]])


def stamp(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds, as .srt has them."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


async def program(*command: str) -> str:
    """What a program printed on stderr. Raises CalledProcessError."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode or 1, command, stderr=said[-300:])
    return said.decode(errors="replace")
