"""Text in files: read whatever it is compressed with, or refused by what it is."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from headway.text_files import TextFileError, reading, writing

TEXT = "a,b\n1,é\n"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "T.CSV.GZ", "t.csv.zst", "t.ZST"])
def test_what_is_written_comes_back(tmp_path: Path, name: str) -> None:
    if name.lower().endswith(".zst"):
        pytest.importorskip("pyarrow", reason="headway[parquet] is not installed")
    with writing(tmp_path / name) as file:
        file.write(TEXT)
    assert (tmp_path / name).read_bytes().startswith(b"a,b") == name.endswith(".csv")
    with reading(tmp_path / name) as file:
        assert file.read() == TEXT


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    marked = TEXT.encode("utf-8-sig")
    for content in (marked, gzip.compress(marked), TEXT.encode("utf-16")):
        (tmp_path / "t.csv").write_bytes(content)
        with reading(tmp_path / "t.csv") as file:
            assert file.read() == TEXT


def test_a_compressed_file_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(gzip.compress(TEXT.encode()))
    with reading(tmp_path / "t.csv") as file:
        assert file.read() == TEXT


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.gz", b"no gzip", "t.gz cannot be read: Not a gzipped file"),
        (
            "t.gz",
            gzip.compress(TEXT.encode(), mtime=0)[:-9],
            "t.gz cannot be read: Compressed file ended",
        ),
        ("t.csv", b"a\xff\xfe", "t.csv cannot be read: it is no text in UTF-8"),
        ("t.csv", b"\xff\xfea", "t.csv cannot be read: it is no text in UTF-8"),
        ("t.xlsx", b"PK\x03\x04...", "is a ZIP archive or a spreadsheet; unpack it, or save it"),
        ("t.csv.xz", b"\xfd7zXZ\x00..", "is compressed with xz; unpack it"),
        ("t.csv.bz2", b"BZh91AY", "is compressed with bzip2; unpack it"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TextFileError) as caught, reading(tmp_path / name) as file:
        file.read()
    assert says in str(caught.value)
    with (
        pytest.raises(TextFileError, match=r"none\.csv cannot be read"),
        reading(tmp_path / "none.csv"),
    ):
        pass


def test_without_pyarrow_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "t.csv.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd")
    says = r"t\.csv\.zst is compressed with Zstandard, for which pyarrow is missing; `.*pip install"
    with pytest.raises(TextFileError, match=says), reading(path):
        pass
    with pytest.raises(TextFileError, match=says), writing(path):
        pass
