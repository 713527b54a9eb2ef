"""What is written before texts."""

from __future__ import annotations

from headway.models.encoder.folder import EncoderFolder
from headway.models.encoder.pooling import Pooling
from headway.models.signature import ModelFailure, Prompts, Similarity

_SIMILARITIES: dict[str, Similarity] = {
    "cosine": "cosine",
    "dot": "dot",
    "dot_product": "dot",
    "euclidean": "euclidean",
    "manhattan": "manhattan",
}


def prompts_of(folder: EncoderFolder, pooling: Pooling) -> Prompts:
    """The prompts of the model in `folder`.

    Raises:
        ModelFailure: they are no texts, or its default is none of them.
    """
    place = folder.path / "config_sentence_transformers.json"
    given = folder.described.get("prompts") or {}
    texts = {str(name): text or "" for name, text in given.items()}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ModelFailure(f"{place} has prompts that are no texts")
    default = folder.described.get("default_prompt_name")
    if default is not None and default not in texts:
        raise ModelFailure(f"{place} has the default prompt {default!r} and no prompt of that name")
    return Prompts(texts, default, pooling.include_prompt)


def similarity_of(folder: EncoderFolder) -> Similarity:
    """How vectors of the model in `folder` are compared.

    Raises:
        ModelFailure: in a way that Headway does not know.
    """
    named = folder.described.get("similarity_fn_name") or "cosine"
    if named not in _SIMILARITIES:
        raise ModelFailure(
            f"{folder.path} compares vectors by {named!r}; Headway knows {', '.join(_SIMILARITIES)}"
        )
    return _SIMILARITIES[named]
