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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PLACE = Path(__file__).with_name("corpus.tar.xz")
TEXTS = (
    "a cat",
    "The cat is an animal, and so are you.",
    "a",
    "no word of this is known: zebra Ähre 12",
    "the dog sat on the mat and the cat sat on the dog and so on and so on and so on " * 3,
)
"""The last is longer than any of these models takes."""
LONGEST = 24
WORDS = (
    "a", "an", "the", "cat", "dog", "is", "are", "animal", "and", "so", "you", "sat", "on", "mat",
    "no", "word", "of", "this", "known",
)  # fmt: skip
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
    Folder("t5", "t5", dense="Identity"),
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


# ---- networks and their graphs -------------------------------------------------------------------


def network(kind: str) -> Any:
    """A tiny network with random weights."""
    import transformers
    from torch import nn

    size = len(tokenizer(kind))
    common = {"vocab_size": size, "hidden_size": 16, "num_hidden_layers": 2}
    attention = {"num_attention_heads": 2, "intermediate_size": 24}
    positions = {"max_position_embeddings": LONGEST}
    behind = {"max_position_embeddings": LONGEST + 2, "pad_token_id": 1}  # as in fairseq
    made: dict[str, Callable[[], Any]] = {
        "bert": lambda: transformers.BertConfig(**common, **attention, **positions),
        "electra": lambda: transformers.ElectraConfig(
            **common, **attention, **positions, embedding_size=8
        ),
        "albert": lambda: transformers.AlbertConfig(
            **common, **attention, **positions, embedding_size=8
        ),
        "distilbert": lambda: transformers.DistilBertConfig(
            vocab_size=size, dim=16, n_layers=2, n_heads=2, hidden_dim=24, **positions
        ),
        "roberta": lambda: transformers.RobertaConfig(
            **common, **attention, **behind, type_vocab_size=1
        ),
        "xlm-roberta": lambda: transformers.XLMRobertaConfig(
            **common, **attention, **behind, type_vocab_size=1
        ),
        "camembert": lambda: transformers.CamembertConfig(
            **common, **attention, **behind, type_vocab_size=1
        ),
        "mpnet": lambda: transformers.MPNetConfig(**common, **attention, **behind),
        "deberta-v2": lambda: transformers.DebertaV2Config(
            **common, **attention, **positions, relative_attention=True, position_buckets=8,
            pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        ),
        "modernbert": lambda: transformers.ModernBertConfig(
            **common, **attention, **positions, local_attention=8, pad_token_id=0,
            cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
        ),
        "qwen3": lambda: transformers.Qwen3Config(
            **common, **attention, **positions, num_key_value_heads=1, head_dim=8,
            pad_token_id=0, eos_token_id=0, bos_token_id=0, use_cache=False,
        ),
        "t5": lambda: transformers.T5Config(
            vocab_size=size, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
            pad_token_id=0, eos_token_id=3, decoder_start_token_id=0,
        ),
    }  # fmt: skip
    config = made[kind]()
    config._attn_implementation = "eager"
    of = transformers.T5EncoderModel if kind == "t5" else transformers.AutoModel.from_config
    model = of(config)
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.4)
    return model.eval()


def write_graph(one: Folder, model: Any, place: Path) -> None:
    """The ONNX graph of the transformer, or with `pooled_graph` of all modules."""
    import onnx
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
    batch, tokens = torch.export.Dim("batch_size"), torch.export.Dim("sequence_length", max=24)
    outputs = (
        ["token_embeddings", "sentence_embedding"] if one.pooled_graph else ["last_hidden_state"]
    )
    program = torch.onnx.export(
        Tokens().eval(),
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
    if one.numbers == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(place, place, weight_type=QuantType.QInt8)
    if one.numbers == "fp16":
        transformer.float()


# ---- tokenizers ----------------------------------------------------------------------------------


def tokenizer(kind: str) -> Any:
    """A tokenizer of a few words, as that type of model has it."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    if kind in ("bert", "electra", "distilbert", "albert", "modernbert"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        return _wrapped(_word_pieces(special, "[UNK]"), special, max_length=None)
    if kind == "mpnet":
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        made = _word_pieces(special, "<unk>", ("<s>", "</s>", "</s></s>"))
        return _wrapped(made, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"], max_length=512)
    if kind in ("roberta", "qwen3"):
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        if kind == "qwen3":
            special = ["<|endoftext|>"]
        vocabulary = {word: n for n, word in enumerate(special)}
        for letter in pre_tokenizers.ByteLevel.alphabet():
            vocabulary[letter] = len(vocabulary)
        made = Tokenizer(models.BPE(vocabulary, []))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        if kind == "roberta":
            made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
            return _wrapped(made, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"], max_length=512)
        made.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="$A <|endoftext|>", pair="$A $B <|endoftext|>",
                special_tokens=[("<|endoftext|>", 0)],
            ),
        ])  # fmt: skip
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=made,
            eos_token="<|endoftext|>",
            pad_token="<|endoftext|>",
            padding_side="left",
            model_max_length=131072,
        )
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    if kind in ("deberta-v2", "t5"):
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    scores = [(word, 0.0) for word in special]
    scores += [(f"▁{word}", -2.0) for word in WORDS] + [("▁", -3.0)]
    scores += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyzTÄ0123456789,.:"]
    unknown = "<unk>" if "<unk>" in special else "[UNK]"
    made = Tokenizer(models.Unigram(scores, special.index(unknown)))
    made.normalizer = normalizers.Sequence([normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    if kind == "t5":
        made.post_processor = processors.TemplateProcessing(
            single="$A [SEP]", pair="$A [SEP] $B [SEP]", special_tokens=[("[SEP]", 3)]
        )
        return _wrapped(made, special, max_length=LONGEST)
    if kind == "deberta-v2":
        _template(made, "[CLS]", "[SEP]", "[SEP]")
        return _wrapped(made, special, max_length=None)
    _template(made, "<s>", "</s>", "</s></s>")
    return _wrapped(made, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"], max_length=512)


def _word_pieces(
    special: list[str], unknown: str, around: tuple[str, str, str] = ("[CLS]", "[SEP]", "[SEP]")
) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = [*special, *WORDS, *",.:", *(letter for letter in letters if letter not in WORDS)]
    words += [f"##{letter}" for letter in letters]
    made = Tokenizer(models.WordPiece({w: n for n, w in enumerate(words)}, unk_token=unknown))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _template(made, *around)
    return made


def _template(made: Any, first: str, last: str, between: str) -> None:
    from tokenizers import processors

    middle = " ".join([last] * (len(between) // len(last)))
    second = "" if len(between) > len(last) else ":1"
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {middle} $B{second} {last}{second}",
        special_tokens=[(token, made.token_to_id(token)) for token in (first, last)],
    )


def _wrapped(made: Any, special: list[str], max_length: int | None) -> Any:
    import transformers

    padding, unknown, first, last, mask = special
    options = {} if max_length is None else {"model_max_length": max_length}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=padding, unk_token=unknown, cls_token=first,
        sep_token=last, bos_token=first, eos_token=last, mask_token=mask, **options,
    )  # fmt: skip


if __name__ == "__main__":
    main()
