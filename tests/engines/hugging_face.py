"""Write a llama GGUF as a Hugging Face folder, for vLLM: `hugging_face.py GGUF FOLDER`.

Runs in vLLM's environment, which has the packages that it needs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM


def convert(gguf: Path, target: Path) -> None:
    """Write the folder `target`, whole or not at all."""
    source, file = str(gguf.parent), gguf.name
    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
    del read.config.quantization_config  # the weights are plain now, but it would still say GGUF
    model = LlamaForCausalLM(read.config)
    model.load_state_dict(read.state_dict())
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        whole = Path(folder) / target.name
        model.save_pretrained(whole)
        AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(whole)
        whole.rename(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
