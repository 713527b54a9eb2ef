"""`headway key list` and `revoke`: keys in a file that a person wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.test_command_line import headway, one_line_failure

from headway.config.removal import entry_of, without

HASHES = {name: str(number) * 64 for number, name in enumerate(("ada", "bob", "cy"), start=1)}
FILE = f"""\
# Our gateway.
policy: fcfs   # simple

keys:
# the website
- name: ada
  sha256: "{HASHES["ada"]}"   # made in May
  admin: true

# nightly
- sha256: "{HASHES["bob"]}"
  name: bob
  tier_ceiling: batch
  tokens_per_minute: 1000

- name: cy
  sha256: "{HASHES["cy"]}"
log:
  level: warning  # enough
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "headway.yaml"
    path.write_text(FILE)
    return path


def test_list_says_who_may_do_what_and_where_it_stands() -> None:
    out = headway("key", "list").stdout
    ada, bob = (next(line for line in out.splitlines() if name in line) for name in ("ada", "bob"))
    assert "admin" in ada and "interactive" in ada and "headway.yaml:6" in ada
    assert "batch" in bob and "1000 tokens a minute" in bob and "headway.yaml:12" in bob
    assert not any(hashed in out for hashed in HASHES.values())


def test_list_without_keys_says_what_that_means(file: Path) -> None:
    file.write_text("policy: fcfs\n")
    assert "whoever can connect may use" in headway("key", "list").stdout


def test_revoke_takes_out_its_lines_and_leaves_the_rest(file: Path) -> None:
    done = headway("key", "revoke", "bob")
    assert done.returncode == 0, done.stderr
    gone = FILE.splitlines(keepends=True)[10:14]
    assert file.read_text() == FILE.replace("".join(gone), "")
    assert headway("config", "show").returncode == 0


def test_line_ends_stay_as_they_are(file: Path) -> None:
    file.write_bytes(FILE.replace("\n", "\r\n").encode())
    assert headway("key", "revoke", "cy").returncode == 0
    left = file.read_bytes()
    assert b"name: cy" not in left and left.count(b"\r\n") == left.count(b"\n") > 10


def test_a_key_that_is_not_there_lists_those_that_are() -> None:
    line = one_line_failure(headway("key", "revoke", "dan"), 2)
    assert line == "there is no key 'dan'; there are: ada, bob, cy"


def test_the_only_key_is_not_revoked(file: Path) -> None:
    file.write_text(f"keys:\n- name: ada\n  sha256: '{HASHES['ada']}'\n")
    assert "is the only key" in one_line_failure(headway("key", "revoke", "ada"), 1)


def test_a_key_that_shares_its_lines_is_left_to_the_editor(file: Path) -> None:
    entries = ", ".join(f"{{name: {name}, sha256: '{value}'}}" for name, value in HASHES.items())
    file.write_text(f"keys: [{entries}]\n")
    line = one_line_failure(headway("key", "revoke", "ada"), 1)
    assert line == "key 'ada' shares its lines with others: edit headway.yaml, lines 1 to 1"


def test_a_key_of_the_environment_is_named(file: Path) -> None:
    file.write_text("")
    keys = f'[{{"name": "ada", "sha256": "{HASHES["ada"]}"}}]'
    line = one_line_failure(headway("key", "revoke", "ada", HEADWAY_KEYS=keys), 1)
    assert line == "key 'ada' comes from HEADWAY_KEYS: remove it there"


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6, unique=True)


@given(names, st.data(), st.booleans(), st.integers(0, 2), st.booleans())
def test_what_is_left_is_the_file_without_that_entry_or_nothing(
    names: list[str], data: st.DataObject, flow: bool, indent: int, more: bool
) -> None:
    values = {"keys": [{"name": name, "sha256": name * 64, "limits": [1, 2]} for name in names]}
    if more:
        values["log"] = [{"name": "a"}]
    text = yaml.safe_dump(values, default_flow_style=flow or None, sort_keys=False)
    if indent and not flow:
        text = "\n".join(
            " " * indent * (not line[:1].isalpha()) + line for line in text.split("\n")
        )
    name = data.draw(st.sampled_from(names))
    assert entry_of(text, "keys", name) is not None
    left = without(text, "keys", name)
    if left is not None:
        values["keys"] = [one for one in values["keys"] if one["name"] != name]
        assert yaml.safe_load(left) == values
    elif not flow:
        assert len(names) == 1
