"""Drivers of schedulers that share slots."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.core.drive import Driver

from headway.core.backend import Backend
from headway.core.decision import Decision
from headway.core.request import Request, State
from headway.core.settings import SchedulerSettings
from headway.core.sharing.member import Member
from headway.core.sharing.messages import SlotDecision
from headway.core.sharing.slots import SharedSlots


@dataclass
class AloneOnSharedSlots(Driver):
    """One gateway on shared slots; backends have no KV budget."""

    def __post_init__(self) -> None:
        self.shared = SharedSlots()
        self.member: Member | None = None
        super().__post_init__()

    def set_backend(self, backend: Backend) -> None:
        if self.member is None:
            self.member = Member(self.scheduler)
            self.member.joined(self.shared.join("a", {}))
        self.shared.set_backend(backend.name, backend.slots)
        self.member.set_backend(replace(backend, kv_tokens=None), self.now_s)

    def remove_backend(self, name: str) -> list[Request]:
        self.shared.set_backend(name, 0)
        return super().remove_backend(name)

    def decide(self) -> list[Decision]:
        assert self.member is not None
        found: list[Decision] = []
        for _ in range(100):
            post = self.member.post(self.now_s)
            if post is not None:
                assert self.shared.post("a", self.member.token, post)
            decided = self.shared.decide()
            found += self.member.receive(decided, self.now_s)
            if not decided and not self.member.downgraded:
                return found
        raise AssertionError("slots are granted again and again, and not used")


@dataclass
class AloneWithoutKv(Driver):
    """The same without shared slots."""

    def set_backend(self, backend: Backend) -> None:
        super().set_backend(replace(backend, kv_tokens=None))


@dataclass
class OneOfSeveral(Driver):
    """One of several gateways: the others use slots of the same backends."""

    inbox: list[SlotDecision] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.member: Member | None = None
        super().__post_init__()

    def set_backend(self, backend: Backend) -> None:
        if self.member is None:
            self.member = Member(self.scheduler)
        self.member.set_backend(replace(backend, kv_tokens=None), self.now_s)

    def decide(self) -> list[Decision]:
        assert self.member is not None
        inbox, self.inbox = self.inbox, []
        return self.member.receive(inbox, self.now_s)

    def work_is_conserved(self) -> None:
        """Only all gateways together use every slot."""


class Several:
    """Gateways that share slots and hear at once of each other."""

    def __init__(self, gateways: int, settings: SchedulerSettings, slots: dict[str, int]) -> None:
        self.slots = slots
        self.shared = SharedSlots()
        for name, count in slots.items():
            self.shared.set_backend(name, count)
        self.drivers = [OneOfSeveral(settings=settings, slots=slots) for _ in range(gateways)]
        for number, driver in enumerate(self.drivers):
            assert driver.member is not None
            driver.member.joined(self.shared.join(str(number), {}))

    def play(self, sequence: list[tuple[int, tuple[str, object]]]) -> None:
        for number, (kind, value) in sequence:
            if kind in {"set_slots", "remove"}:
                continue  # no gateway does that by itself
            driver = self.drivers[number % len(self.drivers)]
            getattr(driver, kind)(value)
            for other in self.drivers:
                other.now_s = max(other.now_s, driver.now_s)
            self.settle()

    def settle(self) -> None:
        """Pass on all messages, until there is none."""
        told = set(range(len(self.drivers)))
        for _ in range(200):
            for number, driver in enumerate(self.drivers):
                assert driver.member is not None
                post = driver.member.post(driver.now_s)
                if post is not None:
                    assert self.shared.post(str(number), driver.member.token, post)
                    told.add(number)
            for decision in self.shared.decide():
                self.drivers[int(decision.gateway)].inbox.append(decision)
                told.add(int(decision.gateway))
            if not told:
                break
            for number in told:
                self.drivers[number].step()
            told = set()
            self.never_more_than_the_slots()
        else:
            raise AssertionError("there is always another message")
        self.every_slot_is_used()

    def never_more_than_the_slots(self) -> None:
        for name, slots in self.slots.items():
            running = sum(len(one.scheduler.backends[name].running) for one in self.drivers)
            assert running <= slots

    def every_slot_is_used(self) -> None:
        for name, slots in self.slots.items():
            backends = [one.scheduler.backends[name] for one in self.drivers]
            if sum(len(backend.running) for backend in backends) == slots:
                continue
            for driver in self.drivers:
                running = [r for r in driver.added.values() if r.state is State.RUNNING]
                for request in driver.scheduler.requests.values():
                    if request.state is State.RUNNING or driver.avoids(request, name):
                        continue
                    served = request.lane in driver.scheduler.backends[name].lanes
                    if served and driver.below_caps(request.tier, request.tenant, running):
                        raise AssertionError(f"{request.id} waits beside a free slot")

    def drain(self) -> None:
        """Finish requests until none is left."""
        for _ in range(4 * sum(len(driver.added) for driver in self.drivers) + 10):
            busy = [one for one in self.drivers if one.scheduler.running()]
            if not busy:
                break
            for other in self.drivers:
                other.now_s += 0.5
            busy[0].finish(0)
            self.settle()
        assert not any(driver.scheduler.requests for driver in self.drivers), "one never ran"
