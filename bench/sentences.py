"""Real texts of mixed length: prompts of the sets in `$HEADWAY_DATA/text`."""

from __future__ import annotations

import numpy as np
from tokenizers import Tokenizer

from headway.lab.loadtest.prompts import load_prompts
from real_sizes import data

SETS = ("alpaca_eval", "flask", "just_eval", "arena_hard_v0.1", "zeroeval_gsm")
SHORTEST, LONGEST = 8, 256
"""Tokens, the special ones included."""


def sentences(tokenizer: Tokenizer, count: int, seed: int) -> list[str]:
    """So many texts in random order, their lengths log-uniform over SHORTEST to LONGEST.

    For each length that is drawn, one of the texts whose length is nearest.
    """
    texts = sorted({prompt.text for name in SETS for prompt in load_prompts(name, data())})
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lengths = np.array([len(encoding) for encoding in tokenizer.encode_batch_fast(texts)])
    usable = np.flatnonzero((lengths >= SHORTEST) & (lengths <= LONGEST))
    rng = np.random.default_rng(seed)
    chosen = []
    for wanted in np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST), count)):
        distance = np.abs(lengths[usable] - wanted)
        nearest = usable[distance == distance.min()]
        chosen.append(texts[rng.choice(nearest)])
    return chosen
