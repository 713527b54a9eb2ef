"""Which requests can be stopped and continued exactly."""

from __future__ import annotations

import msgspec

from headway.engines.engine import Description, Kind

Body = dict[str, msgspec.Raw]

_NOTHING = frozenset((b"null", b"false", b"[]", b"{}", b'""'))
_NOTHING_OR_0 = _NOTHING | {b"0", b"0.0"}
_ONE_OR_NONE = frozenset((b"null", b"1"))

_REASONS: dict[str, tuple[frozenset[bytes], str]] = {
    "tools": (_NOTHING, "uses tools"),
    "functions": (_NOTHING, "uses functions"),
    "n": (_ONE_OR_NONE, "asks for n > 1"),
    "best_of": (_ONE_OR_NONE, "asks for best_of > 1"),
    "logprobs": (_NOTHING, "asks for logprobs"),
    "n_probs": (_NOTHING_OR_0, "asks for logprobs"),
    "prompt_logprobs": (_NOTHING, "asks for logprobs"),
    "echo": (_NOTHING, "wants its prompt echoed"),
    "suffix": (_NOTHING, "has a suffix"),
    "audio": (_NOTHING, "asks for audio"),
    "grammar": (_NOTHING, "has a grammar that the engine enforces"),
    "json_schema": (_NOTHING, "has a schema that the engine enforces"),
    "structured_outputs": (_NOTHING, "has a structure that the engine enforces"),
    "guided_json": (_NOTHING, "has a schema that the engine enforces"),
    "guided_regex": (_NOTHING, "has a pattern that the engine enforces"),
    "guided_choice": (_NOTHING, "has choices that the engine enforces"),
    "guided_grammar": (_NOTHING, "has a grammar that the engine enforces"),
    "mirostat": (_NOTHING_OR_0, "uses mirostat, whose state is lost when it stops"),
    "use_beam_search": (_NOTHING, "uses beam search"),
}
"""For each field: the values without effect, and the reason that any other value gives."""

_REASONS_OF_VLLM: dict[str, tuple[frozenset[bytes], str]] = {
    "stop": (_NOTHING, "has stop strings, for which vLLM holds back text"),
    "presence_penalty": (_NOTHING_OR_0, "has a penalty that vLLM counts over new tokens only"),
    "frequency_penalty": (_NOTHING_OR_0, "has a penalty that vLLM counts over new tokens only"),
    "truncate_prompt_tokens": (_NOTHING, "asks for its prompt to be truncated"),
    "documents": (_NOTHING, "has documents, which only vLLM's chat endpoint reads"),
    "reasoning_effort": (_NOTHING, "has a reasoning effort, which only vLLM's chat endpoint reads"),
    "bad_words": (_NOTHING, "has bad words, which vLLM looks for in new tokens only"),
    "repetition_detection": (
        _NOTHING,
        "stops at repetitions, which vLLM counts in new tokens only",
    ),
}


def continuable(kind: Kind, body: Body, description: Description | None = None) -> str | None:
    """None if the request can be stopped and continued exactly, else the reason why not.

    The reason completes the sentence "It cannot be preempted: it ...". With a `description`, this
    also considers what that engine supports; without one, only the request.
    """
    for field in body.keys() & _REASONS.keys():
        harmless, reason = _REASONS[field]
        if bytes(body[field]) not in harmless:
            return reason
    return (
        _enforced_format(body)
        or _random_seed(body)
        or (_other_parts(body) if kind == "chat" else _many_prompts(body))
        or (_limits_of(description, kind, body) if description is not None else None)
    )


def _limits_of(description: Description, kind: Kind, body: Body) -> str | None:
    if not description.exact_resume:
        return "runs on an engine that cannot continue from token ids"
    if kind == "chat" and description.parses_chat:
        return "has its answer split into reasoning and content by the engine"
    if description.engine == "vllm":
        for field in body.keys() & _REASONS_OF_VLLM.keys():
            harmless, reason = _REASONS_OF_VLLM[field]
            if bytes(body[field]) not in harmless:
                return reason
    return None


def _enforced_format(body: Body) -> str | None:
    raw = body.get("response_format")
    if raw is None or bytes(raw) in _NOTHING or _type_of(raw) == "text":
        return None
    return "has a response format that the engine enforces"


def _random_seed(body: Body) -> str | None:
    """Seeded sampling cannot be continued midway; greedy decoding can, as it is not random."""
    seed = body.get("seed")
    if seed is None or bytes(seed) in (b"null", b"-1"):
        return None
    temperature = body.get("temperature")
    if temperature is not None and bytes(temperature) in (b"0", b"0.0"):
        return None
    return "has a seed and a temperature above 0"


def _many_prompts(body: Body) -> str | None:
    raw = body.get("prompt")
    if raw is None or not bytes(raw).lstrip().startswith(b"["):
        return None
    try:
        prompts = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return None
    if len(prompts) > 1 and bytes(prompts[0])[:1] in (b'"', b"["):
        return "has several prompts"
    return None


def _other_parts(body: Body) -> str | None:
    raw = body.get("messages")
    if raw is None or b'"type"' not in bytes(raw):
        return None
    try:
        messages = msgspec.json.decode(raw, type=list[_Message])
    except msgspec.DecodeError:
        return None
    for message in messages:
        if isinstance(message.content, list):
            for part in message.content:
                if _type_of(part) not in ("text", None):
                    return "has content other than text"
    return None


def _type_of(raw: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Typed).type
    except msgspec.DecodeError:
        return None


class _Typed(msgspec.Struct):
    type: str | None = None


class _Message(msgspec.Struct):
    content: str | list[msgspec.Raw] | None = None
