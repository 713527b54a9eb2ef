"""Headway as a server of an encoder, against BentoML, LitServe, Ray Serve, mosec and Triton.

    sh bench/peers/install.sh /tmp/peers
    python bench/encoders.py --peers /tmp/peers [--parts closed,open] [--servers headway,mosec]

Every server has the same model (all-MiniLM-L6-v2 as the ONNX graph that Headway writes), threads,
tokenizer and padding, one instance, and answers in base64. Every one is asked by the same client
for real texts of 8 to 256 tokens, once its answers were seen to be right. Parts:
  tune      each peer's wait and largest batch, by short runs; written down for the other parts
  closed    64 connections that ask again at once
  open      a Poisson process at 70% of the best peer's closed-loop throughput
  tiers     interactive requests over a saturating batch load, against an idle server
  overhead  a fake model of 5 ms a batch
  length    batches of about equal length, against those of next in line
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import aiohttp
import numpy as np

from claims import Claim, publish
from encoder_servers import HEADWAY, NAMES, Model, Target, Tuning, headway, serving, tunings
from headway.models.minilm import fetched
from headway.models.runners.bert_graph import graph_of
from headway.models.runners.text import TextModel
from headway.models.tokens import Tokens
from http_load import Measured, closed_loop, open_loop
from sentences import sentences

CONNECTIONS = 64
TEXTS = 1024
CHECKED_TEXTS = 64
SAME = 1e-4
"""Largest difference of an embedding's number that counts as rounding."""
LOAD = 0.7
INTERACTIVE_SHARE = 0.02
"""Interactive requests for each one of the batch load alone."""
PARTS = ("tune", "closed", "open", "tiers", "overhead", "length")


@dataclass
class Bench:
    """What the parts share, and what they found."""

    options: argparse.Namespace
    model: Model
    texts: list[str]
    expected: np.ndarray
    """Embeddings of the first CHECKED_TEXTS texts."""
    claims: list[Claim] = field(default_factory=list)
    details: dict[str, object] = field(default_factory=dict)
    capacities: dict[str, float] = field(default_factory=dict)
    """Answers a second of each server, as `closed` measured them."""

    @property
    def servers(self) -> list[str]:
        """Those that were asked for."""
        servers: list[str] = self.options.servers
        return servers

    @property
    def peers(self) -> list[str]:
        """Those that are not Headway."""
        return [name for name in self.servers if name != HEADWAY]

    def serving(
        self, name: str, tuning: Tuning | None = None
    ) -> contextlib.AbstractAsyncContextManager[Target]:
        """A server of the encoder, tuned as was found best."""
        tuned = tuning or self.tuned().get(name, Tuning())
        return serving(name, self.options.peers, self.model, tuned)

    def tuned(self) -> dict[str, Tuning]:
        """The best of each peer, of this run's `tune` or an earlier one's."""
        place: Path = self.options.tuned
        if not place.is_file():
            return {}
        return {name: Tuning(**best) for name, best in json.loads(place.read_text()).items()}

    async def closed(self, target: Target, seconds: float) -> Measured:
        """A closed loop on `target`, after a warm-up."""
        requests = [target.request(text) for text in self.texts]
        return await closed_loop(target.port, requests, CONNECTIONS, self.options.warm_up, seconds)

    async def check(self, name: str, target: Target) -> None:
        """Raises RuntimeError where its answers are not those of the model."""
        found = await target.vectors(self.texts[:CHECKED_TEXTS])
        worst = float(np.abs(found - self.expected).max())
        if not worst <= SAME:
            raise RuntimeError(f"{name} is off by {worst:g}")


async def tune(bench: Bench) -> None:
    """Each peer with several waits, and with batches of 64 at the best of them."""
    best = bench.tuned()
    trials: dict[str, list[dict[str, float]]] = {}
    for name in bench.peers:
        rates: dict[Tuning, float] = {}

        async def tried(tuning: Tuning, name: str = name) -> float:
            async with bench.serving(name, tuning) as target:
                return (await bench.closed(target, bench.options.trial)).per_s

        for tuning in tunings(name):
            rates[tuning] = await tried(tuning)
        larger = replace(max(rates, key=rates.__getitem__), max_batch_size=64)
        rates[larger] = await tried(larger)
        best[name] = max(rates, key=rates.__getitem__)
        trials[name] = [{**asdict(tuning), "per_s": rate} for tuning, rate in rates.items()]
        print(f"tune    {name:10} {best[name]}  {[round(rate) for rate in rates.values()]}/s")
    place: Path = bench.options.tuned
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({name: asdict(one) for name, one in best.items()}, indent=1))
    bench.details["tune"] = trials


async def closed(bench: Bench) -> None:
    """Throughput and latency of 64 connections."""
    found: dict[str, Measured] = {}
    for name in bench.servers:
        async with bench.serving(name) as target:
            await bench.check(name, target)
            found[name] = await bench.closed(target, bench.options.seconds)
        _told("closed", name, found[name])
    bench.details["closed"] = {name: one.summary() for name, one in found.items()}
    bench.capacities = {name: one.per_s for name, one in found.items()}
    best = _best(bench.capacities)
    if HEADWAY in found and best is not None:
        ours = found[HEADWAY]
        bench.claims += [
            Claim(
                f"closed: throughput / best peer's ({best})",
                ours.per_s / found[best].per_s,
                1.25,
                at_most=False,
            ),
            Claim(
                f"closed: p99 / best peer's ({best})",
                ours.percentile_ms(99) / found[best].percentile_ms(99),
                1.0,
            ),
        ]


async def open_(bench: Bench) -> None:
    """Latency under a Poisson process that the best peer can bear."""
    capacities = bench.capacities
    if not capacities and bench.options.json.is_file():
        before = json.loads(bench.options.json.read_text()).get("closed", {})
        capacities = {name: one["per_s"] for name, one in before.items()}
    best = _best(capacities)
    if best is None:
        raise SystemExit("the part `open` needs the closed-loop throughput of a peer; run `closed`")
    per_s = LOAD * capacities[best]
    found: dict[str, Measured] = {}
    for name in bench.servers:
        if name in capacities and capacities[name] < per_s:
            print(f"open    {name:10} cannot take {per_s:.0f}/s")
            continue
        async with bench.serving(name) as target:
            requests = [target.request(text) for text in bench.texts]
            found[name] = await open_loop(
                target.port,
                requests,
                per_s,
                bench.options.warm_up,
                bench.options.seconds,
                np.random.default_rng(bench.options.seed),
            )
        _told("open", name, found[name])
    bench.details["open"] = {
        "rate_per_s": per_s,
        **{name: one.summary() for name, one in found.items()},
    }
    tails = {name: one.percentile_ms(99) for name, one in found.items()}
    if HEADWAY in tails and len(tails) > 1:
        ours = tails.pop(HEADWAY)
        least = min(tails, key=tails.__getitem__)
        bench.claims.append(
            Claim(f"open: p99 / least p99 of a peer ({least})", ours / tails[least], 1.0)
        )


async def tiers(bench: Bench) -> None:
    """Interactive requests alone, batch ones alone, and both."""
    seconds, warm_up_s = 1.5 * bench.options.seconds, bench.options.warm_up

    async def interactive(target: Target, per_s: float) -> Measured:
        requests = [target.request(text, "interactive") for text in bench.texts]
        rng = np.random.default_rng(bench.options.seed)
        return await open_loop(target.port, requests, per_s, warm_up_s, seconds, rng)

    async def batch(target: Target) -> Measured:
        requests = [target.request(text, "batch") for text in bench.texts]
        return await closed_loop(target.port, requests, CONNECTIONS, warm_up_s, seconds)

    async with headway(bench.model) as target:
        begun = await _batches(target)
        alone = await batch(target)
        alone_batches = await _batches(target) - begun
        per_s = INTERACTIVE_SHARE * alone.per_s
        idle = await interactive(target, per_s)
        before = await _batches(target)
        over, under = await asyncio.gather(interactive(target, per_s), batch(target))
        batches = await _batches(target) - before
    # The worker never rests, so that is a batch's mean duration: at most the longest slice.
    slice_ms = 1000.0 * (warm_up_s + seconds) / batches
    for label, one in (("idle", idle), ("over", over), ("batch", alone), ("under", under)):
        _told("tiers", label, one)
    added_ms = over.percentile_ms(99) - idle.percentile_ms(99)
    bench.details["tiers"] = {
        "slice_ms": slice_ms,
        "alone_batch_ms": 1000.0 * (warm_up_s + seconds) / alone_batches,
        "interactive_per_s": per_s,
        "interactive_idle": idle.summary(),
        "interactive_over_batch": over.summary(),
        "batch_alone": alone.summary(),
        "batch_under_interactive": under.summary(),
    }
    bench.claims += [
        Claim("tiers: interactive p99 above idle, in mean slices", added_ms / slice_ms, 1.5),
        Claim("tiers: batch throughput / alone", under.per_s / alone.per_s, 0.85, at_most=False),
    ]


async def overhead(bench: Bench) -> None:
    """A model of 5 ms a batch: what is left of the ideal 6,400 a second."""
    fake = replace(bench.model, model="fake")
    found: dict[str, Measured] = {}
    for name in bench.servers:
        tuned = bench.tuned().get(name, Tuning())
        tuning = replace(tuned, max_batch_size=32)
        async with serving(name, bench.options.peers, fake, tuning) as target:
            requests = [target.request("x")]
            found[name] = await closed_loop(
                target.port, requests, CONNECTIONS, bench.options.warm_up, bench.options.trial
            )
        _told("overhead", name, found[name])
    bench.details["overhead"] = {name: one.summary() for name, one in found.items()}
    if HEADWAY in found:
        rate = found[HEADWAY].per_s
        bench.claims.append(
            Claim("overhead: requests/s, 5 ms a batch of 32", rate, 4500.0, at_most=False)
        )


async def length(bench: Bench) -> None:
    """The same texts, batched with and without a look at their lengths."""
    found: dict[bool, Measured] = {}
    for aware in (False, True):
        async with headway(bench.model, length_aware=aware) as target:
            found[aware] = await bench.closed(target, bench.options.seconds)
        _told("length", "by length" if aware else "in order", found[aware])
    bench.details["length"] = {
        "by_length": found[True].summary(),
        "in_order": found[False].summary(),
    }
    gain = found[True].per_s / found[False].per_s
    bench.claims.append(Claim("length: throughput, by length / in order", gain, 1.3, at_most=False))


async def _batches(target: Target) -> float:
    """Batches that Headway ran so far."""
    url = f"http://127.0.0.1:{target.port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        text = await response.text()
    found = re.search(r'^headway_model_batches_total\{model="encoder"\} (\S+)', text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def _best(capacities: Mapping[str, float]) -> str | None:
    """The peer with the highest throughput."""
    peers = [name for name in capacities if name != HEADWAY]
    return max(peers, key=lambda name: capacities[name], default=None)


def _told(part: str, name: str, one: Measured) -> None:
    print(
        f"{part:9}{name:10}{one.per_s:8.0f}/s  p50 {one.percentile_ms(50):7.1f} ms"
        f"  p99 {one.percentile_ms(99):7.1f} ms  {one.errors} errors",
        flush=True,
    )


async def measure(options: argparse.Namespace) -> int:
    folder = fetched()
    reference = TextModel(str(folder), options.threads)
    tokens = Tokens(reference.signature)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(reference.signature.tokenizer)
    texts = sentences(tokenizer, TEXTS, options.seed)
    ids = await tokens.of_texts(texts, None)
    lengths = np.array([len(one) for one in ids])
    expected = np.concatenate([reference.run([one]) for one in ids[:CHECKED_TEXTS]])
    del reference
    model = Model("encoder", folder, graph_of(folder), options.threads)
    bench = Bench(options, model, texts, expected)
    percentiles = (0, 25, 50, 75, 100)
    bench.details["settings"] = {name: str(value) for name, value in vars(options).items()}
    bench.details["text_tokens"] = {
        "mean": lengths.mean(),
        **{f"p{p}": float(np.percentile(lengths, p)) for p in percentiles},
    }
    run = dict(zip(PARTS, (tune, closed, open_, tiers, overhead, length), strict=True))
    for part in options.parts:
        await run[part](bench)
    bench.details["tuned"] = {name: asdict(best) for name, best in bench.tuned().items()}
    return publish(bench.claims, bench.details, options.json)


def main() -> int:
    def some(known: tuple[str, ...]) -> Callable[[str], list[str]]:
        def chosen(text: str) -> list[str]:
            names = text.split(",")
            if unknown := set(names) - set(known):
                raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; {', '.join(known)}")
            return names

        return chosen

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, default=Path("/tmp/peers"), help="environments")
    parser.add_argument("--parts", type=some(PARTS), default=list(PARTS))
    parser.add_argument("--servers", type=some(NAMES), default=list(NAMES))
    parser.add_argument("--threads", type=int, default=2, help="that the model computes with")
    parser.add_argument("--seconds", type=float, default=20.0, help="that are measured")
    parser.add_argument("--trial", type=float, default=8.0, help="seconds of a short run")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tuned", type=Path, default=Path("results/encoders_tuned.json"))
    parser.add_argument("--json", type=Path, default=Path("results/encoders.json"))
    return asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    raise SystemExit(main())
