"""What a person is asked, and which answers fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from headway.workflows import values
from headway.workflows.errors import Rejected, WorkflowError


class WrongAnswer(WorkflowError):
    """An answer that does not fit its question."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question: of approval, of choice, or what to edit."""

    text: str
    choices: tuple[str, ...] = ()
    edit: Any = None
    about: Any = None

    def to_json(self) -> str:
        """As it is kept. Raises NotStorable."""
        return values.to_json(asdict(self), "a question")

    @classmethod
    def of(cls, text: str | None) -> Question:
        """The question that a step keeps; one of yes or no where it keeps none."""
        return cls("") if text is None else cls.from_json(text)

    @classmethod
    def from_json(cls, text: str) -> Question:
        """The question again."""
        kept = json.loads(text)
        return cls(kept["text"], tuple(kept["choices"]), kept["edit"], kept["about"])

    def accept(self, value: Any = None) -> str:
        """The answer yes as it is kept: with a choice, or with what was edited.

        Raises:
            WrongAnswer: the value is no choice, or there is nothing to choose or edit.
        """
        if self.choices:
            if value not in self.choices:
                wrong = "" if value is None else f", not {value!r}"
                raise WrongAnswer(f"choose one of {', '.join(self.choices)}{wrong}")
        elif self.edit is not None:
            value = self.edit if value is None else value
        elif value is not None:
            raise WrongAnswer("the question is yes or no: it takes no value")
        return json.dumps({"accepted": True, "value": value})

    def reject(self, why: str = "") -> str:
        """The answer no as it is kept."""
        return json.dumps({"accepted": False, "value": why})

    def result(self, answer: dict[str, Any]) -> Any:
        """What the workflow gets for a kept answer. Raises Rejected."""
        if not answer["accepted"]:
            raise Rejected(answer["value"] or "a person said no")
        return answer["value"] if self.choices or self.edit is not None else True
