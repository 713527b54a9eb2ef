"""What the files of an encoder's folder say is done, or the model is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.encoder.folders import TABLE, WIDTH, loaded, modules
from tests.models.graphs import tokenizer

from headway.models.signature import BadItem, ModelFailure, Prompts
from headway.models.tokens import Tokens

IDS = [np.array(ids, np.int32) for ids in ([2, 4, 5, 3], [2, 6, 3], [2, 4, 5, 6, 7, 8, 3])]
MEAN = {"pooling_mode": "mean", "embedding_dimension": WIDTH}
DENSE = {"in_features": WIDTH, "out_features": 2, "bias": True}
WEIGHTS = {
    "linear.weight": np.arange(8, dtype=np.float32).reshape(2, 4) / 8,
    "linear.bias": np.array([0.5, -1], np.float32),
}


def means() -> np.ndarray:
    return np.stack([TABLE[ids].mean(0) for ids in IDS])


# ---- pooling and what follows it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling_mode": "attention"}, "pools by 'attention'.*there are cls, max, mean"),
        ({"pooling_mode": ["mean", "median"]}, "pools by 'median'"),
        ({"pooling_mode": []}, "pools by 'none'"),
        ({"pooling_mode_median_tokens": True}, "has pooling_mode_median_tokens, which Headway"),
        ({"pooling_mode": "mean", "temperature": 2}, "has temperature, which Headway"),
        ({"pooling_mode": "mean", "embedding_dimension": 5}, "vectors of 5 numbers, and its graph"),
    ],
)
@pytest.mark.parametrize("listed", [True, False], ids=["modules.json", "no modules.json"])
def test_a_pooling_that_is_not_known_is_refused(
    tmp_path: Path, config: dict[str, Any], message: str, listed: bool
) -> None:
    files = {"1_Pooling/config.json": config} | (
        {"modules.json": modules("Pooling")} if listed else {}
    )
    with pytest.raises(ModelFailure, match=message):
        loaded(tmp_path / "m", files)


def test_vectors_are_normalized_where_the_modules_say_so_or_nothing(tmp_path: Path) -> None:
    pooling = {"1_Pooling/config.json": MEAN}
    unit = means() / np.linalg.norm(means(), axis=1, keepdims=True)
    for name, files, expected in (
        ("plain", {"modules.json": modules("Pooling"), **pooling}, means()),
        ("dropout", {"modules.json": modules("Pooling", "Dropout"), **pooling}, means()),
        ("normalized", {"modules.json": modules("Pooling", "Normalize"), **pooling}, unit),
        ("nothing said", pooling, unit),
        ("nothing there", {}, unit),
    ):
        np.testing.assert_allclose(loaded(tmp_path / name, files).run(IDS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("entries", "extra", "message"),
    [
        (modules("Pooling", "CNN"), {}, "has a module CNN, which Headway does not know"),
        (modules("Pooling", "my_model.Gate"), {}, "has a module my_model.Gate, whose code"),
        (modules("WordWeights", "Pooling"), {}, "has Transformer, WordWeights, Pooling; Headway"),
        (modules("Normalize"), {}, "has Transformer, Normalize; Headway serves"),
        (modules("Pooling", "Pooling"), {}, "has Transformer, Pooling, Pooling"),
        (modules("Pooling")[1:], {}, "begins with Pooling"),
        ([], {}, "begins with nothing"),
        ([{"idx": 0}], {}, r"modules\.json is damaged"),
        ({}, {}, "begins with nothing"),
        (modules("Pooling", "Dense"), {"2_Dense/config.json": DENSE}, "cannot be read"),
        (
            modules("Pooling", "Dense"),
            {"2_Dense/config.json": DENSE | {"activation_function": "torch.nn.Hardswish"}},
            "has the activation torch.nn.Hardswish",
        ),
        (
            modules("Pooling", "Dense"),
            {"2_Dense/config.json": DENSE | {"activation_function": "my_model.Tanh"}},
            "has the activation my_model.Tanh",
        ),
        (
            modules("Pooling", "Dense"),
            {"2_Dense/config.json": DENSE | {"module_input_name": "token_embeddings"}},
            "has module_input_name 'token_embeddings'",
        ),
        (
            modules("Pooling", "Dense"),
            {"2_Dense/config.json": DENSE, "2_Dense/model.safetensors": {"x": np.ones(2)}},
            r"lacks linear\.weight",
        ),
        (
            modules("Pooling", "Dense", "Dense"),
            {
                f"{n}_Dense/{name}": content
                for n in (2, 3)
                for name, content in (("config.json", DENSE), ("model.safetensors", WEIGHTS))
            },
            "do not fit",
        ),
    ],
)
def test_modules_that_are_not_known_are_refused(
    tmp_path: Path, entries: Any, extra: dict[str, Any], message: str
) -> None:
    files = {"modules.json": entries, "1_Pooling/config.json": MEAN, **extra}
    with pytest.raises(ModelFailure, match=message):
        loaded(tmp_path / "m", files)


def test_dense_layers_without_a_word_of_it_end_in_tanh(tmp_path: Path) -> None:
    files = {
        "modules.json": modules("Pooling", "Dense"),
        "1_Pooling/config.json": MEAN,
        "2_Dense/config.json": DENSE,
        "2_Dense/model.safetensors": WEIGHTS,
    }
    model = loaded(tmp_path / "m", files)
    assert model.signature.outputs[0].shape == (-1, 2)
    expected = np.tanh(means() @ WEIGHTS["linear.weight"].T + WEIGHTS["linear.bias"])
    np.testing.assert_allclose(model.run(IDS), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "has the task fill-mask"),
        ("sentence_bert_config.json", {"query_expansion": "mask"}, "has query_expansion 'mask'"),
        (
            "sentence_bert_config.json",
            {"modality_config": {"message": {"method": "forward"}}},
            "prepares texts in another way",
        ),
        (
            "sentence_bert_config.json",
            {"processing_kwargs": {"text": {"add_special_tokens": False}}},
            "asks for add_special_tokens False",
        ),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "is a SparseEnc"),
        ("config_sentence_transformers.json", {"prompts": {"q": 3}}, "prompts that are no texts"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "no prompt of that"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "maxsim"}, "by 'maxsim'"),
        ("tokenizer_config.json", {"add_eos_token": True, "eos_token": "cat"}, "asks for cat"),
        ("tokenizer_config.json", {"add_bos_token": True, "bos_token": {"content": "a"}}, "for a "),
        ("config.json", ["no object"], r"config\.json is damaged"),
    ],
)
def test_what_else_is_not_understood_is_refused(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    with pytest.raises(ModelFailure, match=message):
        loaded(tmp_path / "m", {name: content})


def test_the_special_tokens_that_a_tokenizer_adds_may_be_named(tmp_path: Path) -> None:
    named = {"add_bos_token": True, "bos_token": "[CLS]", "add_eos_token": True}
    loaded(tmp_path / "m", {"tokenizer_config.json": named | {"eos_token": {"content": "[SEP]"}}})


async def test_lower_case_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    model = loaded(tmp_path / "m", {"sentence_bert_config.json": {"do_lower_case": True}})
    (ids,) = await Tokens(model.signature).of_texts(["A CAT"], None)
    assert ids.tolist() == [2, 4, 5, 3]


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "truncation", "most"),
    [
        ({}, None, None),
        ({"config.json": {"max_position_embeddings": 20}}, None, 20),
        ({"config.json": {"n_positions": 20}}, None, 20),
        ({"config.json": {"n_positions": 20, "model_type": "t5"}}, None, None),
        ({"config.json": {"max_position_embeddings": -1}}, None, None),
        ({"config.json": {"text_config": {"max_position_embeddings": 20}}}, None, 20),
        ({"config.json": {"model_type": "xlm-roberta", "max_position_embeddings": 514,
                          "pad_token_id": 1}}, None, 512),
        ({"config.json": {"model_type": "mpnet", "max_position_embeddings": 514}}, None, 512),
        ({"config.json": {"model_type": "roberta", "max_position_embeddings": 514,
                          "pad_token_id": 1},
          "sentence_bert_config.json": {"max_seq_length": 514}}, None, 512),
        ({"config.json": {"max_position_embeddings": 512},
          "tokenizer_config.json": {"model_max_length": 128}}, None, 128),
        ({"config.json": {"max_position_embeddings": 512},
          "tokenizer_config.json": {"model_max_length": 1e30}}, None, 512),
        ({"tokenizer_config.json": {"model_max_length": 128}}, 64, 64),
        ({"tokenizer_config.json": {"model_max_length": 32}}, 64, 32),
        ({"sentence_bert_config.json": {"max_seq_length": 256},
          "tokenizer_config.json": {"model_max_length": 512}}, 128, 256),
        ({"sentence_bert_config.json": {"max_seq_length": None},
          "tokenizer_config.json": {"model_max_length": 512}}, None, 512),
        ({"sentence_roberta_config.json": {"max_seq_length": 99}}, None, 99),
        ({"sentence_bert_config.json": {"processing_kwargs": {"text": {"max_length": 77}}}},
         None, 77),
    ],
)  # fmt: skip
def test_a_text_may_be_as_long_as_all_files_together_let_it(
    tmp_path: Path, files: dict[str, Any], truncation: int | None, most: int | None
) -> None:
    made = tokenizer()
    made.no_truncation()
    if truncation is not None:
        made.enable_truncation(truncation)
    assert loaded(tmp_path / "m", files, made=made).signature.max_tokens == most


# ---- classifiers ---------------------------------------------------------------------------------


NAMES = {"3": "d", "0": "a", "2": "c", "1": "b"}
CLASSIFIER = {"architectures": ["BertForSequenceClassification"], "id2label": NAMES}


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        ({}, "softmax"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}},
         "sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
         "softmax"),
    ],
)  # fmt: skip
def test_a_classifier_has_labels_in_the_order_of_its_scores(
    tmp_path: Path, config: dict[str, Any], activation: str
) -> None:
    files = {"config.json": CLASSIFIER | config}
    model = loaded(tmp_path / "m", files, output="logits", summed=True)
    assert model.signature.task == "classify"
    assert model.signature.labels == ("a", "b", "c", "d")
    assert model.signature.activation == activation
    np.testing.assert_allclose(model.run(IDS[:1]), [TABLE[IDS[0]].sum(0)], atol=1e-6)


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        ({}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "none"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}},
         "sigmoid"),
    ],
)  # fmt: skip
def test_one_label_is_a_score(tmp_path: Path, config: dict[str, Any], activation: str) -> None:
    files = {"config.json": {"id2label": {"0": "LABEL_0"}, **config}}
    model = loaded(tmp_path / "m", files, output="logits", summed=True, table=TABLE[:, :1])
    assert (model.signature.task, model.signature.activation) == ("rerank", activation)


def test_pairs_with_a_default_prompt_are_refused(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "a "}, "default_prompt_name": "query"}
    files = {"config_sentence_transformers.json": prompts}
    with pytest.raises(ModelFailure, match="default prompt, which pairs of texts do not get"):
        loaded(tmp_path / "m", files, output="logits", summed=True, table=TABLE[:, :1])


def test_labels_follow_from_label2id_or_have_numbers(tmp_path: Path) -> None:
    graph: dict[str, Any] = {"output": "logits", "summed": True}
    by_name = {"config.json": {"label2id": {"d": 3, "a": 0, "c": 2, "b": 1}}}
    assert loaded(tmp_path / "m", by_name, **graph).signature.labels == ("a", "b", "c", "d")
    named = loaded(tmp_path / "n", **graph).signature.labels
    assert named == ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"problem_type": "ranking"}, "has problem_type 'ranking'"),
        ({"id2label": {"0": "a", "1": "b"}}, "has 2 labels, and the graph has 4 scores"),
        ({"id2label": {"1": "a", "2": "b", "3": "c", "4": "d"}}, "not numbered from 0 on"),
        ({"id2label": {"x": "a"}}, "whose keys are no numbers"),
        ({"sentence_transformers": {"activation_fn": "my.Act"}}, "has the activation my.Act"),
    ],
)
def test_classifiers_that_are_not_understood_are_refused(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelFailure, match=message):
        loaded(tmp_path / "m", {"config.json": config}, output="logits", summed=True)


# ---- prompts -------------------------------------------------------------------------------------


def test_prompts_are_found_by_name_and_by_purpose() -> None:
    prompts = Prompts({"query": "q: ", "passage": "p: ", "other": "o: "}, "other")
    assert [prompts.named(name) for name in (None, "query")] == ["o: ", "q: "]
    assert (prompts.of_queries, prompts.of_documents) == ("q: ", "p: ")
    with pytest.raises(BadItem, match="no prompt 'x'; it has query, passage, other"):
        prompts.named("x")
    none = Prompts()
    assert (none.named(None), none.of_queries, none.of_documents) == ("", "", "")


async def test_a_text_of_which_nothing_counts_is_the_clients_fault(tmp_path: Path) -> None:
    files = {
        "1_Pooling/config.json": MEAN | {"include_prompt": False},
        "config_sentence_transformers.json": {"prompts": {"query": "a cat is "}},
    }
    model = loaded(tmp_path / "m", files)
    tokens = Tokens(model.signature)
    (item,) = await tokens.of_texts(["an animal"], None, "a cat is ")
    assert item.tolist() == [[2, 4, 5, 6, 7, 8, 3], [0] * 7, [0, 0, 0, 0, 1, 1, 1]]
    expected = TABLE[[7, 8, 3]].mean(0)
    np.testing.assert_allclose(model.run([item])[0], expected / np.linalg.norm(expected), atol=1e-6)
    cut = item[:, :3]
    with pytest.raises(BadItem, match="nothing is left of the text behind its prompt"):
        model.run([cut])
