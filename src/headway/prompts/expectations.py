"""What a case expects of an answer, and in what an answer fails it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from headway.extras import install_extra
from headway.prompts.errors import PromptError

Python = Callable[[str, dict[str, Any]], object]
"""A function of the answer and the variables. False, or a text that says why, fails the case."""

SHOWN = 80
"""Characters of an answer that a failure quotes."""


class Expectations(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """All of them must hold. White space around an answer does not count."""

    contains: str | list[str] = []
    """Texts that are in the answer, in small letters or capitals."""
    not_contains: str | list[str] = []
    """Texts that are not, in neither."""
    equals: str | None = None
    """The whole answer."""
    regex: str | None = None
    """A regular expression of Python that matches somewhere in the answer."""
    json_schema: dict[str, Any] | None = None
    """The answer is JSON that fits this schema."""
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Output tokens that the answer has at most."""
    python: str | None = None
    """FILE.py:FUNCTION beside the cases, see `Python`."""

    def check(self) -> None:
        """Raise PromptError if one of them cannot be tried, or there is none."""
        if all(not getattr(self, name) for name in self.__struct_fields__):
            raise PromptError(
                f"expect needs at least one of {', '.join(sorted(self.__struct_fields__))}"
            )
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise PromptError(f"regex: {error}") from None
        if self.json_schema is not None:
            jsonschema = _jsonschema()
            try:
                jsonschema.validators.validator_for(self.json_schema).check_schema(self.json_schema)
            except jsonschema.SchemaError as error:
                raise PromptError(f"json_schema: {error.message}") from None

    def failures(
        self,
        answer: str,
        output_tokens: int | None,
        variables: dict[str, Any],
        python: Mapping[str, Python],
    ) -> list[str]:
        """In what an answer fails them, a sentence each.

        Args:
            answer: its text.
            output_tokens: its length; None: the server does not say.
            variables: values of the case.
            python: functions by the text that names them.
        """
        text = answer.strip()
        return [
            *self._of_text(text),
            *self._of_json(text),
            *self._of_length(output_tokens),
            *self._of_python(text, variables, python),
        ]

    def _of_text(self, text: str) -> Iterator[str]:
        lower = text.lower()
        for part in _listed(self.contains):
            if part.lower() not in lower:
                yield f"does not contain {part!r}: {shown(text)}"
        for part in _listed(self.not_contains):
            if part.lower() in lower:
                yield f"contains {part!r}: {shown(text)}"
        if self.equals is not None and text != self.equals.strip():
            yield f"is not {self.equals.strip()!r}: {shown(text)}"
        if self.regex is not None and re.search(self.regex, text) is None:
            yield f"does not match {self.regex!r}: {shown(text)}"

    def _of_json(self, text: str) -> Iterator[str]:
        if self.json_schema is None:
            return
        try:
            value = json.loads(text)
        except ValueError:
            yield f"is not JSON: {shown(text)}"
            return
        jsonschema = _jsonschema()
        validator = jsonschema.validators.validator_for(self.json_schema)(self.json_schema)
        for error in validator.iter_errors(value):
            yield f"does not fit the schema at {error.json_path}: {error.message}"

    def _of_length(self, output_tokens: int | None) -> Iterator[str]:
        if self.max_tokens is None:
            return
        if output_tokens is None:
            yield "has an unknown number of tokens: the server sent no usage"
        elif output_tokens > self.max_tokens:
            yield f"has {output_tokens} tokens, more than {self.max_tokens}"

    def _of_python(
        self, text: str, variables: dict[str, Any], python: Mapping[str, Python]
    ) -> Iterator[str]:
        if self.python is None:
            return
        try:
            found = python[self.python](text, variables)
        except Exception as error:  # whatever the author's function raises
            yield f"{self.python} failed: {type(error).__name__}: {error}"
            return
        if isinstance(found, str) and found:
            yield found
        elif found is False:
            yield f"{self.python} does not accept it: {shown(text)}"


def python_in(folder: Path, name: str) -> Python:
    """The function that FILE.py:FUNCTION names, in a folder.

    Raises:
        PromptError: there is none.
    """
    file, _, function = name.partition(":")
    path = folder / file
    if not function or path.suffix != ".py" or path.parent != folder:
        raise PromptError(f"python: write {name!r} as FILE.py:FUNCTION, a file beside the cases")
    spec = spec_from_file_location(f"prompt_cases_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the author's file raises
        raise PromptError(
            f"python: {path} cannot be run: {type(error).__name__}: {error}"
        ) from None
    found = getattr(module, function, None)
    if not callable(found):
        raise PromptError(f"python: {path} has no function {function!r}")
    return found  # type: ignore[no-any-return]


def shown(text: str) -> str:
    """The beginning of an answer, in one line."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _jsonschema() -> Any:
    try:
        import jsonschema
    except ModuleNotFoundError:
        raise PromptError(f"json_schema needs jsonschema: {install_extra('prompts')}") from None
    return jsonschema
