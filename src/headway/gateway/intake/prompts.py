"""Fills registered prompts into the requests that name them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

import msgspec

from headway.gateway.api.errors import ApiError, sentence
from headway.gateway.api.wire import PromptReference
from headway.gateway.dialects.responses_prompt import response_with
from headway.gateway.http.body import off_loop, parsed
from headway.gateway.intake.entrance import Admitted
from headway.prompts.errors import (
    BrokenPrompt,
    FileChanged,
    PromptError,
    PromptNotFound,
    WrongVariables,
)
from headway.prompts.prompt import PromptId, Rendered
from headway.prompts.registry import Registry
from headway.prompts.watched import WatchedRegistry

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""Between two looks at the files."""

T = TypeVar("T")
Fields = dict[str, msgspec.Raw]


class _Asked(msgspec.Struct):
    prompt: PromptReference


_ASKED = msgspec.json.Decoder(_Asked)
_FIELDS = msgspec.json.Decoder(Fields)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NULL = memoryview(b"null")


class Prompts:
    """The registered prompts, for requests.

    Args:
        watched: the prompts; None: there are none.
        most_bytes: maximum size of a body, also with its prompt filled in.
    """

    def __init__(self, watched: WatchedRegistry | None, most_bytes: int) -> None:
        self._watched = watched
        self._most_bytes = most_bytes
        self._watching: asyncio.Task[None] | None = None
        self._writing = Lock()

    @property
    def registry(self) -> Registry | None:
        """The prompts as they were last read; None: there are none."""
        return None if self._watched is None else self._watched.registry

    async def change(self, write: Callable[[Registry], T]) -> T:
        """Let `write` change the files, and read them again. Nobody else writes meanwhile.

        Raises:
            ApiError: 404 if there are no prompts.
        """
        watched = self._watched
        if watched is None:
            raise no_prompts()

        def changed() -> T:
            with self._writing:  # also where the client has left meanwhile
                watched.read()
                try:
                    return write(watched.registry)
                finally:
                    watched.read()

        return await asyncio.to_thread(changed)

    def start(self) -> None:
        """Read the files again from now on, whenever they change."""
        if self._watched is not None:
            self._watching = asyncio.create_task(self._watch(self._watched))

    async def close(self) -> None:
        """Read no more."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def filled(self, path: str, admitted: Admitted) -> Admitted:
        """The same request to `path` with the messages and settings of the prompt that it names.

        Raises:
            ApiError: 400 for wrong variables, 404 for an unknown prompt or version, 413, or 500 for
                one whose file is wrong.
        """
        fill = _FILLED.get(path)
        if fill is None or b'"prompt"' not in admitted.body:
            return admitted
        found = await off_loop(lambda body: self._with_prompt(body, fill), admitted.body)
        if found is None:
            return admitted
        body, id = found
        if len(body) > self._most_bytes:
            raise ApiError(
                413,
                f"With its prompt the request is larger than {self._most_bytes} bytes; shorten "
                "the variables.",
                code="body_too_large",
            )
        return admitted._replace(body=body, prompt=id)

    def _with_prompt(
        self, body: bytes, fill: Callable[[Fields, Rendered], dict[str, Any]]
    ) -> tuple[bytes, PromptId] | None:
        fields: Fields = parsed(body, _FIELDS)
        if bytes(memoryview(fields.get("prompt", b"")))[:1] != b"{":
            return None
        reference = parsed(body, _ASKED).prompt
        rendered = self._rendered(reference)
        reference.version = str(rendered.id.version)
        fields["prompt"] = msgspec.Raw(msgspec.json.encode(reference))
        given = {name: value for name, value in fields.items() if memoryview(value) != _NULL}
        return msgspec.json.encode(fill(given, rendered)), rendered.id

    def _rendered(self, asked: PromptReference) -> Rendered:
        if self._watched is None:
            raise no_prompts()
        try:
            return self._watched.registry.render(asked.id, asked.version, asked.variables or {})
        except PromptNotFound as error:
            raise ApiError(
                404, sentence(error), code="prompt_not_found", param=f"prompt.{error.wrong}"
            ) from None
        except WrongVariables as error:
            raise ApiError(
                400, sentence(error), code="invalid_value", param="prompt.variables"
            ) from None
        except BrokenPrompt:  # its message names the operator's files
            raise ApiError(
                500,
                f"The prompt {asked.id!r} cannot be used, as a file of it is wrong; the "
                "gateway's log and `headway check` say what.",
                type="server_error",
                code="prompt_broken",
                param="prompt",
                headers={"x-should-retry": "false"},
            ) from None

    async def _watch(self, watched: WatchedRegistry) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await asyncio.to_thread(watched.look)
            except Exception:
                logger.exception("prompts stay as they were: they cannot be read again")


def no_prompts() -> ApiError:
    """There is no folder of prompts."""
    return ApiError(
        404,
        "This gateway has no prompts: its setting `prompts` names the folder that has them.",
        code="prompt_not_found",
        param="prompt",
    )


def refused(error: PromptError) -> ApiError:
    """The answer to whoever looks at prompts or changes them: its sentence names files."""
    if isinstance(error, PromptNotFound):
        return ApiError(404, sentence(error), code="prompt_not_found")
    if isinstance(error, FileChanged):
        return ApiError(409, sentence(error), code="conflict")
    return ApiError(400, sentence(error), code="invalid_value")


def chat_with(given: Fields, rendered: Rendered) -> dict[str, Any]:
    """The fields of a chat completion with a prompt: its own messages follow the prompt's.

    Args:
        given: the request's own fields, which outrank the prompt's settings.
        rendered: the prompt.
    """
    own = {name: value for name, value in given.items() if name not in ("prompt", "messages")}
    settings = rendered.settings
    if "max_completion_tokens" in own:
        settings.pop("max_tokens", None)
    if "tools" in own:
        settings.pop("tool_choice", None)  # it may name a tool that is not there now
    messages: Any = list(rendered.messages)
    if "messages" in given:
        try:
            messages += _LIST.decode(given["messages"])
        except msgspec.ValidationError:
            messages = given["messages"]  # refused by its name where the fields are checked
    return {**settings, **own, "messages": messages}


_FILLED: Mapping[str, Callable[[Fields, Rendered], dict[str, Any]]] = {
    "/v1/chat/completions": chat_with,
    "/v1/responses": response_with,
    "/v1/responses/input_tokens": response_with,
}
"""By the path of the gateway: how a request gets its prompt."""
