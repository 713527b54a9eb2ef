"""Parallel runs, spread over the processor's cores."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

Shared = TypeVar("Shared")
Task = TypeVar("Task")
Result = TypeVar("Result")

LOOK_EVERY_S = 0.1


def over_processes(
    run: Callable[[Shared, Task], Result],
    shared: Shared,
    tasks: Sequence[Task],
    processes: int,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """The results of `run` on each task, in the order in which they end.

    Args:
        run: a function of a module.
        shared: the same for all; passed to each process once.
        tasks: at least one.
        processes: how many run at once.
        meanwhile: called several times a second while they run, and whenever one has ended.
    """
    # Forked processes share memory with this one, so `shared` may be large.
    others = set(multiprocessing.active_children())
    start = "fork" if sys.platform == "linux" else "spawn"
    with ProcessPoolExecutor(
        min(processes, len(tasks)),
        mp_context=multiprocessing.get_context(start),
        initializer=_remember,
        initargs=(run, shared),
    ) as pool:
        try:
            with _ctrl_c_is_for_this_process():
                pending = {pool.submit(_run, task) for task in tasks}
            while pending:
                done, pending = wait(pending, LOOK_EVERY_S, FIRST_COMPLETED)
                if meanwhile is not None:
                    meanwhile()
                for future in done:
                    yield future.result()
        except BaseException:  # Ctrl-C, or nobody wants the rest: its end need not be waited for
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise


@contextmanager
def _ctrl_c_is_for_this_process() -> Iterator[None]:
    """Processes that are started meanwhile never get what a terminal sends to all of them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # they inherit that
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_remembered: list[Any] = []


def _remember(run: Callable[[Any, Any], Any], shared: Any) -> None:
    _remembered[:] = [run, shared]


def _run(task: Any) -> Any:
    run, shared = _remembered
    return run(shared, task)
