"""What an operator might serve: functions from list to list, good ones and bad ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path


def upper(items):
    return [str(item).upper() for item in items]


def process(items):
    """The process that ran it."""
    return [os.getpid()] * len(items)


def vectors(items):
    return [[float(len(item)), 1.0] for item in items]


def overlap(items):
    """Words that a query and a document share."""
    return [len(set(query.split()) & set(document.split())) for query, document in items]


def mood(items):
    return [{"good": 0.75, "bad": 0.25} if "fine" in item else {"good": 0, "bad": 1}
            for item in items]  # fmt: skip


def gated(items):
    """Runs until the files that the items name are there."""
    for item in items:
        while not Path(item).exists():
            time.sleep(0.002)
    return items


def killed_once(items):
    """The first run dies in the middle: the first item names the file that marks it."""
    first = Path(items[0])
    if not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return items


class Picky:
    """A class: an instance of it is what is called."""

    def __call__(self, items):
        for item in items:
            if item == "poison":
                raise ValueError("poison is not taken")
            if item == "broken":
                raise RuntimeError("this one breaks it")
            if item == "killer":
                print("about to die", file=sys.stderr)
                os._exit(3)
        return [len(str(item)) for item in items]


class Unloadable:
    def __init__(self):
        raise RuntimeError("there is no room")


class LoadedOnceThereIs:
    """Loads if the file is there that the environment names."""

    def __init__(self):
        if not Path(os.environ["HEADWAY_TEST_MARK"]).exists():
            raise RuntimeError("not there yet")

    def __call__(self, items):
        return items


async def later(items):
    return [f"later {item}" for item in items]


def few(items):
    return items[:-1]


def one_text(items):
    return "x" * len(items)


def noisy(items):
    """Prints everywhere, without ever ending a line, and reads what is not there."""
    print("hello", end="")
    sys.stdout.write("x" * 100_000)
    os.write(1, b"y" * 100_000)
    sys.stderr.write("\r50%" * 100_000)
    return [len(sys.stdin.read())] * len(items)


def nowhere(items):
    """Nothing that can be sent."""
    return [lambda: None] * len(items)


def not_a_number(items):
    return [[float("nan"), 1.0]] * len(items)


def tensors(items):
    """For the Open Inference Protocol."""
    return [{"sum": item["x"].sum(), "name": "ada"} for item in items]


number = 3
