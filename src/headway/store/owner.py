"""Who holds durable work (a run, a batch): a process of some machine, and whether it lives.

A lease lasts for seconds, so that a machine that died is noticed. A process of the same machine
that died is noticed at once, and one that lives keeps what it holds, whatever the clock says.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """One process that holds work. Its text is what the journal keeps."""

    machine: str
    pid: int
    began: str
    """When the process began, by its machine: a later process may have the same number."""
    nonce: str

    @classmethod
    def this(cls) -> Owner:
        """A new owner in this process."""
        return cls(_machine(), os.getpid(), _began(os.getpid()), secrets.token_hex(4))

    def __str__(self) -> str:
        return f"{self.machine}/{self.pid}/{self.began}/{self.nonce}"


def died(text: str) -> bool:
    """Whether the owner that `text` names is a process of this machine that is gone."""
    machine, pid, began, _ = text.rsplit("/", 3)
    return machine == _machine() and _began(int(pid)) != began


def lives(text: str) -> bool:
    """Whether it is a process of this machine that runs."""
    machine, pid, began, _ = text.rsplit("/", 3)
    return machine == _machine() and _began(int(pid)) == began


def _machine() -> str:
    try:  # containers and boots may share a name
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        space = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    except OSError:
        boot = space = ""
    return f"{socket.gethostname()}-{boot}-{space}"


def _began(pid: int) -> str:
    """When the process began, as a text; "" if there is none or it is a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return _exists(pid)
    after_name = state.rsplit(")", 1)[1].split()
    return "" if after_name[0] in "ZX" else after_name[19]


def _exists(pid: int) -> str:
    """Where there is no /proc: "alive" or ""."""
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
