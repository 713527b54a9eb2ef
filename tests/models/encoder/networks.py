"""Tiny networks with random weights, and tokenizers of a few words, of the usual types.

They need torch and transformers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LONGEST = 24
"""Tokens of the longest text that these models take."""
WORDS = (
    "a", "an", "the", "cat", "dog", "is", "are", "animal", "and", "so", "you", "sat", "on", "mat",
    "no", "word", "of", "this", "known",
)  # fmt: skip


def network(kind: str, classes: int = 0) -> Any:
    """A tiny network with random weights; with `classes`, a classifier."""
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
    }  # fmt: skip
    config = made[kind]()
    config._attn_implementation = "eager"
    of = transformers.AutoModel
    if classes:
        of, config.num_labels = transformers.AutoModelForSequenceClassification, classes
    model = of.from_config(config)
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.4)
    return model.eval()


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
    if kind == "deberta-v2":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    scores = [(word, 0.0) for word in special]
    scores += [(f"▁{word}", -2.0) for word in WORDS] + [("▁", -3.0)]
    scores += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyzTÄ0123456789,.:"]
    unknown = "<unk>" if "<unk>" in special else "[UNK]"
    made = Tokenizer(models.Unigram(scores, special.index(unknown)))
    made.normalizer = normalizers.Sequence([normalizers.NFKC()])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
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
