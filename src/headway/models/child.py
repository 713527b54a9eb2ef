"""The program of a worker process: `python -m headway.models.child`.

Reads messages from its standard input, each a length and a pickle: first a LoadRequest, then
batches. Writes an Answer to each. It ends when its standard input is closed, as when its parent
dies.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

from headway.batching.driver import checked
from headway.models.signature import BadItem, ModelFailure, Signature
from headway.models.source import ModelSource

HEADER = struct.Struct("<Q")
"""Length in bytes of the message that follows."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What to load."""

    source: ModelSource
    threads: int
    """Number of threads that the model may use."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A Signature, the results of a batch, or an error."""

    value: Any = None
    error: str = ""
    bad_item: bool = False
    """Whether the items caused the error."""


class Runner(Protocol):
    """A loaded model."""

    signature: Signature

    def run(self, items: list[Any]) -> Any:
        """A result for each of `items`."""
        ...


def load(request: LoadRequest) -> Runner:
    """Load the model of `request`. Raises any exception of the library that loads it."""
    kind, location = request.source.kind, request.source.location
    if kind == "built-in":
        from headway.models.minilm import fetched

        kind, location = "text", str(fetched())
    if kind == "text":
        from headway.models.runners.text import TextModel

        return TextModel(location, request.threads)
    if kind == "onnx":
        from headway.models.runners.onnx_graph import OnnxGraph

        return OnnxGraph(location, request.threads)
    if kind == "torch":
        from headway.models.runners.torch_module import TorchModule

        return TorchModule(location, request.threads)
    from headway.models.runners.python_object import PythonObject

    return PythonObject(location)


def main() -> None:
    """Load the model, then answer batches until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the parent drains, then ends us
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Standard input and output carry messages: a model gets no input, and prints to standard error.
    messages, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    request = _read(messages)
    if request is None:
        return
    try:
        runner = load(request)
    except BaseException as error:
        _write(out, Answer(error=_message(error)))
        return
    _write(out, Answer(runner.signature))
    while (items := _read(messages)) is not None:
        try:
            results = checked(runner.run(items), len(items), "the model")
            _write(out, Answer(results))
        except BadItem as error:
            _write(out, Answer(error=str(error), bad_item=True))
        except BaseException as error:  # such as sys.exit() in an operator's function
            _write(out, Answer(error=_message(error)))


def _read(stream: BinaryIO) -> Any:
    """The next message; None at the end."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    return pickle.loads(stream.read(HEADER.unpack(header)[0]))


def _write(out: BinaryIO, answer: Answer) -> None:
    sent = pickle.dumps(answer, protocol=5)
    out.write(HEADER.pack(len(sent)))
    out.write(sent)
    out.flush()


def _message(error: BaseException) -> str:
    text = str(error) or "no message"
    ours = isinstance(error, ModelFailure)  # a sentence already
    return (text if ours else f"{type(error).__name__}: {text}")[:2000]


if __name__ == "__main__":
    # Import by name: classes pickled here must have the module name that the parent knows.
    from headway.models import child

    child.main()
