"""Make `scorers.tar.xz`: tiny classifiers and models of pairs, and what others answer for them.

As `make_corpus`: `python -m tests.models.encoder.make_scorers`. Scores of pairs are those of
sentence-transformers' CrossEncoder, those of single texts those of transformers' pipeline.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.models.encoder.make_corpus import TEXTS, export, packed
from tests.models.encoder.networks import LONGEST, network, tokenizer

PLACE = Path(__file__).with_name("scorers.tar.xz")
QUERIES = ("a cat", "the dog sat on the mat and the cat sat on the dog and so on")


@dataclass
class Scorer:
    """One folder."""

    name: str
    model: str
    classes: int = 1
    problem: str | None = None
    activation: str = ""
    """Of a CrossEncoder, by its name in torch."""
    types: bool = False
    """Whether its tokenizer says which text of a pair a token is of."""


SCORERS = (
    Scorer("bert-pairs", "bert", types=True),
    Scorer("bert-pairs-without-types", "bert"),
    Scorer("bert-pairs-plain", "bert", activation="Identity", types=True),
    Scorer("roberta-pairs", "roberta"),
    Scorer("roberta-pairs-plain", "roberta", activation="Identity"),
    Scorer("bert-classes", "bert", 3),
    Scorer("bert-labels", "bert", 3, "multi_label_classification"),
    Scorer("bert-numbers", "bert", 3, "regression"),
    Scorer("bert-number", "bert", 1, "regression"),
    Scorer("distilbert-classes", "distilbert", 12, "single_label_classification"),
)


def main() -> None:
    import torch

    with tempfile.TemporaryDirectory() as root:
        for one in SCORERS:
            torch.manual_seed(len(one.name))
            make(one, Path(root) / one.name)
            print(one.name, flush=True)
        PLACE.write_bytes(packed(Path(root)))


def make(one: Scorer, place: Path) -> None:
    """Write the folder and what others answer."""
    import transformers
    from sentence_transformers import CrossEncoder
    from torch import nn

    model, words = network(one.model, one.classes), tokenizer(one.model)
    if one.types:
        words.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    words.model_max_length = LONGEST
    if one.classes > 1:
        model.config.id2label = {n: f"label {n}" for n in range(one.classes)}
        model.config.label2id = {f"label {n}": n for n in range(one.classes)}
    model.config.problem_type = one.problem
    model.save_pretrained(place)
    words.save_pretrained(place)
    if one.classes == 1 and one.problem is None:
        encoder = CrossEncoder(str(place), device="cpu")
        if one.activation:
            encoder = CrossEncoder(
                str(place), device="cpu", activation_fn=getattr(nn, one.activation)()
            )
        encoder.save_pretrained(str(place), create_model_card=False)
        model = encoder[0].model
        expected: Any = [
            [encoder.predict([(query, text)]).tolist()[0] for text in TEXTS] for query in QUERIES
        ]
    else:
        pipe = transformers.pipeline(
            "text-classification", model=model, tokenizer=words, device="cpu"
        )
        expected = [pipe(text, top_k=None, truncation=True) for text in TEXTS]
    (place / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    write_graph(one, model, place / "model.onnx")
    (place / "model.safetensors").unlink()


def write_graph(one: Scorer, model: Any, place: Path) -> None:
    """The ONNX graph from tokens to logits."""
    import torch
    from torch import nn

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.inner(input_ids=input_ids, attention_mask=attention_mask, **types).logits

    ids = torch.randint(4, 12, (2, 7))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if one.model == "bert":
        given["token_type_ids"] = torch.zeros_like(ids)
    export(Logits(), given, ["logits"], place)


if __name__ == "__main__":
    main()
