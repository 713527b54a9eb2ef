"""A gateway's request log as examples to learn from."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from headway.prediction.examples import Examples, ExamplesError
from headway.prediction.prompt import Prompt
from headway.store.request_log import RequestLogError, read


def logged_examples(path: Path, model: str) -> Examples:
    """The finished requests of `model` in the log at `path`, with their prompts.

    Raises:
        ExamplesError: there is no such log, or it holds no prompts of `model`.
    """
    if not path.exists():
        raise ExamplesError(f"there is no request log {path}")
    prompts: list[Prompt] = []
    lengths: list[float] = []
    finished = 0
    try:
        for _, record in read(path):
            if record.outcome != "finished" or record.model != model or not record.output_tokens:
                continue
            finished += 1
            if record.prompt:
                prompts.append(_prompt(record.prompt, record.max_tokens))
                lengths.append(float(record.output_tokens))
    except RequestLogError as error:
        raise ExamplesError(str(error)) from None
    if not prompts:
        raise ExamplesError(
            f"{path} holds {finished} finished requests of {model!r} and none of their prompts"
            + ("; serve with log.prompts: true for a while" if finished else "")
        )
    return Examples(path.name, prompts, np.array(lengths), np.empty((len(prompts), 0)))


def _prompt(logged: str, max_tokens: int | None) -> Prompt:
    kind, name = ("chat", "messages") if logged.startswith("[{") else ("completion", "prompt")
    fields = {name: msgspec.Raw(logged.encode())}
    if max_tokens is not None:
        fields["max_tokens"] = msgspec.Raw(str(max_tokens).encode())
    return Prompt.from_fields(kind, fields)
