"""What of this machine an embedded engine may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway import machine


def test_a_container_s_limit_counts_where_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_MEMORY_LIMIT", limit)
    whole_mib = machine.usable_memory_mib()
    assert whole_mib > 0
    limit.write_text("max\n")
    assert machine.usable_memory_mib() == whole_mib
    limit.write_text(f"{100 << 20}\n")
    assert machine.usable_memory_mib() == min(100, whole_mib)


@pytest.mark.parametrize(
    ("memory_mib", "saved_mib"), [(2_048, 512), (16_384, 819), (1_000_000, 8_192)]
)
def test_saved_state_takes_a_small_part_of_the_memory(memory_mib: int, saved_mib: int) -> None:
    assert machine.saved_state_mib(memory_mib) == saved_mib
