"""One gateway's place among those that share the slots of their backends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from uuid import uuid4

from headway.core.backend import Backend
from headway.core.decision import Decision, Preempt, Start
from headway.core.request import Request, Tier
from headway.core.scheduler import Scheduler
from headway.core.sharing.member import MOST_ENTRIES, Member
from headway.core.sharing.messages import Grant, Post, SlotDecision
from headway.redaction import masked
from headway.sharing.answers import SharedAnswers
from headway.sharing.forgetting import watch
from headway.sharing.heartbeat import Heartbeat
from headway.sharing.line import Line, LineDown
from headway.sharing.mode import Mode
from headway.sharing.own_share import OwnShare
from headway.sharing.script import Event, SlotScript
from headway.sharing.settings import QueueSettings
from headway.sharing.wire import Answer, join_message, post_message, read_answer, read_notice

logger = logging.getLogger(__name__)

CarryOut = Callable[[list[Decision], float], None]

ACKNOWLEDGE_S = 0.02
"""Grants are acknowledged with the next post, or after this time."""
RETRY_S = 0.25


class _Lapsed(Exception):
    """The gateway has no lease any more."""


class SharedQueue:
    """Passes the slots of shared backends to a scheduler: one at a time, as Redis grants them.

    Args:
        settings: which Redis.
        scheduler: of this gateway. While slots are granted, only this steps it.
        clock: seconds, the same for all gateways.
    """

    def __init__(
        self,
        settings: QueueSettings,
        scheduler: Scheduler,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = uuid4().hex
        self.mode = Mode.APART
        self.waiting: tuple[int, ...] = (0, 0, 0)
        """Requests that wait at the other gateways, by tier, as last heard."""
        self._settings = settings
        self._scheduler = scheduler
        self._member = Member(scheduler)
        self._clock = clock
        self._script = SlotScript(settings.prefix)
        self.answers = SharedAnswers(settings)
        """To requests with an Idempotency-Key."""
        self._line = Line(settings.url, self._script, settings.answer_s)
        self._ear = Line(settings.url, self._script, settings.answer_s)
        self._beat = Heartbeat(settings, self._script, self.name, self._beat_answered, clock)
        self._share = OwnShare(settings, self.name)
        self._used: Mapping[str, int] = {}
        """By backend: the slots in use when it lost the others."""
        self._names: dict[str, str] = {}
        self._own_names: dict[str, str] = {}
        self._warned: set[str] = set()
        self._token = self._seen = self._left = 0
        self._heard_s = 0.0
        self._resync = False
        self._wanted = asyncio.Event()
        self._carry_out: CarryOut = lambda decisions, now_s: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._acknowledge: asyncio.TimerHandle | None = None
        self._why = ""

    @property
    def members(self) -> int:
        """How many gateways share, as last heard."""
        return len(self._share.members)

    def start(self, carry_out: CarryOut) -> None:
        """Join the others; `close` must follow.

        Args:
            carry_out: carries out decisions of the scheduler.
        """
        self._carry_out = carry_out
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._clock()
        self._beat.start()
        self._tasks = [
            asyncio.create_task(self._run(), name="shared queue"),
            asyncio.create_task(self._listen(), name="shared queue notices"),
            asyncio.create_task(self._watch(), name="shared queue watch"),
            asyncio.create_task(watch(self._settings), name="shared queue forgetting"),
        ]

    async def close(self) -> None:
        """Leave: what this gateway held is free at once."""
        self._beat.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._acknowledge is not None:
            self._acknowledge.cancel()
        if self._token:
            with suppress(LineDown):
                await self._line.open()
                await self._call("leave")
        await self._line.close()
        await self._ear.close()
        await self.answers.close()

    # ---- what the dispatcher reports --------------------------------------------------------

    def set_backend(self, backend: Backend, address: str, now_s: float) -> None:
        """Add a backend that gateways share, or update it.

        Args:
            backend: with all of its slots.
            address: what gateways know it by.
            now_s: the time.
        """
        self._names[backend.name] = address
        self._own_names[address] = backend.name
        self._member.set_backend(backend, now_s)
        self._ask_again()  # its slots are posted even if nothing else has changed

    def forget(self, name: str) -> None:
        """A backend is gone."""
        self._own_names.pop(self._names.pop(name, ""), None)

    def changed(self, now_s: float) -> None:
        """Something has changed in the scheduler: step it once it is known what it may use."""
        if self.mode is Mode.SHARED:
            self._wanted.set()
        else:
            self._carry_out(self._scheduler.step(now_s), now_s)

    # ---- while slots are granted ------------------------------------------------------------

    async def _run(self) -> None:
        """Join, and post what changes; again and again."""
        while True:
            try:
                await self._line.open()
                await self._come_back()
                while True:
                    await self._post()
            except LineDown as error:
                self._lost(str(error))
                await asyncio.sleep(RETRY_S * min(1.0, self._settings.lease_s))
            except _Lapsed:
                logger.warning("its place among the gateways is not known any more: it joins again")
                self.mode = Mode.APART
                self._keep({})
                self._token = 0
            except Exception as error:  # a mistake of ours must not hold up every request
                logger.exception("the shared queue made a mistake; please report this")
                self._lost(f"a mistake in the shared queue ({type(error).__name__})")
                await asyncio.sleep(RETRY_S)

    async def _post(self) -> None:
        """Wait for a change, and post it."""
        await self._wanted.wait()
        self._wanted.clear()
        now_s = self._clock()
        post = self._member.post(now_s, again=self._resync)
        if post is None:
            self._receive((), now_s)
            return
        event: Event = "sync" if self._resync else "post"
        self._resync = False
        self._left = len(post.entries)
        answer = await self._call(event, self._message(post))
        if self.mode is Mode.SHARED:
            self._receive(answer.decisions, self._clock())

    def _receive(self, decisions: Iterable[SlotDecision], now_s: float) -> None:
        """Pass decisions on to the scheduler, each one once, and carry out what follows."""
        fresh = [one for one in decisions if self._is_next(one)]
        todo = self._member.receive(fresh, now_s)
        self._carry_out(todo, now_s)
        granted = sum(isinstance(one, Grant) for one in fresh)
        self._left -= granted
        started = sum(isinstance(one, Start) and one.backend in self._names for one in todo)
        few = granted and self._left <= MOST_ENTRIES // 2 < self._scheduler.waiting()
        other = self._member.downgraded or any(isinstance(one, Preempt) for one in todo)
        if started != granted or few or other:
            self._wanted.set()
        elif granted and self._acknowledge is None and self._loop is not None:
            self._acknowledge = self._loop.call_later(ACKNOWLEDGE_S, self._acknowledged)

    def _is_next(self, decision: SlotDecision) -> bool:
        """Whether it is for this lease and, of grants, the next one; without those before, posts
        bring all."""
        if decision.token != self._token:
            return False
        if isinstance(decision, Grant):
            if decision.number != self._seen + 1:
                if decision.number > self._seen:
                    self._ask_again()
                return False
            self._seen = decision.number
        return True

    def _ask_again(self) -> None:
        """Post even if nothing has changed, and hear all that may have been missed."""
        self._resync = True
        self._wanted.set()

    def _acknowledged(self) -> None:
        self._acknowledge = None
        self._wanted.set()

    async def _listen(self) -> None:
        """Hear what was decided at others' calls."""
        while True:
            try:
                await self._ear.open()
                async for notice in self._ear.notices(self.name):
                    if not notice:  # some may have been missed before
                        self._ask_again()
                        continue
                    heard = read_notice(self.name, self._own_names, notice)
                    if heard.members is not None:
                        self._share.members = heard.members
                    if self.mode is Mode.SHARED:
                        self._receive(heard.decisions, self._clock())
            except LineDown:
                self._ask_again()
                await asyncio.sleep(RETRY_S * min(1.0, self._settings.lease_s))

    # ---- coming and going -------------------------------------------------------------------

    async def _come_back(self) -> None:
        """Go on under the lease, or join. Returns once slots are granted."""
        self.mode = Mode.SETTLING
        if self._token and self._silence_s() < self._settings.lease_s:
            answer = await self._call("sync", self._message(self._keeping()))
        else:
            answer = await self._join()
        while answer.pause_s:
            await asyncio.sleep(min(answer.pause_s, self._settings.lease_s / 10.0))
            answer = await self._call("sync", self._message(self._keeping()))
        self.mode = Mode.SHARED
        logger.info(
            "shares one order of requests through Redis at %s, as one of %d gateways",
            masked(self._settings.url),
            self.members,
        )
        self._why = ""
        self._ask_again()

    async def _join(self) -> Answer:
        self._token = self._beat.token = 0
        uses, pinned = Counter[str](), Counter[str]()
        for name in self._names:
            backend = self._scheduler.backends[name]
            running = backend.running.values()
            uses[name] = max(len(running), backend.granted)
            pinned[name] = sum(not request.preemptible for request in running)
        said = join_message(self._names, self._slots(), uses, pinned, self._share.members)
        answer = await self._call("join", said)
        self._seen = 0
        self._member.joined(answer.token)
        self._keep(answer.held)
        return answer

    def _keeping(self) -> Post:
        """A post that only keeps the slots in use, and those that it had."""
        backends = self._scheduler.backends
        return Post(self._seen, {name: backends[name].granted for name in self._names})

    def _lost(self, why: str) -> None:
        """Redis does not answer."""
        if why != self._why:
            self._why = why
            logger.warning("%s; going on without the other gateways", why)
        was_shared = self.mode is Mode.SHARED
        self.mode = Mode.APART
        if was_shared:
            self._keep(self._member.held())

    def _keep(self, used: Mapping[str, int]) -> None:
        """From now on it uses these slots, and no others."""
        self._used = used
        self._use(used, self._clock())

    async def _watch(self) -> None:
        """While it is apart, use what it may; else find out whether it is."""
        while True:
            await asyncio.sleep(self._settings.lease_s / 10.0)
            if self.mode is Mode.SHARED and self._silence_s() > 1.5 * self._settings.beat_s:
                self._ask_again()
            elif self.mode is Mode.APART:
                self._use(self._share.allowed(self._used, self._silence_s()), self._clock())

    def _use(self, slots: Mapping[str, int], now_s: float) -> None:
        """Use these slots from now on: what runs in others gives way, if it can."""
        todo: list[Decision] = []
        for name in self._names:
            backend = self._scheduler.backends[name]
            self._scheduler.grant(name, slots.get(name, 0), now_s)
            surplus = len(backend.running) - backend.granted
            if surplus > 0:
                able = [one for one in backend.running.values() if one.preemptible]
                able.sort(key=_worth)
                todo += [self._scheduler.give_way(one.id, now_s) for one in able[:surplus]]
        self._carry_out(todo + self._scheduler.step(now_s), now_s)

    def _silence_s(self) -> float:
        return self._clock() - self._heard_s

    # ---- calls and answers ------------------------------------------------------------------

    def _slots(self) -> dict[str, int]:
        """By backend: its slots as this gateway sees them; those that are down are missing."""
        backends = self._scheduler.backends
        return {name: slots for name in self._names if (slots := backends[name].slots)}

    def _message(self, post: Post) -> bytes:
        waiting = (self._scheduler.waiting(tier) for tier in Tier)
        return post_message(post, self._names, self._slots(), waiting)

    async def _call(self, event: Event, said: bytes = b"") -> Answer:
        """Raises LineDown, or _Lapsed."""
        sent_s = self._clock()
        answered = await self._line.call(
            event, self.name, self._token, self._settings.lease_s, said
        )
        answer = read_answer(self.name, self._own_names, answered)
        if not answer.token and event != "leave":
            raise _Lapsed
        self._token = self._beat.token = answer.token
        self._heard(sent_s, answer)
        return answer

    def _beat_answered(self, sent_s: float, answered: bytes) -> None:
        """In the thread of the heartbeat."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._heard_beat, sent_s, answered)

    def _heard_beat(self, sent_s: float, answered: bytes) -> None:
        answer = read_answer(self.name, self._own_names, answered)
        if not answer.token:
            self._ask_again()  # that says so, too, if it still holds
            return
        self._heard(sent_s, answer)
        if self.mode is Mode.SHARED:
            self._receive(answer.decisions, self._clock())

    def _heard(self, sent_s: float, answer: Answer) -> None:
        self._heard_s = max(self._heard_s, sent_s)
        if not answer.members:
            return
        self._share.members = answer.members
        self._share.slots = answer.slots
        self.waiting = answer.waiting
        own_slots = self._slots()
        for name, slots in answer.slots.items():
            own = own_slots.get(name, slots)
            if own > slots and name not in self._warned:
                self._warned.add(name)
                logger.warning(
                    "backend %s has %d slots here and %d at another gateway: all use %d; give it "
                    "the same max_concurrency everywhere",
                    name,
                    own,
                    slots,
                    slots,
                )


def _worth(request: Request) -> tuple[int, float]:
    """Who gives way first: the lowest tier, and of that what came last."""
    return -int(request.tier), -request.arrival_s
