"""How long a text may be."""

from __future__ import annotations

import json
from typing import Any

from headway.models.encoder.folder import EncoderFolder

OFFSET_BY_PADDING = frozenset({
    "bertweet", "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer",
    "luke", "markuplm", "mluke", "mpnet", "roberta", "roberta-prelayernorm", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
})  # fmt: skip
"""Types of models whose first position is that behind the padding token's id, as in fairseq."""
_RELATIVE = frozenset({"mt5", "t5", "umt5"})
"""`n_positions` is no limit here."""


def position_offset(folder: EncoderFolder) -> int:
    """The position of the first token."""
    if folder.config.get("model_type") not in OFFSET_BY_PADDING:
        return 0
    padding = folder.config.get("pad_token_id", 1)
    return int(padding) + 1 if isinstance(padding, int) else 2


def longest_text(folder: EncoderFolder, tokenizer: str) -> int | None:
    """Tokens of the longest text that the model in `folder` takes; None: it does not say.

    `max_seq_length` stands above what the tokenizer says, as in sentence-transformers; the
    positions that the model has bound both.

    Args:
        folder: the files.
        tokenizer: its tokenizer's JSON.
    """
    options = folder.sentence.get("processing_kwargs") or {}
    own = [
        _number(folder.sentence.get("max_seq_length")),
        *(_number((options.get(kind) or {}).get("max_length")) for kind in ("text", "common")),
    ]
    if not any(own):
        truncation = json.loads(tokenizer).get("truncation") or {}
        own = [
            _number(folder.tokenizer_config.get("model_max_length")),
            _number(truncation.get("max_length")),
        ]
    positions = _number(folder.config.get("max_position_embeddings"))
    if positions is None and folder.config.get("model_type") not in _RELATIVE:
        positions = _number(folder.config.get("n_positions"))
    if positions is not None:
        positions = max(1, positions - position_offset(folder))
    return min((limit for limit in (*own, positions) if limit is not None), default=None)


_NO_LIMIT = 1_000_000_000
"""transformers writes 10³⁰ where a tokenizer has no limit."""


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _NO_LIMIT:
        return None
    return int(value)
