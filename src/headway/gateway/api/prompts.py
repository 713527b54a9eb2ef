"""What is asked and answered about registered prompts."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct


class PromptVariable(Struct, kw_only=True):
    """One variable of a version."""

    name: str
    type: str
    description: str
    required: bool
    """Whether a value must be given."""
    default: Any
    """Its value where none is given; null: none."""


class PromptVersion(Struct, kw_only=True):
    """One version of a prompt."""

    version: int
    published: bool
    """It must not change any more."""
    usable: bool
    """Whether requests can name it; else its file is wrong."""
    model: str | None
    """The model that it asks for; null: that of the request."""
    variables: list[PromptVariable]


class PromptEntry(Struct, kw_only=True):
    """One prompt."""

    name: str
    description: str
    default: int
    """The version that requests get that name none."""
    aliases: dict[str, int]
    versions: list[PromptVersion]


class PromptList(Struct, kw_only=True):
    """GET /v1/headway/prompts."""

    configured: bool
    """Whether there is a folder of prompts."""
    prompts: list[PromptEntry]
    problems: list[str]
    """What is wrong with files, a sentence each; for admins only."""


class PromptText(Struct, kw_only=True):
    """The file of one version."""

    version: int
    text: str
    sha256: str
    problem: str
    """Why it cannot be used; empty: it can."""


class CasesText(Struct, kw_only=True):
    """The file of a prompt's test cases."""

    text: str
    sha256: str
    names: list[str]
    """Of the cases; empty if the file is wrong."""
    problem: str


class PromptFilesView(Struct, kw_only=True):
    """GET /v1/headway/prompts/NAME: what its files hold."""

    name: str
    versions: list[PromptText]
    """Ascending."""
    cases: CasesText | None
    """Null: it has none."""


class TextChange(Struct):
    """A file's new text."""

    text: str
    instead_of: str | None = None
    """The hash of the text that it takes the place of; null: there is no such file yet."""


class AliasChange(Struct):
    """The version that an alias means from now on."""

    version: Annotated[int, Meta(ge=1)]
    instead_of: int | None = None
    """The version that the operator saw; null: the alias is new."""


class TrialsAsked(Struct):
    """POST /v1/headway/prompts/NAME/trials: the cases to be run on some versions."""

    versions: Annotated[list[str | int], Meta(min_length=1, max_length=8)]
    """Numbers or aliases."""
    model: str | None = None
    """To ask instead of the prompt's own."""


class TrialResult(Struct, kw_only=True):
    """What one case was answered under one version, and whether that is what it expects."""

    version: int
    case: str
    answer: str
    output_tokens: int | None
    took_s: float
    failures: list[str]
    """Why it failed; empty: it passed."""


class TrialProgress(Struct, kw_only=True):
    """One event of the stream that answers."""

    answered: int
    """Trials that have an answer."""
    of: int
    results: list[TrialResult] | None = None
    """In the last event: case by case, each under all versions."""
