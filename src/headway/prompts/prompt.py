"""One version of a prompt: a file with a front matter, and messages that are templates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple, TypedDict, cast, get_args

from jinja2 import TemplateSyntaxError

from headway.prompts.errors import PromptError, WrongVariables
from headway.prompts.front_matter import FrontMatter, front_matter
from headway.prompts.template import Template
from headway.prompts.variables import Variable, values
from headway.prompts.yaml_text import loaded

Role = Literal["system", "developer", "user", "assistant"]
ROLES: tuple[str, ...] = get_args(Role)

_FRONT = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_ROLE = re.compile(r"^--- (\w+)[ \t]*$\n?", re.MULTILINE)


class PromptId(NamedTuple):
    """A version of a prompt."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Message(TypedDict):
    """A message of a chat completion."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt with its variables filled in."""

    id: PromptId
    messages: list[Message]
    settings: dict[str, Any]
    """Fields of a chat completion: `model`, `temperature`, `max_tokens`, `tools`, …"""

    @property
    def request(self) -> dict[str, Any]:
        """The whole body of a chat completion."""
        return {**self.settings, "messages": self.messages}


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a prompt."""

    role: Role
    text: str
    """The template's source."""
    template: Template


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt."""

    id: PromptId
    text: str
    """The whole file, with line feeds as line ends."""
    front: FrontMatter
    parts: tuple[Part, ...]

    @property
    def sha256(self) -> str:
        """The hash of the text, in hex. Line ends do not count, as git may change them."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def variables(self) -> dict[str, Variable]:
        """The declared variables by name."""
        return {name: one or Variable() for name, one in self.front.variables.items()}

    def render(self, given: Mapping[str, Any]) -> Rendered:
        """The messages and settings for these values of the variables; the same ones each time.

        Args:
            given: see `variables.values`.

        Raises:
            WrongVariables: values are missing, unknown or of the wrong type, or the template cannot
                be filled with them.
        """
        try:
            found = values(self.variables, given)
            messages: list[Message] = [
                {"role": part.role, "content": part.template.render(found)} for part in self.parts
            ]
        except PromptError as error:
            raise WrongVariables(f"the prompt {self.id} {error}") from None
        return Rendered(self.id, messages, deepcopy(self.front.settings))


def read_prompt(id: PromptId, text: str, place: str) -> Prompt:
    """The prompt in the text of a file.

    Args:
        id: its name and version.
        text: of the file.
        place: the file, for errors.

    Raises:
        PromptError: something in it is wrong; the message says where.
    """
    text = text.replace("\r\n", "\n")
    found = _FRONT.match(text)
    if found is None and text.startswith("---\n"):
        raise PromptError(f"{place}: the front matter has no end; close it with a line of ---")
    front_text = found[1] if found else ""
    end = found.end() if found else 0
    try:
        front = front_matter(loaded(front_text, place, first_line=2))
        parts = tuple(_parts(front, text, end, place))
    except PromptError as error:
        message = str(error)
        raise PromptError(message if message.startswith(place) else f"{place}: {message}") from None
    return Prompt(id, text, front, parts)


def _parts(front: FrontMatter, text: str, begin: int, place: str) -> Iterator[Part]:
    """The messages. They are told apart before any value is filled in."""
    marks = list(_ROLE.finditer(text, begin))
    if not marks:
        yield _part(front, "user", text, (begin, len(text)), place)
        return
    if text[begin : marks[0].start()].strip():
        raise PromptError(
            f"{place}: there is text before the first role; write `--- system` above it"
        )
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=True):
        if mark[1] not in ROLES:
            line = text.count("\n", 0, mark.start()) + 1
            raise PromptError(
                f"{place}:{line}: the role {mark[1]!r} is none of {', '.join(ROLES)}; where the "
                "line is text, write a space before it"
            )
        yield _part(front, mark[1], text, (mark.end(), end), place)


def _part(front: FrontMatter, role: str, text: str, span: tuple[int, int], place: str) -> Part:
    whole = text[slice(*span)]
    source = whole.strip()
    first_line = text.count("\n", 0, span[0] + len(whole) - len(whole.lstrip())) + 1
    if not source:
        raise PromptError(f"{place}:{first_line}: the message of the {role} is empty")
    try:
        template = Template(source, front.variables)
    except TemplateSyntaxError as error:
        line = first_line + error.lineno - 1
        raise PromptError(
            f"{place}:{line}: {error.message}; to write {{{{ or {{% as text, put it between "
            "{% raw %} and {% endraw %}"
        ) from None
    return Part(cast(Role, role), source, template)
