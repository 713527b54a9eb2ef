"""Options that several commands of the simulator take."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.lab.simulation.generated import ARRIVALS
from headway.lab.simulation.predictions import KINDS

DEFAULT_PROFILE = "smollm2-135m-2-cores"

TraceText = Annotated[
    str, typer.Argument(help=f"A trace file, folder or request log; or generated: {ARRIVALS}.")
]
Prediction = Annotated[
    str,
    typer.Option(
        help=f"How lengths are predicted: {KINDS}. Default: logged, history or noise:1, by what "
        "the trace can tell."
    ),
]
Engines = Annotated[
    str,
    typer.Option(
        help="Engines: shipped profiles, files, or a request log for those that its answers show; "
        "a*2,b is two of a and one of b."
    ),
]
Last = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Only the newest part of a recorded trace, such as 1h or 15min."
    ),
]
Slots = Annotated[
    int, typer.Option(min=0, help="Concurrent requests on each engine; 0: from its profile.")
]
Price = Annotated[
    str, typer.Option(help="Price of an engine per hour: 2.5, or by profile: a=2.5,b=1.")
]
Load = Annotated[
    float, typer.Option(min=0, help="Scale arrivals to this share of capacity; 0: leave them.")
]
Faster = Annotated[float, typer.Option(help="Speed up arrivals by this factor.")]
ColdStart = Annotated[
    float, typer.Option(min=0, help="Seconds from the start of a replica until it takes requests.")
]
Idle = Annotated[float, typer.Option(min=0, help="Seconds until an unneeded replica is drained.")]
BacklogTarget = Annotated[
    float,
    typer.Option(
        min=0, help="Start another replica above this many seconds of waiting work per slot."
    ),
]
Requests = Annotated[
    int, typer.Option(min=0, help="Number of requests; 0: all, or 1,000 of generated traffic.")
]
SloText = Annotated[
    str,
    typer.Option(
        help="SLO: statistics such as ttft_p95=1s,latency_mean=10s; or limits of each request and "
        "the share within them, ttft=1s,tpot=50ms,goodput=95%."
    ),
]
