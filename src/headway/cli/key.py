"""`headway key`: API keys, one for each client."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from headway.cli.exit import Failure


def new(
    name: Annotated[str, typer.Argument(help="Who will use it; shown in logs and metrics.")],
) -> None:
    """Make an API key. It is shown once; the configuration keeps only its hash."""
    import yaml

    from headway.gateway.keys.keys import hash_key

    key = f"hw-{secrets.token_urlsafe(32)}"
    entry = {"keys": [{"name": name, "sha256": hash_key(key)}]}
    print(f"Key for {name}, shown only now: {key}\n")
    print("Add it to headway.yaml; a gateway that runs with keys takes it within seconds:\n")
    print(yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), end="")


def hash_() -> None:
    """Print the hash of a key for the configuration; asks for the key, or reads a pipe."""
    from headway.gateway.keys.keys import hash_key

    if sys.stdin.isatty():
        key = typer.prompt("Key", hide_input=True, err=True)
    else:
        key = sys.stdin.readline()
    if not key.strip():
        raise Failure("there is no key to hash: type it, or send it through a pipe")
    print(hash_key(key.strip()))
