"""`headway advise --live`: what speaks for the policy of a gateway, from `/v1/headway/policy`."""

from __future__ import annotations

import msgspec
from rich.console import Console

from headway.cli.live_gateway import asked_of
from headway.gateway.api.views import PolicyView
from headway.lab.report.figures import figures, share
from headway.lab.report.terminal import Results, show


def print_live_advice(url: str, api_key: str, console: Console) -> None:
    """Print the policy in use and the last replay.

    Raises:
        Failure: there is no answer, or it is no gateway.
    """
    view = _view(url, api_key)
    if not view.automatic:
        console.print(
            f"Policy {view.policy}, as set; with `policy: auto` the gateway chooses it.",
            soft_wrap=True,
        )
        return
    changed = f"changed {view.switches} times" if view.switches != 1 else "changed once"
    console.print(f"Policy {view.policy}, chosen by the gateway ({changed}).", soft_wrap=True)
    if view.advice is None:
        console.print("It has replayed no traffic yet.")
        return
    if view.advice.replayed:
        headings = ["policy", "mean s", "p99 s", "keeps the promise"]
        rows = [
            [
                one.policy,
                figures(one.mean_s),
                figures(one.p99_s),
                "yes" if one.keeps_tail else "no",
            ]
            for one in view.advice.replayed
        ]
        if any(one.missed for one in view.advice.replayed):
            headings.append("misses the SLO by")
            for row, one in zip(rows, view.advice.replayed, strict=True):
                row.append(share(one.missed))
        show(console, Results(headings, rows))
    evidence = view.advice.evidence
    if evidence is not None:
        console.print(
            "How they were served, replayed: mean "
            f"{figures(evidence.replayed_mean_s)} s, and it was {figures(evidence.served_mean_s)} "
            f"s; p99 {figures(evidence.replayed_p99_s)} s, and it was "
            f"{figures(evidence.served_p99_s)} s.",
            soft_wrap=True,
        )
    reason = view.advice.reason
    stays = reason.startswith("stays: ")
    console.print(
        f"Last replay, of {view.advice.requests} requests: {view.advice.policy}"
        f"{' ' if stays else ': '}{reason}.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def policy_of(url: str, api_key: str) -> str:
    """The policy that a gateway serves with.

    Raises:
        Failure: there is no answer, or it is no gateway.
    """
    return _view(url, api_key).policy


def _view(url: str, api_key: str) -> PolicyView:
    return asked_of(
        url,
        "/v1/headway/policy",
        msgspec.json.Decoder(PolicyView).decode,
        what="policy",
        option="--live",
        api_key=api_key,
    )
