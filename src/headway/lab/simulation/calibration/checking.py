"""How well a profile explains what was measured, and what was not used to make it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import numpy as np

from headway.core.settings import SchedulerSettings
from headway.lab.simulation.calibration.probes import DECODED, Mixed, Probes, Trial
from headway.lab.simulation.errors import SimulationError
from headway.lab.simulation.predictions import FromHistory
from headway.lab.simulation.profile import Profile
from headway.lab.simulation.simulator import simulate
from headway.lab.simulation.site import Site

CLOSE, FAR = 0.1, 0.3
"""Errors of the mean latency that need no warning, and that make a profile worthless."""
STEADY = 0.05
"""Change of the engine's speed between rounds that needs no warning."""
LIKE_PROBES = 0.25
"""Difference of traffic from single probes that needs no warning."""

BUSY = 0.5
"""Share of the time that the client may compute: at the most requests at once it computes more."""


@dataclass(frozen=True, slots=True)
class Check:
    """Mean latency of requests that the profile was not made from."""

    requests: int
    measured_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """Share of the measured one by which the prediction is too high."""
        return self.predicted_s / self.measured_s - 1.0

    def verdict(self) -> str:
        """What it means, in a sentence.

        Raises:
            SimulationError: the profile is worth nothing.
        """
        said = (
            f"Checked with {self.requests} other requests, which arrived one by one: their mean "
            f"latency was {self.measured_s:.3g} s, and the profile predicts {self.predicted_s:.3g} "
            f"s ({round(100.0 * self.error):+d}%)"
        )
        if abs(self.error) > FAR:
            raise SimulationError(
                f"{said}, which is too far off to be of use, so no profile was written; see that "
                f"nothing else uses the server or its machine, and that --slots and --batch-tokens "
                f"are its own, and calibrate again"
            )
        if abs(self.error) > CLOSE:
            return f"{said}. Simulated waits may be off by several times as much near saturation"
        return said


def checked(profile: Profile, trial: Trial) -> Check:
    """Compare `trial` with its simulation."""
    latency_s = _latencies_s(profile, trial)
    return Check(len(latency_s), fmean(trial.latency_s), float(latency_s.mean()))


def remarks(profile: Profile, probes: Probes, busy: float = 0.0) -> list[str]:
    """What else is to be known of a profile, in sentences.

    Args:
        profile: what was made from `probes`.
        probes: what was measured.
        busy: share of the time that this process computed.
    """
    found = []
    if busy > BUSY:
        found.append(
            f"This command computed for {busy:.0%} of the time, so it may have read answers later "
            f"than they came: run it on a faster machine that does nothing else, or with fewer "
            f"--slots"
        )
    if (changed := drift(profile, probes)) > STEADY:
        found.append(
            f"The engine was {changed:.0%} slower in one round than in another: near saturation "
            f"simulated waits may be off by several times as much; check what else runs there "
            f"and calibrate again"
        )
    factor = _slower_than_probes(profile, probes)
    if abs(factor - 1.0) > LIKE_PROBES:
        found.append(
            f"Traffic took {factor:.2f} times as long as single probes say: the profile has the "
            f"speed of traffic, and its shape explains this engine badly"
        )
    return found


def drift(profile: Profile, probes: Probes) -> float:
    """How much slower the engine was in its slowest round than in its fastest; 0: as fast."""
    paces = [trial.spent_s / trial_s(profile, trial) for trial in probes.trials]
    return max(paces) / min(paces) - 1.0 if paces else 0.0


def residuals(profile: Profile, probes: Probes) -> list[tuple[str, float, float]]:
    """What was measured, in seconds, and what the profile says of it, probe by probe."""
    rows = []
    for of in probes.decodings:
        name = f"{of.requests} decode after {of.context_tokens:.0f} tokens: time per token"
        rows.append((name, of.tpot_s, _decoding_s(profile, of.requests, of.context_tokens)))
    for one in probes.prefills:
        name = f"prompt of {one.prompt_tokens} tokens: time to first token"
        rows.append((name, one.ttft_s, profile.prefill_s(one.prompt_tokens)))
    for both in probes.mixed:
        name = f"prompt of {both.prompt_tokens} tokens beside {both.requests} that decode"
        rows.append((name, both.gap_s, gap_s(profile, both)))
    for trial in probes.trials:
        name = f"{len(trial.prompt_tokens)} requests of many sizes: until the last is answered"
        rows.append((name, trial.spent_s, trial_s(profile, trial)))
    return rows


def trial_s(profile: Profile, trial: Trial) -> float:
    """Simulated time until the last request of `trial` is answered."""
    return float((np.array(trial.arrival_s) + _latencies_s(profile, trial)).max())


def gap_s(profile: Profile, one: Mixed) -> float:
    """Time between two tokens of requests that decode beside a prompt."""
    contexts = one.requests * (one.prompt_tokens + DECODED / 2.0)
    return profile.mixed_s(one.prompt_tokens, one.requests) + profile.decode_kv_s * contexts


def _slower_than_probes(profile: Profile, probes: Probes) -> float:
    """By what the trials made the profile slower: as far as it is off for single probes."""
    return fmean(
        _decoding_s(profile, of.requests, of.context_tokens) / of.tpot_s for of in probes.decodings
    )


def _decoding_s(profile: Profile, requests: int, context_tokens: float) -> float:
    spent_s = profile.dense(requests) + profile.sequence_s * requests
    return spent_s + profile.decode_kv_s * requests * context_tokens


def _latencies_s(profile: Profile, trial: Trial) -> np.ndarray:
    trace = trial.trace()
    site = Site(profile.name, profile)
    outcome = simulate(trace, [site], SchedulerSettings(policy="fcfs"), FromHistory(trace))
    return outcome.latency_s
