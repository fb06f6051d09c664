import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.plain_json import json_list, json_value
from rankscope.data.answers import read_answers
from rankscope.data.candidates import read_candidates
from rankscope.data.collections import LocalFiles
from rankscope.data.listed import read_listed
from rankscope.data.lists import READERS, given_lists
from rankscope.data.names import AsGiven

HALF = r"cut \ud83d"
"""As JSON has it; the line before it holds a whole character in two escapes."""
WHOLE = r"whole \ud83d\ude00"


def test_a_whole_character_in_two_escapes_is_read_and_half_of_one_is_not() -> None:
    assert json_value(f'{{"text": "{WHOLE}"}}', "a") == {"text": "whole 😀"}
    said = r"a, line 3: `text` holds half a character \('\\ud83d', a lone surrogate\)"
    with pytest.raises(BadInput, match=said):
        json_value(f'{{"id": 1, "more": [{{"text": ["x", "{HALF}"]}}]}}', "a, line 3")
    with pytest.raises(BadInput, match="a, entry 2: the text holds half a character"):
        json_list(f'["{WHOLE}", "{HALF}"]', "a")
    assert json_value(r'"\\ud83d"', "a") == r"\ud83d", "a backslash and letters"


def test_a_name_stands_in_a_table_once() -> None:
    with pytest.raises(ValueError, match="'b' stands twice in one table"):
        json_value('{"a": {"b": 1, "b": 2}}', "a")
    with pytest.raises(json.JSONDecodeError):
        json_list('["a"', "a")


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _texts(path: Path) -> Any:
    return [*LocalFiles(docs_path=path, queries_path=path, qrels_path=path).docs()]


def _answers(path: Path) -> Any:
    shown = path.with_name("shown.run")
    shown.write_text("q Q0 d 1 1.0 t\n")
    return read_answers(path, read_candidates(shown, AsGiven()), AsGiven())


CUT = json.loads(f'"{HALF}"')
DOORS: dict[str, tuple[Callable[[Path], Any], dict[str, Any]]] = {
    "a doc's text": (_texts, {"_id": "d", "text": CUT}),
    "a doc's field that is not read": (_texts, {"_id": "d", "text": "x", "metadata": {"url": CUT}}),
    "a query of RankLLM's": (read_run, {"query": {"qid": "q", "text": CUT}, "candidates": [{"docid": "d", "score": 1}]}),
    "a doc id of RankLLM's": (read_run, {"query": {"qid": "q"}, "candidates": [{"docid": CUT, "score": 1}]}),
    "a grade": (read_qrels, {"q": {"d": CUT}}),
    "an answer": (_answers, {"query_id": "q", "response": f"[1] > {CUT}"}),
    "candidates of RankGPT's": (
        lambda path: read_candidates(path, AsGiven()),
        {"query_id": "q", "query": CUT, "retrieved_passages": [{"docid": "d"}]},
    ),
    "a listed text": (lambda path: read_listed(path, "dpr"), {"question": CUT}),
    **{
        f"a list of {kind}": (lambda path, kind=kind: [*given_lists(path, kind)], {"query": CUT, "pos": ["x", CUT]})  # type: ignore[misc]
        for kind in READERS
    },
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_half_a_character_in(tmp_path: Path, door: str) -> None:
    """Before: an answer's and a FlagEmbedding text's were kept, and writing them down ended in a UnicodeEncodeError."""
    read, entry = DOORS[door]
    path = written(tmp_path / "a.json", entry)
    with pytest.raises(BadInput, match=r"a\.json(, line 1)?: `\w+` holds half a character"):
        read(path)
