"""Options that several commands of the simulator take."""

from __future__ import annotations

from typing import Annotated

import typer

from headway.lab.simulation.generated import ARRIVALS
from headway.lab.simulation.predictions import KINDS

DEFAULT_PROFILE = "smollm2-135m-2-cores"

TraceText = Annotated[
    str, typer.Argument(help=f"A trace file, folder or request log; or made: {ARRIVALS}.")
]
Prediction = Annotated[str, typer.Option(help=f"What is foretold of lengths: {KINDS}.")]
Engines = Annotated[
    str, typer.Option(help="Engines: profiles that ship or files, as a*2,b for two and one.")
]
Slots = Annotated[
    int, typer.Option(min=0, help="Requests at once on each; 0: as its profile says.")
]
Price = Annotated[
    str, typer.Option(help="Of an engine's hour, as 2.5, or by profile, as a=2.5,b=1.")
]
Load = Annotated[
    float, typer.Option(min=0, help="Scale arrivals to this share of capacity; 0: as they are.")
]
Faster = Annotated[float, typer.Option(help="Arrivals come so many times faster.")]
ColdStart = Annotated[float, typer.Option(min=0, help="Seconds that a replica takes to start.")]
Idle = Annotated[
    float, typer.Option(min=0, help="Seconds until one that is not needed is drained.")
]
BacklogTarget = Annotated[
    float, typer.Option(min=0, help="Seconds of waiting work a slot that start another one.")
]
Requests = Annotated[
    int, typer.Option(min=0, help="Only so many; 0: all, or 1,000 where they are made.")
]
Objective = Annotated[str, typer.Option(help="As ttft_p99=1s,latency_mean=10s.")]
