"""Folders of prompts and lengths."""

import gzip
import json
from contextlib import suppress

import numpy as np
import pytest

from headway.prediction.learning.examples import ExamplesError, joined, load_folder

PROMPTS = '{"id": 1, "prompt": "Hi"}\n{"id": "b", "prompt": "Why?", "kind": "x"}\n'
LENGTHS = "id,small,large\n1,5,\nb,nan,900\n"


def folder(path, prompts=PROMPTS, lengths=LENGTHS):
    path.mkdir(exist_ok=True)
    with gzip.open(path / "prompts.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(prompts)
    (path / "lengths.csv").write_text(lengths, encoding="utf-8")
    return path


def test_lengths_of_the_target_and_of_others_are_apart(tmp_path) -> None:
    read = load_folder(folder(tmp_path / "chats"), "small")
    assert (read.name, [prompt.text for prompt in read.prompts]) == ("chats", ["Hi", "Why?"])
    assert np.array_equal(read.lengths, [5.0, np.nan], equal_nan=True)
    assert np.array_equal(read.others, [[np.nan], [900.0]], equal_nan=True)
    assert len(read.answered()) == 1


def test_a_set_without_the_target_has_only_others(tmp_path) -> None:
    read = load_folder(folder(tmp_path / "chats"), "another")
    assert not read.has_target
    assert read.others.shape == (2, 2)
    assert len(joined([read, load_folder(tmp_path / "chats", "large")])) == 1


def test_no_answer_is_not_a_short_one(tmp_path) -> None:
    lengths = "id,a,b\n1,-1,0\nb,0.0,3\n"
    read = load_folder(folder(tmp_path / "chats", lengths=lengths), "a")
    assert not read.has_target
    assert np.array_equal(read.others, [[np.nan], [3.0]], equal_nan=True)


def test_what_editors_and_spreadsheets_leave_is_no_data(tmp_path) -> None:
    path = folder(tmp_path / "chats", prompts="\ufeff" + PROMPTS + "\n \n")
    (path / "lengths.csv").write_bytes(b"\xef\xbb\xbfid,a\r\n1,5\r\nb,1e2\r\n\r\n,\r\n")
    assert load_folder(path, "a").lengths.tolist() == [5.0, 100.0]


def test_messages_stand_for_a_prompt_without_the_answer_at_their_end(tmp_path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    later = [*asked, {"role": "assistant", "content": "So."}, {"role": "user", "content": "How?"}]
    answered = [*asked, {"role": "assistant", "content": "A secret that is the answer."}]
    lines = [{"id": n, "messages": one} for n, one in enumerate((asked, later, answered))]
    path = folder(tmp_path / "chats", "\n".join(map(json.dumps, lines)), "id,a\n0,5\n1,6\n2,7\n")
    first, second, third = load_folder(path, "a").prompts
    assert (first.text, first.system, first.turns) == ("Why?", "Be brief.", 1)
    assert (second.text, second.turns, second.previous_chars) == ("How?", 2, 3)
    assert third == first


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"prompts": "{not json}\n"}, "prompts.jsonl.gz, line 1: JSON"),
        ({"prompts": '{"id": 1}\n'}, "line 1: .*`prompt`"),
        ({"prompts": '{"id": 9, "prompt": "x"}\n'}, "no prompt has a length"),
        ({"lengths": ""}, "its first line must be id"),
        ({"lengths": "name,a\n1,2\n"}, "its first line must be id"),
        ({"lengths": "id,a\n1\n"}, "lengths.csv, line 2: 1 values for 2 columns"),
        ({"lengths": "id,a\n1,7\nb,8\n1,900\n"}, "lengths.csv, line 4: the id '1' is there twice"),
        (
            {"prompts": PROMPTS + '{"id": "1", "prompt": "Bye"}'},
            "line 3: the id '1' is there twice",
        ),
        ({"prompts": '{"id": 1, "messages": []}\n'}, "line 1: a line needs `prompt` or `messages`"),
        ({"lengths": "id,a,a\n1,2,3\n"}, "lengths.csv has several columns a; leave all but one"),
        ({"lengths": "id,a\n1,many\n"}, "lengths.csv, line 2: .*'many'"),
    ],
)
def test_errors_name_the_place(tmp_path, files, complaint) -> None:
    with pytest.raises(ExamplesError, match=complaint):
        load_folder(folder(tmp_path / "chats", **files), "a")


def test_missing_folders_and_missing_or_broken_files_are_refused(tmp_path) -> None:
    with pytest.raises(ExamplesError, match="there is no folder"):
        load_folder(tmp_path / "nowhere", "a")
    with pytest.raises(ExamplesError, match=r"has neither lengths.csv nor lengths.csv.gz"):
        load_folder(tmp_path, "a")
    path = folder(tmp_path / "chats")
    (path / "prompts.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(ExamplesError, match=r"prompts.jsonl.gz cannot be read"):
        load_folder(path, "a")


def test_a_file_with_a_flipped_byte_is_refused_or_can_be_read(tmp_path) -> None:
    lines = "".join(f'{{"id": {number}, "prompt": "{number**9}"}}\n' for number in range(200))
    lengths = "id,a\n" + "".join(f"{number},7\n" for number in range(200))
    path = folder(tmp_path / "chats", prompts=lines, lengths=lengths) / "prompts.jsonl.gz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with suppress(ExamplesError):
            assert len(load_folder(path.parent, "a")) == 200


def test_a_file_that_is_not_a_table_is_refused(tmp_path) -> None:
    path = folder(tmp_path / "chats", lengths="id,a\n1," + "7" * 200_000 + "\n")
    with pytest.raises(ExamplesError, match=r"lengths.csv cannot be read: field larger than"):
        load_folder(path, "a")
