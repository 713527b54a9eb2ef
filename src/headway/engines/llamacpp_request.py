"""A request as llama.cpp reads it.

llama.cpp ignores what it does not know, and takes a `tool_choice` that is an object for `auto`: a
client that forced a call would get an answer that looks right.
"""

from __future__ import annotations

import msgspec

from headway.engines.engine import Description, EngineError

Body = dict[str, msgspec.Raw]

_NOTHING = frozenset((b"null", b"false", b"[]", b"{}", b'""'))
_IGNORED: dict[str, tuple[frozenset[bytes], str]] = {
    "echo": (_NOTHING, "llama.cpp repeats no prompts; put yours before the answer yourself"),
    "suffix": (_NOTHING, "llama.cpp reads no suffix here; send a prompt in the model's own form"),
    "best_of": (frozenset((b"null", b"1")), "llama.cpp chooses no best answer; send n instead"),
    "functions": (_NOTHING, "llama.cpp reads tools only; send them as tools"),
    "audio": (_NOTHING, "llama.cpp speaks no answers; leave audio out"),
}
"""For each field: the values without effect, and what to do about any other."""
_FIELDS = frozenset((*_IGNORED, "tools", "tool_choice"))


def as_read(body: Body, description: Description) -> Body:
    """The request in words that llama.cpp knows: `body` itself unless a function is forced.

    Args:
        body: of a client.
        description: of a llama.cpp server.

    Raises:
        EngineError: 400 for what it would ignore.
    """
    given = body.keys() & _FIELDS
    for field in given & _IGNORED.keys():
        harmless, reason = _IGNORED[field]
        if bytes(body[field]) not in harmless:
            raise _refused(f"{field}: {reason}.", field)
    if "tools" not in given or bytes(body["tools"]) in _NOTHING:
        return body
    choice = bytes(body.get("tool_choice", b"null"))
    if choice == b'"none"':
        return body
    if not description.tools:
        raise _refused(
            "tools: the chat template of this model does not show it any, so it would never call "
            "one; leave tools out, or ask a model whose template has them.",
            "tools",
        )
    return _in_one_word(body, choice) if choice.startswith(b"{") else body


def _in_one_word(body: Body, choice: bytes) -> Body:
    """The same choice as a word, and of the tools only those that may be called."""
    try:
        chosen = msgspec.json.decode(choice, type=_Choice)
        tools = msgspec.json.decode(body["tools"], type=list[msgspec.Raw])
        offered = {msgspec.json.decode(tool, type=_Named).name: tool for tool in tools}
    except msgspec.DecodeError:
        raise _refused(
            "tool_choice: send auto, none, required, a function or allowed_tools, and tools that "
            "are functions.",
            "tool_choice",
        ) from None
    names = [one.name for one in chosen.allowed]
    if missing := [name for name in names if name not in offered]:
        raise EngineError.invalid(
            f"tool_choice: there is no function {missing[0]!r} in tools; name one that is.",
            param="tool_choice",
            code="invalid_value",
        )
    narrowed: dict[str, object] = {
        "tool_choice": chosen.mode,
        "tools": [offered[name] for name in dict.fromkeys(names)],
    }
    if chosen.function is not None:
        narrowed["parallel_tool_calls"] = False  # it is called once
    return {**body, **{name: _raw(value) for name, value in narrowed.items()}}


def _refused(message: str, param: str) -> EngineError:
    return EngineError.invalid(message, param=param, code="unsupported_parameter")


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


class _Function(msgspec.Struct):
    name: str


class _Named(msgspec.Struct):
    function: _Function

    @property
    def name(self) -> str:
        return self.function.name


class _AllowedTools(msgspec.Struct):
    mode: str
    tools: list[_Named]


class _Choice(msgspec.Struct):
    """`{"type": "function"}` or `{"type": "allowed_tools"}`."""

    function: _Function | None = None
    allowed_tools: _AllowedTools | None = None

    def __post_init__(self) -> None:
        if (self.function is None) == (self.allowed_tools is None):
            raise ValueError("neither a function nor allowed tools")

    @property
    def mode(self) -> str:
        return "required" if self.allowed_tools is None else self.allowed_tools.mode

    @property
    def allowed(self) -> list[_Named]:
        if self.function is not None:
            return [_Named(self.function)]
        return self.allowed_tools.tools if self.allowed_tools is not None else []
