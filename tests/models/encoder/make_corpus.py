"""Make `corpus.tar.xz`: tiny encoders as sentence-transformers and exporters write them today.

With torch, transformers, sentence-transformers, onnx, onnxscript and onnxruntime:
`python -m tests.models.encoder.make_corpus`. Weights are random. In each folder `expected.json` has
what sentence-transformers itself answers: each text of `TEXTS` alone, and for a graph of integers,
whose rounding depends on its batch, all of them in one batch as well.
"""

from __future__ import annotations

import gc
import io
import json
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.models.encoder.networks import LONGEST, network, tokenizer

PLACE = Path(__file__).with_name("corpus.tar.xz")
TEXTS = (
    "a cat",
    "The cat is an animal, and so are you.",
    "a",
    "no word of this is known: zebra Ähre 12",
    "the dog sat on the mat and the cat sat on the dog and so on and so on and so on " * 3,
)
"""The last is longer than any of these models takes."""
PROMPTS = {"query": "the word: ", "document": "a mat: ", "classification": ""}


@dataclass
class Folder:
    """One folder of the corpus."""

    name: str
    model: str
    """A type of transformers."""
    pooling: Any = "mean"
    include_prompt: bool = True
    dense: str = ""
    """The activation of a Dense layer after the pooling."""
    residual: bool = False
    layer_norm: bool = False
    normalize: bool = True
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    old: bool = False
    """As sentence-transformers before 5.4 wrote it."""
    numbers: str = "fp32"
    """fp32, fp16 or int8."""
    weights_only: bool = False
    """Without a graph."""
    pooled_graph: bool = False
    """The graph returns sentence_embedding, as exporters of sentence-transformers make it."""


MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
FOLDERS = (
    *(Folder(f"bert-{mode}", "bert", mode) for mode in MODES),
    *(Folder(f"bert-{mode}-old", "bert", mode, old=True, normalize=False) for mode in MODES),
    Folder("bert-three-modes", "bert", ("cls", "max", "mean")),
    Folder("bert-weights", "bert", "weightedmean", weights_only=True),
    Folder("bert-weights-dense", "bert", "cls", dense="Tanh", weights_only=True, old=True),
    Folder("bert-dense", "bert", "cls", dense="Tanh"),
    Folder("bert-dense-plain", "bert", dense="Identity", normalize=False),
    Folder("bert-dense-gelu", "bert", dense="GELU", residual=True),
    Folder("bert-layer-norm", "bert", layer_norm=True, normalize=False),
    Folder("bert-prompts", "bert", prompts=PROMPTS, default_prompt="document"),
    Folder("bert-prompts-uncounted", "bert", "mean", include_prompt=False, prompts=PROMPTS,
           default_prompt="query"),
    Folder("bert-cls-uncounted", "bert", ("cls", "weightedmean"), include_prompt=False,
           prompts=PROMPTS, default_prompt="query"),
    Folder("bert-fp16", "bert", numbers="fp16"),
    Folder("bert-int8", "bert", numbers="int8"),
    Folder("bert-pooled", "bert", dense="Tanh", pooled_graph=True),
    Folder("distilbert", "distilbert", prompts=PROMPTS),
    Folder("distilbert-int8", "distilbert", "cls", numbers="int8", normalize=False),
    Folder("roberta", "roberta"),
    Folder("roberta-fp16", "roberta", "max", numbers="fp16"),
    Folder("xlm-roberta", "xlm-roberta", "cls", prompts=PROMPTS, default_prompt="query"),
    Folder("xlm-roberta-dense", "xlm-roberta", dense="Sigmoid", old=True),
    Folder("camembert", "camembert", "mean_sqrt_len_tokens"),
    Folder("mpnet", "mpnet"),
    Folder("mpnet-dense", "mpnet", "lasttoken", dense="ReLU"),
    Folder("albert", "albert"),
    Folder("electra", "electra", "max"),
    Folder("deberta-v2", "deberta-v2"),
    Folder("modernbert", "modernbert", "cls"),
    Folder("modernbert-fp16", "modernbert", "mean", numbers="fp16"),
    Folder("qwen3-last", "qwen3", "lasttoken", prompts=PROMPTS, default_prompt="query"),
    Folder("qwen3-fp16", "qwen3", "lasttoken", numbers="fp16"),
)  # fmt: skip


def main() -> None:
    import torch

    names = set(sys.argv[1:])
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for one in FOLDERS:
            if names and one.name not in names:
                continue
            torch.manual_seed(len(one.name))
            make(one, root / "corpus" / one.name, root / "graphs")
            print(one.name, flush=True)
            gc.collect()
        PLACE.write_bytes(packed(root / "corpus"))


def packed(corpus: Path) -> bytes:
    """`corpus` as an archive that is the same for the same files."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:xz", preset=9) as archive:
        # Files of the same name are alike: side by side they take less room.
        for file in sorted(corpus.rglob("*"), key=lambda file: (file.name, file)):
            if file.is_file():
                entry = tarfile.TarInfo(str(file.relative_to(corpus)))
                entry.size = file.stat().st_size
                archive.addfile(entry, io.BytesIO(file.read_bytes()))
    return into.getvalue()


# ---- one folder ----------------------------------------------------------------------------------


def make(one: Folder, place: Path, graphs: Path) -> None:
    """Write the folder and what sentence-transformers answers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, LayerNorm, Normalize, Pooling, Transformer
    from torch import nn

    bare = graphs / one.model
    if not bare.exists():
        network(one.model).save_pretrained(bare)
        tokenizer(one.model).save_pretrained(bare)
    first = Transformer(str(bare))
    width = first.get_embedding_dimension()
    modules: list[Any] = [first, Pooling(width, one.pooling, include_prompt=one.include_prompt)]
    width *= 1 if isinstance(one.pooling, str) else len(one.pooling)
    if one.dense:
        activation = getattr(nn, one.dense)()
        out = width if one.residual else 6
        modules.append(Dense(width, out, activation_function=activation, use_residual=one.residual))
    if one.layer_norm:
        norm = LayerNorm(width)
        nn.init.normal_(norm.norm.weight)
        nn.init.normal_(norm.norm.bias)
        modules.append(norm)
    modules += [Normalize()] if one.normalize else []
    model = SentenceTransformer(
        modules=modules,
        prompts=one.prompts,
        default_prompt_name=one.default_prompt,
        device="cpu",
    )
    model.save_pretrained(str(place), create_model_card=False)
    # Of positions that begin behind the padding's, sentence-transformers counts two too many.
    model.max_seq_length = LONGEST
    graph = place / "onnx" / "model.onnx"
    if not one.weights_only:
        graph.parent.mkdir()
        known = graphs / f"{one.model}-{one.numbers}-{one.dense if one.pooled_graph else ''}.onnx"
        if not known.exists():
            write_graph(one, model, known)
        shutil.copy(known, graph)
        (place / "model.safetensors").unlink()
    if one.old:
        spell_as_before(place, one)
    else:
        again = SentenceTransformer(str(bare), device="cpu")  # it can be read as it is written
        del again
    rows = {name: answered(one, model, graph, name) for name in (None, *one.prompts)}
    expected: dict[str, Any] = {
        str(name or ""): alone.tolist() for name, (alone, _) in rows.items()
    }
    if one.numbers == "int8":
        expected["batch"] = rows[None][1].tolist()
    (place / "expected.json").write_text(
        json.dumps({"numbers": one.numbers, "vectors": expected}), encoding="utf-8"
    )


def answered(
    one: Folder, model: Any, graph: Path, prompt: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of all texts: each alone, and in one batch."""
    if one.numbers == "int8":
        run_graph_instead(model, graph)
    texts = list(TEXTS)
    alone = [model.encode(text, prompt_name=prompt) for text in texts]
    return np.stack(alone), model.encode(texts, prompt_name=prompt, batch_size=len(texts))


def run_graph_instead(model: Any, graph: Path) -> None:
    """The graph takes the transformer's place; everything else stays sentence-transformers'."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(graph), options)
    names = [of.name for of in session.get_inputs()]

    def forward(features: dict[str, Any], **_: Any) -> dict[str, Any]:
        zeros = torch.zeros_like(features["input_ids"])
        feed = {name: features.get(name, zeros).numpy() for name in names}
        (found,) = session.run(None, feed)
        features["token_embeddings"] = torch.from_numpy(found)
        return features

    model[0].forward = forward


def spell_as_before(place: Path, one: Folder) -> None:
    """The files as sentence-transformers 2 to 5.3 wrote them."""
    modules = json.loads((place / "modules.json").read_text())
    for entry in modules:
        entry["type"] = f"sentence_transformers.models.{entry['type'].rpartition('.')[2]}"
    (place / "modules.json").write_text(json.dumps(modules))
    of = json.loads((place / "1_Pooling" / "config.json").read_text())
    spelled = {
        "cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens",
        "mean_sqrt_len_tokens": "mean_sqrt_len_tokens", "weightedmean": "weightedmean_tokens",
        "lasttoken": "lasttoken",
    }  # fmt: skip
    flags = {f"pooling_mode_{key}": mode == one.pooling for mode, key in spelled.items()}
    old = {"word_embedding_dimension": of["embedding_dimension"], **flags, "include_prompt": True}
    (place / "1_Pooling" / "config.json").write_text(json.dumps(old))
    (place / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": LONGEST, "do_lower_case": False})
    )


# ---- graphs -------------------------------------------------------------------------------------


def write_graph(one: Folder, model: Any, place: Path) -> None:
    """The ONNX graph of the transformer, or with `pooled_graph` of all modules."""
    import torch
    from torch import nn

    transformer = model[0].model
    if one.numbers == "fp16":
        transformer = transformer.half()

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = transformer

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            found = self.inner(input_ids=input_ids, attention_mask=attention_mask, **types)
            hidden = found.last_hidden_state
            if not one.pooled_graph:
                return hidden
            features = {"token_embeddings": hidden, "attention_mask": attention_mask}
            for module in list(model)[1:]:
                features = module(features)
            return hidden, features["sentence_embedding"]

    ids = torch.randint(4, 12, (2, 7))
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    given["attention_mask"][1, 5:] = 0
    if one.model in ("bert", "electra", "albert"):
        given["token_type_ids"] = torch.zeros_like(ids)
    outputs = (
        ["token_embeddings", "sentence_embedding"] if one.pooled_graph else ["last_hidden_state"]
    )
    export(Tokens(), given, outputs, place)
    if one.numbers == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(place, place, weight_type=QuantType.QInt8)
    if one.numbers == "fp16":
        transformer.float()


def export(module: Any, given: dict[str, Any], outputs: list[str], place: Path) -> None:
    """Write the graph of `module`, of any number of texts and tokens."""
    import onnx
    import torch

    batch, tokens = torch.export.Dim("batch_size"), torch.export.Dim("sequence_length", max=24)
    program = torch.onnx.export(
        module.eval(),
        (),
        kwargs=given,
        input_names=list(given),
        output_names=outputs,
        dynamic_shapes={name: {0: batch, 1: tokens} for name in given},
        dynamo=True,
        verbose=False,
    )
    graph = program.model_proto
    for node in graph.graph.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    graph.graph.ClearField("value_info")
    onnx.save(graph, place)


if __name__ == "__main__":
    main()
