"""Calls of models in workflows: `headway.llm`, `embed` and `predict`; chance and the clock."""

from __future__ import annotations

import os
import random as chance
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from headway.workflows import scope, steps, values
from headway.workflows.costs import pattern
from headway.workflows.errors import WorkflowError
from headway.workflows.llm import Answer, Asker, Gateway
from headway.workflows.scope import Scope
from headway.workflows.spans import traceparent

LONGEST_NAME = 200
"""Bytes of the name of a step: the gateway refuses more than 256."""
Result = TypeVar("Result")

DEFAULT_URL = "http://127.0.0.1:8080"


async def llm(
    prompt: str | Sequence[Mapping[str, Any]], *, model: str = "default", **settings: Any
) -> Answer:
    """Ask a model through the gateway; in a run the answer is kept, and never paid twice.

    The gateway is that of HEADWAY_URL, `http://127.0.0.1:8080` by default.

    Args:
        prompt: a text, or messages as OpenAI's API has them.
        model: its name at the gateway.
        settings: other fields of a chat completion: temperature, max_tokens, tools, …

    Raises:
        Refused: the gateway refused it, or did not answer several times.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    body = {"model": model, "messages": messages, **settings}
    if body.get("stream"):
        raise WorkflowError("headway.llm returns whole answers; leave stream out")
    return await _chat("llm", body)


async def prompt(
    id: str,
    variables: Mapping[str, Any] | None = None,
    /,
    *,
    version: str | int | None = None,
    model: str | None = None,
    **settings: Any,
) -> Answer:
    """Ask with a prompt of the gateway's registry; as `llm` otherwise.

    Args:
        id: of the prompt.
        variables: their values.
        version: a number or an alias; by default `production`, else the newest.
        model: instead of the prompt's own.
        settings: fields that count before the prompt's own.

    Raises:
        Refused: there is no such prompt, a variable is missing, or as for `llm`.
    """
    used: dict[str, Any] = {"id": id, "variables": dict(variables or {})}
    if version is not None:
        used["version"] = str(version)
    body = {"prompt": used, **({} if model is None else {"model": model}), **settings}
    return await _chat("prompt", body)


async def embed(texts: Sequence[str], *, model: str = "default") -> list[list[float]]:
    """The vectors of texts, through the gateway; in a run they are kept.

    Raises:
        Refused: the gateway refused it, or did not answer several times.
    """
    body = {"model": model, "input": list(texts)}
    vectors: list[list[float]] = await _kept(
        "embed",
        "embed",
        body,
        values.fingerprint("embed", (list(texts), model), {}),
        lambda gateway, asker: gateway.embed(texts, model, asker),
        Any,
    )
    return vectors


async def predict(model: str, items: Sequence[Any]) -> list[Any]:
    """What a model of the gateway (`headway serve --model`) returns for items; in a run it is kept.

    Args:
        model: its name at the gateway.
        items: as `/v1/models/NAME:predict` takes them.

    Raises:
        Refused: the gateway refused it, or did not answer several times.
    """
    body = {"model": model, "items": list(items)}
    results: list[Any] = await _kept(
        "predict",
        "predict",
        body,
        values.fingerprint("predict", (list(items), model), {}),
        lambda gateway, asker: gateway.predict(items, model, asker),
        Any,
    )
    return results


async def now() -> float:
    """Seconds since 1970; the same whenever the run goes on."""

    async def value() -> float:
        return time.time()

    return float(await _value("now", value))


async def random() -> float:
    """A random number from 0 to 1; the same whenever the run goes on."""

    async def value() -> float:
        return chance.random()

    return float(await _value("random", value))


async def _value(name: str, value: Any) -> Any:
    inside = scope.current()
    if inside is None:
        return await value()
    return await steps.once(inside.run, inside.reserve(name), "value", "", value, Any)


def asker(inside: Scope, path: str, body: Mapping[str, Any]) -> Asker:
    """For whom a call in `inside` is made.

    Its key is the same when the call is repeated after a crash, and another one when somebody
    asked for the run to run again, or when the call has become another one.
    """
    run = inside.run
    now_s = run.services.clock()
    tier = inside.tier if inside.tier is not None else run.workflow.tier
    return Asker(
        program=run.program,
        traceparent=traceparent(run.row.id, path),
        step=_end_of(f"{run.row.workflow}/{pattern(path)}"),
        key=values.fingerprint(f"{run.row.id}/{path} {run.row.rounds}", (), body),
        tier=run.row.tier if tier is None else tier.label,
        deadline_s=None if run.row.deadline_at is None else run.row.deadline_at - now_s,
        remaining_s=run.services.costs.remaining_s(run.row.workflow, path),
    )


def _end_of(name: str) -> str:
    return name.encode()[-LONGEST_NAME:].decode(errors="ignore")


def gateway_of_environment() -> Gateway:
    """The gateway that HEADWAY_URL and HEADWAY_API_KEY name."""
    return Gateway(os.environ.get("HEADWAY_URL", DEFAULT_URL), os.environ.get("HEADWAY_API_KEY"))


async def _chat(name: str, body: Mapping[str, Any]) -> Answer:
    answer: Answer = await _kept(
        name,
        "llm",
        body,
        values.fingerprint("llm", (), body),
        lambda gateway, asker: gateway.chat(body, asker),
        Answer,
    )
    return answer


async def _kept(
    name: str,
    kind: str,
    body: Mapping[str, Any],
    fingerprint: str,
    call: Callable[[Gateway, Asker | None], Awaitable[Any]],
    type_: Any,
) -> Any:
    """What `call` returns: in a run as a step called `name`, which is kept."""
    inside = scope.current()
    if inside is None:
        return await _outside(lambda gateway: call(gateway, None))
    path = inside.reserve(name)
    return await steps.once(
        inside.run,
        path,
        kind,
        fingerprint,
        lambda: call(inside.run.services.gateway, asker(inside, path, body)),
        type_,
        asked_json=values.to_json(body, "a call of a model") if kind == "llm" else None,
    )


async def _outside(call: Callable[[Gateway], Awaitable[Result]]) -> Result:
    """What `call` returns outside of runs, where nobody would close a gateway that is kept."""
    gateway = gateway_of_environment()
    try:
        return await call(gateway)
    finally:
        await gateway.close()
