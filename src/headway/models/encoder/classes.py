"""Labels and activation of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.models.encoder.folder import EncoderFolder
from headway.models.signature import Activation, ModelFailure

_BY_PROBLEM: Mapping[str, Activation] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "none",
}
_BY_CLASS: Mapping[str, Activation] = {
    "torch.nn.modules.linear.Identity": "none",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.Softmax": "softmax",
}


def labels_of(folder: EncoderFolder, width: int | None) -> tuple[str, ...]:
    """The labels of the model in `folder`, in the order of its scores.

    Raises:
        ModelFailure: they are not numbered from 0 on, or not as many as there are scores.
    """
    place = folder.path / "config.json"
    by_number: dict[Any, Any] = dict(folder.config.get("id2label") or {})
    if not by_number:
        by_number = {n: name for name, n in (folder.config.get("label2id") or {}).items()}
    try:
        numbered = {int(number): str(name) for number, name in by_number.items()}
    except (TypeError, ValueError):
        raise ModelFailure(f"{place} has an id2label whose keys are no numbers") from None
    if not numbered:
        return tuple(f"LABEL_{n}" for n in range(width or 0))
    if sorted(numbered) != list(range(len(numbered))):
        raise ModelFailure(f"{place} has labels that are not numbered from 0 on")
    if width is not None and len(numbered) != width:
        raise ModelFailure(f"{place} has {len(numbered)} labels, and the graph has {width} scores")
    return tuple(numbered[n] for n in range(len(numbered)))


def activation_of(folder: EncoderFolder, count: int) -> Activation:
    """What makes scores of the logits of `count` labels.

    `problem_type` says it, or sentence-transformers' own entry; else one label has a sigmoid, and
    several share 1.

    Raises:
        ModelFailure: it is one that Headway does not know.
    """
    problem = folder.config.get("problem_type")
    named = folder.described.get("activation_fn") or (
        (folder.config.get("sentence_transformers") or {}).get("activation_fn")
        or folder.config.get("sbert_ce_default_activation_function")
    )
    if named is not None:
        if named not in _BY_CLASS:
            raise ModelFailure(
                f"{folder.path} has the activation {named}; Headway knows {', '.join(_BY_CLASS)}"
            )
        # Of several labels, Identity is only what a CrossEncoder writes where nothing is said.
        if count == 1 or _BY_CLASS[named] != "none":
            return _BY_CLASS[named]
    if problem is not None:
        if problem not in _BY_PROBLEM:
            raise ModelFailure(
                f"{folder.path / 'config.json'} has problem_type {problem!r}; Headway knows "
                f"{', '.join(_BY_PROBLEM)}"
            )
        return _BY_PROBLEM[problem] if count > 1 or problem == "regression" else "sigmoid"
    return "sigmoid" if count == 1 else "softmax"
