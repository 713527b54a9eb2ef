"""`headway batch`: files of requests, answered within a day beside everything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.exit import BAD_CONFIG, Failure

if TYPE_CHECKING:
    from headway.cli.batch_client import BatchClient

EVERY_S = 1.0
FIRST_LINE_BYTES = 32 * 1024 * 1024

Url = Annotated[str, typer.Option(envvar="HEADWAY_URL", help="The gateway.", metavar="URL")]
ApiKey = Annotated[
    str, typer.Option(envvar="HEADWAY_API_KEY", help="A key of the gateway.", metavar="KEY")
]
BatchId = Annotated[str, typer.Argument(help="Its id, as `headway batch list` shows it.")]
DEFAULT_URL = "http://127.0.0.1:8080"


def run(
    file: Annotated[Path, typer.Argument(help="One request a line, as for OpenAI's Batch API.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Else FILE with .output.jsonl.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Run the requests in FILE and fetch their answers; errors go to a file beside them."""
    from headway.cli.output_files import check_writable

    output = output or file.with_suffix(".output.jsonl")
    _check_apart(file, output)
    endpoint = _endpoint_of(file)
    check_writable({"--output": output})

    async def whole(client: BatchClient) -> dict[str, Any]:
        batch = await client.create(await client.upload(file), endpoint)
        return await _begun(client, batch["id"], output)

    _end(_asked(whole, url, api_key))


def fetch(
    batch: BatchId,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Else BATCH.output.jsonl.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Wait for a batch and fetch its answers."""
    from headway.cli.output_files import check_writable

    to = output or Path(f"{batch}.output.jsonl")
    check_writable({"--output": to})
    _end(_asked(lambda client: _fetched(client, batch, to), url, api_key))


def status(
    batch: BatchId,
    wait: Annotated[bool, typer.Option("-w", "--wait", help="Until it is over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Show how far a batch is."""

    async def now(client: BatchClient) -> dict[str, Any]:
        return await (_waited(client, batch) if wait else client.batch(batch))

    found = _asked(now, url, api_key)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(_line(found))
    _print_errors(found)


def cancel(batch: BatchId, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Cancel a batch; what is answered stays."""
    print(_line(_asked(lambda client: client.act(batch, "cancel"), url, api_key)))


def pause(batch: BatchId, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Begin no more requests of a batch; the time until it expires goes on."""
    print(_line(_asked(lambda client: client.act(batch, "pause"), url, api_key)))


def resume(batch: BatchId, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Let the requests of a paused batch begin again."""
    print(_line(_asked(lambda client: client.act(batch, "resume"), url, api_key)))


def retry(
    batch: BatchId,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Else BATCH.output.jsonl.")
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Run the requests that failed in a batch as a new one, and fetch their answers."""
    from headway.cli.output_files import check_writable

    if output is not None:
        check_writable({"--output": output})

    async def whole(client: BatchClient) -> dict[str, Any]:
        id = (await client.act(batch, "retry"))["id"]
        return await _begun(client, id, output or Path(f"{id}.output.jsonl"))

    _end(_asked(whole, url, api_key))


def list_(
    most: Annotated[int, typer.Option("--most", help="How many, the newest first.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """List batches, the newest first."""
    found = _asked(lambda client: client.batches(most), url, api_key)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    if not found:
        print("There are no batches; `headway batch run FILE` starts one.")
    for one in found:
        print(_line(one))


COMMANDS = (run, fetch, status, cancel, pause, resume, retry, list_)


def _check_apart(file: Path, output: Path) -> None:
    """Check that the answers do not overwrite the requests. Raises Failure and OSError."""
    for path in _files_of(output):
        for written in (path, _part_of(path)):
            if written.exists() and written.samefile(file):
                raise Failure(
                    f"{written} would be overwritten, and it is the file of requests; name another "
                    "file with --output",
                    BAD_CONFIG,
                )


def _files_of(output: Path) -> tuple[Path, Path]:
    """Where the answers go, and where the errors go."""
    return output, output.with_name(f"{output.name.removesuffix('.jsonl')}.errors.jsonl")


def _part_of(path: Path) -> Path:
    """Where a file is until all of it is there."""
    return path.with_name(f"{path.name}.part")


def _endpoint_of(file: Path) -> str:
    """Where the requests of a file go: the url of its first line that is not blank."""
    from headway.batches.input_file import lines_of

    try:
        with file.open("rb") as lines:
            _, _, first = next(lines_of(lines, FIRST_LINE_BYTES), (0, 0, None))
        url = json.loads((first or b"").decode())["url"]
    except (ValueError, KeyError, TypeError):
        raise Failure(
            f'{file} does not begin with a request; write one a line, as {{"custom_id": "1", '
            '"method": "POST", "url": "/v1/chat/completions", "body": {…}}',
            BAD_CONFIG,
        ) from None
    return str(url)


def _asked(question: Any, url: str, api_key: str) -> Any:
    """What `question` makes of a client of the gateway. Raises Failure."""
    from headway.cli.batch_client import BatchClient

    async def ask() -> Any:
        async with BatchClient(url, api_key) as client:
            answer: Coroutine[Any, Any, Any] = question(client)
            return await answer

    return asyncio.run(ask())


async def _begun(client: BatchClient, id: str, output: Path) -> dict[str, Any]:
    """The new batch once it is over, and its files are written."""
    print(f"{id} begins; if this stops, `headway batch fetch {id}` goes on")
    return await _fetched(client, id, output)


async def _fetched(client: BatchClient, id: str, output: Path) -> dict[str, Any]:
    """The batch once it is over; its files are beside each other then, and no earlier ones."""
    batch = await _waited(client, id)
    files = (batch["output_file_id"], batch["error_file_id"])
    for file, path in zip(files, _files_of(output), strict=True):
        if file is not None:
            part = _part_of(path)
            with part.open("wb") as to:
                await client.download(file, to)
            part.replace(path)
            print(f"{path} is written")
        elif path.is_file():
            path.unlink()  # it would pass for a file of this batch
            print(f"{path} of an earlier run is removed")
    return batch


async def _waited(client: BatchClient, id: str) -> dict[str, Any]:
    """The batch once it is over; meanwhile its progress is shown."""
    from headway.cli.progress import Stages

    batch: dict[str, Any] = {}
    with Stages(predicts=False) as report:
        async for batch in client.follow(id, EVERY_S):
            counts = batch["request_counts"]
            done, total = counts["completed"] + counts["failed"], counts["total"]
            report(
                f"{_status(batch).replace('_', ' ')}: {done:,} of {total:,} lines{_waits(batch)}"
                f"{_ends(batch)}",
                done / total if total else 0.0,
            )
    return batch


def _end(batch: dict[str, Any]) -> None:
    """Print how a batch ended. Raises Failure unless it completed without errors."""
    print(_line(batch))
    _print_errors(batch)
    if batch["status"] != "completed":
        raise Failure(f"the batch is {batch['status']}")
    failed = batch["request_counts"]["failed"]
    if failed:
        raise Failure(f"{failed:,} requests failed; the errors file says why")


def _print_errors(batch: dict[str, Any]) -> None:
    for error in (batch["errors"] or {"data": []})["data"]:
        print(f"  {error['code']}: {error['message']}")


def _status(batch: dict[str, Any]) -> str:
    """Its status in OpenAI's words, or that it is paused: other servers cannot do that."""
    paused = batch["status"] in ("validating", "in_progress") and batch.get("paused_at")
    return "paused" if paused else str(batch["status"])


def _waits(batch: dict[str, Any]) -> str:
    """Why no lines begin, as a part of a line; empty: they may, or somebody paused it."""
    reason = (batch.get("headway") or {}).get("waits")
    return f", waits: {reason}" if reason else ""


def _ends(batch: dict[str, Any]) -> str:
    """When the gateway predicts its end, as a part of a line; empty: that is not known there."""
    at = (batch.get("headway") or {}).get("ends_at")
    return "" if at is None else f", ends about {datetime.fromtimestamp(at):%a %H:%M:%S}"


def _line(batch: dict[str, Any]) -> str:
    began = datetime.fromtimestamp(batch["created_at"]).strftime("%Y-%m-%d %H:%M:%S")
    counts = batch["request_counts"]
    failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
    extras = batch.get("headway") or {}
    cost = f", cost {extras['cost']:.4f}" if extras.get("cost") is not None else ""
    if extras.get("unpriced"):
        cost += f", {extras['unpriced']:,} requests without a price"
    if extras.get("uncounted"):
        cost += f", {extras['uncounted']:,} requests in the logs of other gateways"
    return (
        f"{batch['id']}  {began}  {_status(batch):11}  {batch['endpoint']}  "
        f"{counts['completed']:,} of {counts['total']:,} completed{failed}{cost}{_waits(batch)}"
        f"{_ends(batch)}"
    )
