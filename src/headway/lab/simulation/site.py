"""One backend of a simulation: an engine model, and what the scheduler knows of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headway.core.backend import Backend
from headway.core.cost import CostModel
from headway.lab.simulation.profile import Profile


@dataclass(frozen=True, slots=True)
class Site:
    """One backend: an engine as its profile says, and how many requests are sent there at once."""

    name: str
    profile: Profile
    slots: int = 0
    """0: as many as the profile says."""

    @property
    def engine(self) -> Profile:
        """The profile of an engine that was started with these slots: what is sent runs, and does
        not wait in a queue of the engine's own."""
        if self.slots <= self.profile.slots:
            return self.profile
        return replace(self.profile, slots=self.slots)

    @property
    def backend(self) -> Backend:
        """The backend, as the scheduler sees it."""
        slots = self.slots or self.profile.slots
        cost = cost_of(self.profile, slots)
        return Backend(self.name, slots, cost=cost, piecewise=self.profile.piecewise)


def cost_of(profile: Profile, slots: int = 0) -> CostModel:
    """The cost model of an engine whose slots are all busy.

    An output token takes a slot for one iteration. A prompt token makes the iteration longer for
    every slot.
    """
    slots = slots or profile.slots
    chunk = max(2, min(512, profile.batch_tokens - slots))
    iteration_s = profile.dense(slots) + profile.sequence_s * slots
    longer_s = profile.dense(slots + chunk) - profile.dense(slots)
    beside_s = profile.mixed_s(1, slots - 1) - profile.dense(slots)
    return CostModel(
        prefill_s_per_token=longer_s / chunk,
        decode_s_per_token=iteration_s,
        # The iteration in which nobody has the slot, what every request costs outside of the loop,
        # and for all slots the computing of one token of a prompt as it resumes.
        preempt_s=iteration_s + profile.request_s + slots * max(0.0, beside_s),
        recompute_share=1.0 if profile.kv_tokens else 0.0,
        held_slots=slots,
    )
