import gzip
import json
from pathlib import Path

import pytest

from headway.lab.loadtest.prompts import PromptsError, load_prompts


def test_the_set_that_ships_is_varied() -> None:
    prompts = load_prompts()
    assert len(prompts) >= 140
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert any(prompt.system for prompt in prompts)


def test_a_jsonl_file_gives_prompts_and_system_prompts(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "Hi", "system": "Be brief."}\n\n{"prompt": "Why?", "id": 4}\n')
    first, second = load_prompts(str(path))
    assert [message["role"] for message in first.messages] == ["system", "user"]
    assert second.messages == ({"role": "user", "content": "Why?"},)


def test_a_set_is_found_by_name_in_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "text" / "questions"
    folder.mkdir(parents=True)
    line = json.dumps({"id": 1, "prompt": "Who?"}).encode()
    (folder / "prompts.jsonl.gz").write_bytes(gzip.compress(line))
    assert load_prompts("questions", tmp_path)[0].text == "Who?"
    assert load_prompts("questions", tmp_path / "text")[0].text == "Who?"
    with pytest.raises(PromptsError, match="one of questions"):
        load_prompts("answers", tmp_path)


def test_a_line_ends_at_its_end_only(tmp_path: Path) -> None:
    path = tmp_path / "p.JSONL.GZ"
    text = '\ufeff{"prompt": "one\u2028and the same"}\r\n{"prompt": "two"}\n'
    path.write_bytes(gzip.compress(text.encode()))
    assert [prompt.text for prompt in load_prompts(str(path))] == ["one\u2028and the same", "two"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptsError, match=r"no prompts file 'nowhere.jsonl'"):
        load_prompts("nowhere.jsonl")


@pytest.mark.parametrize("line", ['{"text": "Hi"}', "Hi", '["Hi"]', '{"prompt": 3}'])
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "fine"}\n' + line + "\n")
    with pytest.raises(PromptsError, match=r"p.jsonl:2"):
        load_prompts(str(path))


def test_an_empty_or_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(PromptsError, match="holds no prompts"):
        load_prompts(str(tmp_path / "empty.jsonl"))
    (tmp_path / "broken.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(PromptsError, match="cannot be read"):
        load_prompts(str(tmp_path / "broken.jsonl.gz"))
