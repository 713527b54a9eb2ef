"""Registered prompts: which there are, what their files hold, and how admins change them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import json_answer
from headway.gateway.api.errors import ApiError, sentence
from headway.gateway.api.prompts import (
    AliasChange,
    CasesText,
    PromptEntry,
    PromptFilesView,
    PromptList,
    PromptText,
    PromptVariable,
    PromptVersion,
    TextChange,
)
from headway.gateway.api.views import Operated
from headway.gateway.http.body import Bodies, parsed
from headway.gateway.intake.entrance import Entrance
from headway.gateway.intake.prompts import Prompts, no_prompts, refused
from headway.gateway.keys.keys import must_be_admin, who
from headway.prompts.cases import parse_cases
from headway.prompts.errors import FileChanged, PromptError
from headway.prompts.prompt import Prompt
from headway.prompts.prompt_files import PromptFiles, text_hash
from headway.prompts.published import publish
from headway.prompts.registry import Entry, Registry

logger = logging.getLogger(__name__)

Change = TypeVar("Change")

_TEXT = msgspec.json.Decoder(TextChange)
_ALIAS = msgspec.json.Decoder(AliasChange)


class PromptsRoutes:
    """Every key may see which prompts there are, and use them; their texts are for admins.

    Args:
        entrance: lets viewers and operators in.
        bodies: reads the bodies.
        prompts: the registered prompts.
    """

    def __init__(self, entrance: Entrance, bodies: Bodies, prompts: Prompts) -> None:
        self._entrance = entrance
        self._bodies = bodies
        self._prompts = prompts

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "prompts": self.list,
            "prompt": self.one,
            "write_version": self.write_version,
            "write_cases": self.write_cases,
            "move_alias": self.move_alias,
        }

    async def list(self, request: web.Request) -> web.Response:
        """All prompts."""
        viewer = self._entrance.caller(request)
        registry = self._prompts.registry
        if registry is None:
            return json_answer(PromptList(configured=False, prompts=[], problems=[]))
        admin = viewer.admin if viewer else self._entrance.from_here(request)
        return json_answer(
            PromptList(
                configured=True,
                prompts=[_entry(entry) for entry in registry.entries.values()],
                problems=list(registry.problems) if admin else [],
            )
        )

    async def one(self, request: web.Request) -> web.Response:
        """The files of one prompt."""
        must_be_admin(self._entrance.viewer(request))
        registry = self._prompts.registry
        if registry is None:
            raise no_prompts()
        name = request.match_info["prompt"]
        try:
            return json_answer(await asyncio.to_thread(_files, registry, name))
        except PromptError as error:
            raise refused(error) from None

    async def write_version(self, request: web.Request) -> web.Response:
        """Write a version, a new one or a draft."""
        number = request.match_info["number"]

        def write(registry: Registry, name: str, change: TextChange) -> str:
            version = int(number) if number.isascii() and number.isdigit() else 0
            PromptFiles(registry.folder, name).write_version(
                version, change.text, change.instead_of
            )
            return f"prompt {name}@{version} is written"

        return await self._written(request, _TEXT, write)

    async def write_cases(self, request: web.Request) -> web.Response:
        """Write the test cases."""

        def write(registry: Registry, name: str, change: TextChange) -> str:
            registry.entry(name)
            PromptFiles(registry.folder, name).write_cases(change.text, change.instead_of)
            return f"test cases of prompt {name} are written"

        return await self._written(request, _TEXT, write)

    async def move_alias(self, request: web.Request) -> web.Response:
        """Publish a version, and let an alias mean it."""
        alias = request.match_info["alias"]

        def write(registry: Registry, name: str, change: AliasChange) -> str:
            prompt = registry.prompt(name, change.version)
            present = registry.entry(name).published.aliases.get(alias)
            if present != change.instead_of:
                now = "nothing" if present is None else f"{name}@{present}"
                raise FileChanged(f"{name}@{alias} is {now} by now; look again, then publish")
            publish(registry.folder / name, prompt, alias)
            was = "" if present is None else f", and was {name}@{present}"
            return f"prompt {name}@{alias} is {prompt.id} now{was}"

        return await self._written(request, _ALIAS, write)

    async def _written(
        self,
        request: web.Request,
        decoder: msgspec.json.Decoder[Change],
        write: Callable[[Registry, str, Change], str],
    ) -> web.Response:
        """Let `write` carry out what the body asks; it returns what it did."""
        caller = self._entrance.operator(request)
        change: Change = parsed(await self._bodies.read(request), decoder)
        name = request.match_info["prompt"]
        try:
            done = await self._prompts.change(lambda registry: write(registry, name, change))
        except PromptError as error:
            raise refused(error) from None
        except OSError as error:
            raise ApiError(
                500,
                f"The folder of prompts cannot be written: {error.strerror}; change the files "
                "where they come from.",
                type="server_error",
                code="prompts_not_writable",
                headers={"x-should-retry": "false"},
            ) from None
        logger.info("%s, by %s", done, who(caller))
        return json_answer(Operated(sentence(done)))


def _entry(entry: Entry) -> PromptEntry:
    latest = entry.versions.get(entry.default)
    return PromptEntry(
        name=entry.name,
        description=latest.front.description if latest else "",
        default=entry.default,
        aliases=entry.published.aliases,
        versions=[_version(entry, number) for number in sorted({*entry.versions, *entry.broken})],
    )


def _version(entry: Entry, number: int) -> PromptVersion:
    prompt = entry.versions.get(number)
    return PromptVersion(
        version=number,
        published=number in entry.published.sha256,
        usable=prompt is not None,
        model=prompt.front.model if prompt else None,
        variables=_variables(prompt) if prompt else [],
    )


def _variables(prompt: Prompt) -> list[PromptVariable]:
    return [
        PromptVariable(
            name=name,
            type=one.type,
            description=one.description,
            required=one.required and one.default is msgspec.UNSET,
            default=None if one.default is msgspec.UNSET else one.default,
        )
        for name, one in prompt.variables.items()
    ]


def _files(registry: Registry, name: str) -> PromptFilesView:
    """Read from disk, as files that are wrong are not in the registry."""
    entry = registry.entry(name)
    files = PromptFiles(registry.folder, name)
    cases = files.cases()
    return PromptFilesView(
        name=name,
        versions=[
            PromptText(
                version=number,
                text=text,
                sha256=text_hash(text),
                problem=entry.broken.get(number, ""),
            )
            for number, text in files.versions().items()
        ],
        cases=None if cases is None else _cases(cases),
    )


def _cases(text: str) -> CasesText:
    names: list[str] = []
    problem = ""
    try:
        names = [case.name for case in parse_cases(text, "tests.yaml")]
    except PromptError as error:
        problem = str(error)
    return CasesText(text=text, sha256=text_hash(text), names=names, problem=problem)
