"""The file of answers: healed, refused, locked; each answer stands there once."""

import json
from pathlib import Path

import pytest

from rankscope.core.errors import BadInput
from rankscope.llm.answer_file import AnswerFile, Head, Key, answers_in, head_of

HEAD = Head({"model": "m", "window": 20, "fields": {}}, {"run": "bm25.run"})
RECORD = {"prompt": "abc", "response": "[1]"}


def begun(path: Path, n: int = 2) -> Path:
    file = AnswerFile.opened(path, HEAD)
    for number in range(n):
        file.add(Key("q", 0, number), RECORD)
    file.close()
    return path


def keys(path: Path) -> list[Key]:
    return [answer.key for answer in answers_in(path)]


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    path = begun(tmp_path / "sub" / "a.jsonl")
    assert head_of(path) == HEAD
    file = AnswerFile.opened(path, HEAD)
    assert [*file.stored] == [Key("q", 0, 0), Key("q", 0, 1)]
    file.add(Key("q", 1, 0), RECORD | {"response": None})
    file.close()
    assert len(keys(path)) == 3
    assert [answer.response for answer in answers_in(path)][-1] == ""


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_cut_off_is_removed(tmp_path: Path, cut: int) -> None:
    path = begun(tmp_path / "a.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    AnswerFile.opened(path, HEAD).close()
    assert keys(path) == [Key("q", 0, 0)]
    assert whole.startswith(path.read_bytes())


@pytest.mark.parametrize("left", [0, 1, 5, 30])
def test_a_head_that_was_cut_off_is_written_again(tmp_path: Path, left: int) -> None:
    path = begun(tmp_path / "a.jsonl", 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    AnswerFile.opened(path, HEAD).close()
    assert path.read_bytes() == whole


def test_answers_to_another_question_are_refused_and_kept(tmp_path: Path) -> None:
    path = begun(tmp_path / "a.jsonl")
    whole = path.read_bytes()
    with pytest.raises(BadInput, match="to another question .window 20 there, 10 here."):
        AnswerFile.opened(path, HEAD._replace(asked={**HEAD.asked, "window": 10}))
    with pytest.raises(BadInput, match="temperature null there, 1 here"):
        AnswerFile.opened(path, HEAD._replace(asked={**HEAD.asked, "temperature": 1}))
    AnswerFile.opened(path, HEAD._replace(origin={"run": "moved.run"})).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize("text", ["no json\n", '{"query_id": "q", "response": "[1]"}\n', "half"])
def test_another_file_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match="did not write it"):
        AnswerFile.opened(path, HEAD)
    assert path.read_text() == text


def test_two_commands_do_not_write_one_file(tmp_path: Path) -> None:
    first = AnswerFile.opened(tmp_path / "a.jsonl", HEAD)
    with pytest.raises(BadInput, match="another command is adding answers"):
        AnswerFile.opened(tmp_path / "a.jsonl", HEAD)
    first.close()
    AnswerFile.opened(tmp_path / "a.jsonl", HEAD).close()


def test_a_question_that_is_answered_twice_is_told(tmp_path: Path) -> None:
    path = begun(tmp_path / "a.jsonl", 1)
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(BadInput, match="line 3: the same question is answered above too"):
        AnswerFile.opened(path, HEAD)


def test_half_characters_of_a_server_do_not_spoil_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    file = AnswerFile.opened(path, HEAD)
    file.add(Key("q", 0, 0), {"prompt": "p", "response": "\ud800 \u2028 [1]"})
    file.close()
    assert [answer.response for answer in answers_in(path)] == ["? \u2028 [1]"]
    assert len(path.read_text().splitlines()) == 2
    assert json.loads(path.read_text().splitlines()[0])["from"] == {"run": "bm25.run"}
