"""The tokens that a model expects around a text."""

from __future__ import annotations

from typing import Any

from headway.models.encoder.folder import EncoderFolder
from headway.models.signature import ModelFailure


def check_special_tokens(folder: EncoderFolder, tokenizer: str) -> None:
    """Nothing, if the tokenizer adds what `tokenizer_config.json` says that it adds.

    transformers adds `add_bos_token` and `add_eos_token` itself when it loads some tokenizers, and
    `tokenizer.json` knows nothing of it: the last token would be another one.

    Args:
        folder: the files.
        tokenizer: the tokenizer's JSON.

    Raises:
        ModelFailure: it does not add them.
    """
    asked = [end for end in ("bos", "eos") if folder.tokenizer_config.get(f"add_{end}_token")]
    if not asked:
        return
    from tokenizers import Tokenizer

    made: Any = Tokenizer.from_str(tokenizer)
    made.no_truncation()
    made.no_padding()
    ids = made.encode("a").ids
    for end in asked:
        named = folder.tokenizer_config.get(f"{end}_token")
        token = named.get("content") if isinstance(named, dict) else named
        expected = None if token is None else made.token_to_id(token)
        if expected is not None and (not ids or ids[0 if end == "bos" else -1] != expected):
            raise ModelFailure(
                f"{folder.path} asks for {token} around texts, and its tokenizer.json does not add "
                "it; load the tokenizer with transformers and save it again"
            )
