"""Make `minilm_reference.json`: what the model's authors' own code answers.

With torch and transformers: `python tests/models/runners/make_minilm_reference.py`. Mean of the
last hidden states over the tokens that are none of the padding, at unit length, as the model's
card says; all texts in one padded batch.
"""

from __future__ import annotations

import json
from pathlib import Path

TEXTS = (
    "hello world",
    "A man is eating food.",
    "Reranking orders the documents that a first search has found by how well they fit.",
    "Die Katze schläft auf dem Sofa, während es draußen regnet.",
    "x",
    "word " * 250 + "and so it goes on for longer than the model reads",
)
PLACE = Path(__file__).with_name("minilm_reference.json")


def main() -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from headway.models.minilm import fetched

    tokenizer = AutoTokenizer.from_pretrained(fetched())
    model = AutoModel.from_pretrained(fetched()).eval()
    batch = tokenizer(
        list(TEXTS), padding=True, truncation=True, max_length=256, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = model(**batch).last_hidden_state
    weights = batch["attention_mask"][:, :, None].to(hidden.dtype)
    vectors = torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)
    rows = [[round(value, 6) for value in vector] for vector in vectors.tolist()]
    text = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    PLACE.write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
