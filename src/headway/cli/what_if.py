"""`headway what-if`: what the page What if of the console asks."""

from __future__ import annotations

import os
import resource
import shlex
import sys
import time
from pathlib import Path

import msgspec

from headway.cli.exit import fail
from headway.cli.priority import give_way
from headway.cli.replay import unfinished_of
from headway.config.backends import EMBEDDED
from headway.gateway.foresight.question import WhatIfQuestion
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.what_if.advised import advised
from headway.lab.simulation.what_if.answer import Answer
from headway.lab.simulation.what_if.compared import compared
from headway.lab.simulation.what_if.ground import Ground, ground_of
from headway.lab.simulation.what_if.planned import planned
from headway.lab.simulation.what_if.recorded import Log
from headway.store.event_log import settings_from_values

MOST_MEMORY_BYTES = 4 * 1024**3
EVERY_S = 0.2
"""Between two lines that say how far it is."""
COMMANDS = {"policies": "simulate", "settings": "advise", "engines": "plan"}


def what_if() -> None:
    """Read a question from standard input; print how far it is, a line a time, and the answer."""
    give_way()
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=WhatIfQuestion)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    try:
        say = _Reporter()
        say("reading the traffic and fitting the engine")
        answer, page = _answered(question, _ground(question), say)
        Path(question.report).write_text(page, encoding="utf-8")
    except (SimulationError, OSError) as error:
        # People know the file by its name; where it is kept meanwhile says nothing to them.
        folder = str(Path(question.report).parent) + os.sep
        fail("what-if", SimulationError(str(error).replace(folder, "")))
    except MemoryError:
        memory = MOST_MEMORY_BYTES // 1024**3
        fail(
            "what-if",
            SimulationError(f"this takes more than {memory} GB of memory; take less traffic"),
        )
    print(msgspec.json.encode({"found": answer}).decode())


def command_of(question: WhatIfQuestion) -> str:
    """The same question for a shell: a line for each number of slots.

    A log shows how many requests ever ran at once, and not how many the gateway lets run: those are
    said where all backends have the same.
    """
    about, log = question.about, question.traffic.log
    words = ["headway", COMMANDS[about], Path(question.file).name or log]
    if not question.file:
        words += ["--last", f"{question.traffic.window_s / 60.0:g}min"]
    words += ["--profile", question.profile or log]
    if about == "engines":
        words += ["--policy", _policy_of(question)]
    else:
        policies = dict.fromkeys([question.traffic.current, *question.policies])
        words += ["--policies", ",".join(policies)]
    if about == "settings":
        words += ["--now", question.traffic.current]
    if about != "policies":
        words += ["--slo", question.slo]
    here = set() if question.profile else set(question.traffic.slots.values())
    slots = [here.pop() if len(here) == 1 else 0, *(question.slots if about == "policies" else [])]
    return "\n".join(
        shlex.join([*words, *(["--slots", str(number)] if number else [])]) for number in slots
    )


def _ground(question: WhatIfQuestion) -> Ground:
    traffic, log = question.traffic, None
    if traffic.log:
        log = Log(
            Path(traffic.log),
            traffic.now_unix_s,
            traffic.window_s,
            unfinished_of(traffic),
            traffic.slots,
        )
    return ground_of(
        log,
        Path(question.file) if question.file else None,
        question.profile,
        settings_from_values(traffic.settings),
    )


def _answered(question: WhatIfQuestion, ground: Ground, say: _Reporter) -> tuple[Answer, str]:
    now, command, slo = question.traffic.current, command_of(question), question.slo
    if question.about == "policies":
        return compared(
            ground,
            question.policies,
            question.slots,
            now,
            command,
            lambda share: say("simulating", share),
        )
    if question.about == "settings":
        return advised(
            ground,
            question.policies,
            slo,
            now,
            command,
            embedded=EMBEDDED in question.traffic.slots and ground.own,
            progress=lambda done: say(f"simulating: {done:.0f} settings tried"),
        )
    return planned(
        ground,
        _policy_of(question),
        slo,
        command,
        lambda engines: say(f"simulating {engines} engines"),
    )


def _policy_of(question: WhatIfQuestion) -> str:
    """The one policy of a plan."""
    return next(iter(question.policies), question.traffic.current)


class _Reporter:
    """Says now and then how far it is: lines that are not the answer."""

    def __init__(self) -> None:
        self._doing = ""
        self._next_s = 0.0

    def __call__(self, doing: str, share: float | None = None) -> None:
        """`doing` goes on, and `share` of it is done; None: not known."""
        now_s = time.monotonic()
        if doing != self._doing or now_s >= self._next_s:
            self._doing, self._next_s = doing, now_s + EVERY_S
            print(msgspec.json.encode({"doing": doing, "share": share}).decode(), flush=True)
