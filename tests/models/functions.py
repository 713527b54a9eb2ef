"""What an operator might serve: functions from list to list, good ones and bad ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import threadpoolctl


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


class Kept:
    """Keeps a lock and a task of its event loop from batch to batch."""

    def __init__(self):
        self.loop = asyncio.get_event_loop_policy().get_event_loop()
        self.lock = asyncio.Lock()
        self.task = None

    async def __call__(self, items):
        assert asyncio.get_running_loop() is self.loop
        if self.task is None:
            self.task = asyncio.ensure_future(asyncio.sleep(0, "kept"))
        async with self.lock:
            waiter = asyncio.ensure_future(self.lock.acquire())
            await asyncio.sleep(0)  # now the lock belongs to this loop
        await waiter
        self.lock.release()
        return [await asyncio.shield(self.task)] * len(items)


def threads(items):
    """What libraries read for their number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return [[os.environ.get(name) for name in names]] * len(items)


def blas(items):
    """Threads of the linear algebra below numpy."""
    np.ones((64, 64)) @ np.ones((64, 64))
    found = threadpoolctl.threadpool_info()
    return [[one["num_threads"] for one in found]] * len(items)


def exits(items):
    if "out" in items:
        sys.exit("no more")
    return items


def a_set(items):
    return set(items)


def series(items):
    """Rows of an array."""
    return np.array([[len(item), 1.0] for item in items])
