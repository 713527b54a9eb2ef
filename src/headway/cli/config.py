"""`headway config show`: the effective settings and their sources."""

from __future__ import annotations

from headway.cli.options import Assignments, ConfigFile


def show(config: ConfigFile = None, assignments: Assignments = None) -> None:
    """Print every setting and where it comes from; the output is a valid headway.yaml."""
    from headway.cli.configuration import lines, read_configuration

    for line in lines(read_configuration({}, assignments, config)):
        print(line)
