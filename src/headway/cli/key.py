"""`headway key`: API keys, one for each client."""

from __future__ import annotations

import secrets
import sys
from typing import Annotated

import typer

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.options import ConfigFile


def new(
    name: Annotated[str, typer.Argument(help="Who will use it; shown in logs and metrics.")],
) -> None:
    """Make an API key. It is shown once; the configuration keeps only its hash."""
    import yaml

    from headway.gateway.keys.keys import hash_key

    if not (name.strip() and name.isprintable()):
        raise Failure("a key needs a name of one line, such as chat-frontend", BAD_CONFIG)
    key = f"hw-{secrets.token_urlsafe(32)}"
    entry = {"keys": [{"name": name, "sha256": hash_key(key)}]}
    print(f"Key for {name}, shown only now: {key}\n")
    print("Add it to headway.yaml; a gateway that runs with keys takes it within seconds:\n")
    print(yaml.safe_dump(entry, sort_keys=False, allow_unicode=True), end="")


def list_(config: ConfigFile = None) -> None:
    """List the keys in the configuration: who uses each, what it may do, and where it stands."""
    from headway.cli.configuration import read_configuration

    configuration = read_configuration({}, None, config)
    keys = configuration.settings.keys
    if not keys:
        print("There are no keys: whoever can connect may use the gateway.")
        return
    width = max(len(key.name) for key in keys)
    for number, key in enumerate(keys):
        may = [
            f"tenant {key.tenant or key.name}",
            f"up to tier {key.tier_ceiling}",
            f"{key.requests_per_minute} requests a minute" if key.requests_per_minute else "",
            f"{key.tokens_per_minute} tokens a minute" if key.tokens_per_minute else "",
            "admin" if key.admin else "",
            "may only look" if key.read_only else "",
            "may name tenants" if key.may_name_tenants else "",
        ]
        place = configuration.place(("keys", number, "name"))
        print(f"{key.name:{width}}  {', '.join(filter(None, may))}  ({place})")


def revoke(
    name: Annotated[str, typer.Argument(help="The key's name, as `headway key list` shows it.")],
    config: ConfigFile = None,
) -> None:
    """Take a key out of the configuration; a gateway that runs refuses it within seconds."""
    from headway.cli.configuration import read_configuration
    from headway.config.removal import entry_of, without

    configuration = read_configuration({}, None, config)
    names = [key.name for key in configuration.settings.keys]
    if name not in names:
        there = f"there are: {', '.join(names)}" if names else f"{configuration.file} has none"
        raise Failure(f"there is no key {name!r}; {there}", BAD_CONFIG)
    file = configuration.file
    place = configuration.place(("keys", names.index(name), "name"))
    if not place.startswith(f"{file}:"):
        raise Failure(f"key {name!r} comes from {place}: remove it there")
    if len(names) == 1:
        raise Failure(
            f"{name!r} is the only key, and without any everybody could use the gateway: make "
            "another one first, with `headway key new NAME`"
        )
    text = file.read_bytes().decode()
    left = without(text, "keys", name)
    if left is None:
        entry = entry_of(text, "keys", name)
        where = f"{entry.first_line} to {entry.last_line}" if entry else "with its name"
        raise Failure(f"key {name!r} shares its lines with others: edit {file}, lines {where}")
    try:
        file.write_bytes(left.encode())
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from None
    print(f"Key {name} is out of {file}; a gateway that runs refuses it within seconds.")


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
