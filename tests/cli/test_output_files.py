"""Files to write results to are checked first."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.cli.output_files import check_writable


def test_a_file_that_cannot_be_written_is_named_with_its_option(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.touch()
    check_writable({"--json": tmp_path / "new.json", "--csv": there, "--report": None})
    with pytest.raises(OSError, match=r"^--json cannot write .*: there is no folder .*no;"):
        check_writable({"--json": tmp_path / "no" / "new.json"})
    with pytest.raises(OSError, match=r"^--csv cannot write .*: it is a folder; name a fil"):
        check_writable({"--csv": tmp_path})
