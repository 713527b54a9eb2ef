"""An encoder's scores, and their blend with the stack's."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.prediction.conftest import examples
from tokenizers import Tokenizer, models, pre_tokenizers

from headway.prediction.learning.evaluation import evaluate
from headway.prediction.learning.training import train
from headway.prediction.models.artefact import ArtefactError, load, save
from headway.prediction.models.calibration import Calibration
from headway.prediction.models.encoded import EncodedStack
from headway.prediction.models.encoder import MOST_TOKENS, Encoder, excerpt, padded
from headway.prediction.models.predictor import Card, Predictor
from headway.prediction.texts.prompt import Prompt


def mean_id_encoder() -> Encoder:
    """Its score is the mean id of a text's words, which are their numbers."""
    words = {str(number): number for number in range(100)} | {"?": 100}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    nodes = [
        helper.make_node("Mul", ["ids", "mask"], ["there"]),
        helper.make_node("Cast", ["there"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["mask"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["values", "axis"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["counts", "axis"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["scores"]),
    ]
    shape = ["texts", "tokens"]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("ids", "mask")],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["texts"])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return Encoder(model.SerializeToString(), tokenizer.to_str().encode())


def test_scores_do_not_depend_on_the_batch() -> None:
    encoder = mean_id_encoder()
    texts = [f"{n} {n + 2} " * (n % 7 + 1) for n in range(90)]
    assert encoder.scores(texts) == pytest.approx(np.arange(90) + 1.0)
    assert encoder.scores(texts[5:6]) == pytest.approx([6.0])
    assert len(encoder.scores([])) == 0


def test_a_long_text_is_read_at_both_ends_and_no_text_is_refused() -> None:
    long = "a" * 5000 + "b" * 5000
    assert excerpt(long).startswith("aaa")
    assert excerpt(long).endswith("bbb")
    encoder = mean_id_encoder()
    assert np.isfinite(encoder.scores([long, "7 " * 10_000, "\ud800", "…"])).all()
    tokens, mask = padded([[1, 2, 3], [4]])
    assert (tokens.tolist(), mask.tolist()) == ([[1, 2, 3], [4, 0, 0]], [[1, 1, 1], [1, 0, 0]])
    assert tokens.shape[1] <= MOST_TOKENS


def test_blend_and_file(predictor, tmp_path: Path) -> None:
    source = examples(200, seed=3)
    prompts = [Prompt(f"{n % 90} {p.text}") for n, p in enumerate(source.prompts)]
    of_stack = predictor.model.scores(prompts)
    encoder = mean_id_encoder()
    of_encoder = encoder.scores([prompt.text for prompt in prompts])
    targets = 0.5 * of_stack + 0.05 * of_encoder + 3.0
    # Often enough that the weights are those of the targets.
    model, scores = EncodedStack.fit(
        predictor.model, encoder, np.tile(of_stack, 20), 20 * prompts, np.tile(targets, 20)
    )
    scores = scores[: len(prompts)]
    assert scores == pytest.approx(targets, abs=0.05)
    assert model.scores(prompts) == pytest.approx(scores, abs=0.01)
    card = Card(target="m", data=(), examples=200, trained_unix_s=0.0, kendall_tau=1.0)
    path = tmp_path / "encoded.npz"
    save(Predictor(model, Calibration.fit(scores, 2.0**targets), card), path)
    assert load(path).model.scores(prompts[:9]) == pytest.approx(scores[:9], abs=0.05)


def test_a_damaged_encoder_is_named(predictor, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="encoder cannot be used"):
        Encoder(b"not an onnx file", b"{}")
    encoder = mean_id_encoder()
    encoder._files = (b"broken", encoder._files[1])
    model = EncodedStack(predictor.model, encoder, np.ones(3, np.float32))
    save(Predictor(model, predictor.calibration, predictor.card), tmp_path / "e.npz")
    with pytest.raises(ArtefactError, match="encoder cannot be used"):
        load(tmp_path / "e.npz")


def test_the_interval_covers_with_few_held_back_prompts() -> None:
    """The encoder here says nothing; 80 of 400 prompts are all that it was not trained on."""
    predictor = train("m", [examples(400)], encoder=mean_id_encoder())
    found = evaluate(predictor, examples(400, seed=1))
    assert found.coverage_80 == pytest.approx(0.8, abs=0.06)
    assert found.kendall_tau > 0.7
