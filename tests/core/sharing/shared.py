"""Drivers of schedulers that share slots."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.core.drive import Driver

from headway.core.backend import Backend
from headway.core.decision import Decision
from headway.core.request import Request
from headway.core.sharing.member import Member
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
            if not decided:
                return found
        raise AssertionError("slots are granted again and again, and not used")


@dataclass
class AloneWithoutKv(Driver):
    """The same without shared slots."""

    def set_backend(self, backend: Backend) -> None:
        super().set_backend(replace(backend, kv_tokens=None))
