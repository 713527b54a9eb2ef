"""`headway key new`: an API key for one client."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer


def new(
    name: Annotated[str, typer.Argument(help="Who will use it; shown in logs and metrics.")],
) -> None:
    """Make an API key. It is shown once; the configuration keeps only its hash."""
    import yaml

    from headway.gateway.keys import hash_key

    key = f"hw-{secrets.token_urlsafe(32)}"
    entry = {"keys": [{"name": name, "sha256": hash_key(key)}]}
    print(f"Key for {name}, shown only now: {key}\n")
    print("Add it to headway.yaml and start headway again:\n")
    print(yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), end="")
