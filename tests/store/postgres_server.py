"""A real PostgreSQL on loopback, for the tests of one session; none where it is not installed."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = [Path(one) for one in os.environ.get("PATH", "").split(os.pathsep)]
    needed = ("initdb", "postgres", "pg_isready")
    for folder in [*debian[::-1], *on_path]:
        if all((folder / name).exists() for name in needed):
            return folder
    return None


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of a server whose data lie in `folder`, while it runs."""
    bin_ = binaries()
    assert bin_ is not None
    # It refuses to run as root.
    user = group = None
    if os.getuid() == 0:
        _, _, user, group, *_ = pwd.getpwnam("postgres")
        os.chown(folder, user, group)

    def begun(program: str, *options: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [bin_ / program, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            user=user,
            group=group,
        )

    data = folder / "data"
    assert begun("initdb", "-D", data, "-U", "headway", "-A", "trust", "-N").wait() == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = begun("postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder)
    try:
        until = time.monotonic() + 30
        while begun("pg_isready", "-h", "127.0.0.1", "-p", str(port)).wait() != 0:
            assert server.poll() is None, "PostgreSQL ended at its start"
            assert time.monotonic() < until, "PostgreSQL does not start"
            time.sleep(0.05)
        yield f"postgresql://headway@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nobody reads the data again
        server.wait(30)


@contextmanager
def temporary() -> Iterator[str]:
    """The same in a folder of its own, which every user may enter."""
    with tempfile.TemporaryDirectory(prefix="headway-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder)) as address:
            yield address


def new_tables(server: str, name: str) -> str:
    """The address of a database that is empty: it has a schema of its own."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
    return f"{server}?options=-csearch_path%3D{name}"
