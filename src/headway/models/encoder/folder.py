"""The JSON files of an encoder's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.models.signature import ModelFailure
from headway.models.source import TOKENIZER

_SENTENCE_CONFIGS = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
"""The names that sentence-transformers has given this file; the first that is there counts."""
_LIBRARY = "sentence_transformers."
_MODEL_TYPES = ("SentenceTransformer", "CrossEncoder")


@dataclass(frozen=True, slots=True)
class Module:
    """An entry of `modules.json`."""

    kind: str
    """The name of its class in sentence-transformers, such as Pooling."""
    config: Mapping[str, Any]
    place: Path
    """Where its weights are."""


@dataclass(frozen=True, slots=True)
class EncoderFolder:
    """What the files of a folder say; what is missing is empty."""

    path: Path
    config: Mapping[str, Any]
    """`config.json`; of a model with several parts, that of its text part."""
    tokenizer_config: Mapping[str, Any]
    sentence: Mapping[str, Any]
    """`sentence_bert_config.json`: how texts are prepared."""
    described: Mapping[str, Any]
    """`config_sentence_transformers.json`: prompts and similarity."""
    modules: tuple[Module, ...] | None = field(default=None)
    """Everything after the transformer, in order; None: the folder has no `modules.json`."""

    def tokenizer(self) -> str:
        """The tokenizer's JSON, with lower case where `do_lower_case` asks for it.

        Raises:
            ModelFailure: it cannot be read.
        """
        place = self.path / TOKENIZER
        try:
            text = place.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ModelFailure(f"{place} cannot be read ({error})") from None
        return _lowercase(text, place) if self.sentence.get("do_lower_case") else text


def read_folder(path: Path) -> EncoderFolder:
    """Read the files of the folder `path`.

    Source: sentence-transformers 6.2, `Transformer`, `modules.json`.

    Raises:
        ModelFailure: a file is damaged, or asks for what Headway does not do.
    """
    whole = read_object(path / "config.json")
    sentence = next(filter(None, (read_object(path / name) for name in _SENTENCE_CONFIGS)), {})
    described = read_object(path / "config_sentence_transformers.json")
    model_type = described.get("model_type", _MODEL_TYPES[0])
    if model_type not in _MODEL_TYPES:
        raise ModelFailure(f"{path} is a {model_type}; Headway serves {' and '.join(_MODEL_TYPES)}")
    _check_sentence(path, sentence)
    nested = whole.get("text_config")
    return EncoderFolder(
        path=path,
        config=whole | nested if isinstance(nested, dict) else whole,
        tokenizer_config=read_object(path / "tokenizer_config.json"),
        sentence=sentence,
        described=described,
        modules=_modules(path),
    )


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no file.

    Raises:
        ModelFailure: it is damaged, or no object.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFailure(f"{path} is damaged ({error})") from None
    if not isinstance(found, dict):
        raise ModelFailure(f"{path} is damaged (it is no object)")
    return found


def must_know(config: Mapping[str, Any], known: set[str], place: Path) -> None:
    """Nothing, if all keys of `config` are in `known`. Raises ModelFailure."""
    unknown = sorted(config.keys() - known)
    if unknown:
        raise ModelFailure(
            f"{place} has {', '.join(unknown)}, which Headway does not know; export the model with "
            "its pooling, so that the graph returns sentence_embedding"
        )


def _modules(path: Path) -> tuple[Module, ...] | None:
    place = path / "modules.json"
    if not place.is_file():
        return None
    try:
        listed = sorted(json.loads(place.read_text(encoding="utf-8")), key=lambda one: one["idx"])
        entries = [(str(one["type"]), path / str(one["path"])) for one in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFailure(f"{place} is damaged ({error!r})") from None
    for kind, _ in entries:
        if not kind.startswith(_LIBRARY):
            raise ModelFailure(f"{place} has a module {kind}, whose code Headway does not run")
    modules = [
        Module(kind.rpartition(".")[2], read_object(of / "config.json"), of) for kind, of in entries
    ]
    if not modules or modules[0].kind != "Transformer":
        first = modules[0].kind if modules else "nothing"
        raise ModelFailure(f"{place} begins with {first}; Headway serves models that begin with a "
                           "Transformer")  # fmt: skip
    if entries[0][1].resolve() != path.resolve():
        raise ModelFailure(
            f"{place} keeps its transformer in {entries[0][1].name}; save the model again with a "
            "recent sentence-transformers, which writes it beside that file"
        )
    return tuple(modules[1:])


_SENTENCE_KEYS = {
    "do_lower_case", "max_seq_length", "modality_config", "module_output_name",
    "processing_kwargs", "transformer_task", "unpad_inputs",
}  # fmt: skip
_IGNORED = {
    "model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args",
    "config_kwargs", "backend",
}  # fmt: skip
"""How torch loads the model: an exported graph has that behind it."""
_TASKS = ("feature-extraction", "sequence-classification")
_OUTPUTS = ("last_hidden_state", "logits")


def _check_sentence(path: Path, sentence: Mapping[str, Any]) -> None:
    """Nothing, if texts are prepared as Headway does. Raises ModelFailure."""
    place = path / "sentence_bert_config.json"
    for key in sorted(sentence.keys() - _SENTENCE_KEYS - _IGNORED):
        if sentence[key] not in (None, False):
            raise ModelFailure(f"{place} has {key} {sentence[key]!r}, which Headway does not know")
    task = sentence.get("transformer_task", _TASKS[0])
    if task not in _TASKS:
        raise ModelFailure(f"{place} has the task {task}; Headway serves {' and '.join(_TASKS)}")
    modalities = sentence.get("modality_config")
    if modalities is not None:
        text = modalities.get("text") if isinstance(modalities, dict) else None
        output = text.get("method_output_name", _OUTPUTS[0]) if isinstance(text, dict) else None
        if output not in _OUTPUTS:
            raise ModelFailure(
                f"{place} prepares texts in another way than by a tokenizer and a forward pass "
                f"(modality_config {modalities!r})"
            )
    options = sentence.get("processing_kwargs") or {}
    for kind, of_kind in options.items() if isinstance(options, dict) else ():
        if kind in ("text", "common"):
            must_prepare_plainly(of_kind, place)


def must_prepare_plainly(options: Mapping[str, Any], place: Path) -> None:
    """Nothing, if a tokenizer's `options` are the usual ones. Raises ModelFailure."""
    usual = {
        "padding": (True, "longest"),
        "truncation": (True, "longest_first"),
        "return_tensors": ("pt", "np"),
        "add_special_tokens": (True,),
    }
    for name, value in options.items():
        if name != "max_length" and value not in usual.get(name, ()):
            raise ModelFailure(f"{place} asks for {name} {value!r}, which Headway does not do")


def _lowercase(text: str, place: Path) -> str:
    """The tokenizer in `text`, which lowers the case of what it reads."""
    try:
        tokenizer = json.loads(text)
        before = tokenizer.get("normalizer")
        if not _lowers(before):
            parts = before["normalizers"] if _is_sequence(before) else [before] if before else []
            tokenizer["normalizer"] = {
                "type": "Sequence",
                "normalizers": [{"type": "Lowercase"}, *parts],
            }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelFailure(f"{place} is damaged ({error!r})") from None
    return json.dumps(tokenizer, ensure_ascii=False)


def _is_sequence(normalizer: Any) -> bool:
    return isinstance(normalizer, dict) and normalizer.get("type") == "Sequence"


def _lowers(normalizer: Any) -> bool:
    if _is_sequence(normalizer):
        return any(map(_lowers, normalizer["normalizers"]))
    return isinstance(normalizer, dict) and (
        normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase"))
    )
