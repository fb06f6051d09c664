"""Batches: the same lists as by the direct way, byte for byte; results in any order, some failed, some read twice."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.asked_world import AskedWorld
from support.command import Command
from support.llm_server import Spoil, carried_out, llm_server, oracle


def by_batches(
    rankscope: Command, world: AskedWorld, folder: Path, *more: object, spoil: Spoil = lambda n, line: line
) -> tuple[Path, list[int]]:  # fmt: skip
    """The answers of all batches, until nothing is left to ask; the requests of each."""
    answers, requests, results = (folder / f"{name}.jsonl" for name in ("b", "requests", "results"))
    told = rankscope(*world.prompts(answers, requests, *more, "--json"))
    assert told.code == 0, told.err
    rounds = []
    while json.loads(told.out)["n_requests"]:
        rounds.append(carried_out(requests, results, spoil=spoil))
        told = rankscope("teacher", "answers", results, "--out", answers, "--requests", requests, "--json")  # fmt: skip
        assert told.code == 0, told.err
        assert len(rounds) < 500
    return answers, rounds


WAYS = [
    ("--window", 10),
    ("--passes", 2),
    ("--order", "shuffled", "--orders", 2, "--window", 30),
    ("--way", "setwise", "--top", 2, "--depth", 8),
    ("--way", "pairwise", "--top", 1, "--depth", 5),
    ("--way", "pairwise_sliding", "--top", 1, "--depth", 6),
]


@pytest.mark.parametrize("more", WAYS, ids=lambda more: " ".join(map(str, more)))
def test_batches_give_the_same_lists_byte_for_byte(
    rankscope: Command, world: AskedWorld, tmp_path: Path, more: tuple[object, ...]
) -> None:
    batched, rounds = by_batches(rankscope, world, tmp_path, *more)
    direct = tmp_path / "direct.jsonl"
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, direct, *more)).code == 0
        assert sum(rounds) == len(server.asked)
    runs = []
    for answers in (batched, direct):
        run = tmp_path / f"{answers.stem}.run"
        words = ("teacher", "read", answers, "--candidates", world.run, "--out", run, "--tag", "t")
        assert rankscope(*words).code == 0
        runs.append(run.read_bytes())
    assert runs[0] == runs[1]


def test_each_round_has_the_next_window_of_each_query(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    _, rounds = by_batches(rankscope, world, tmp_path, "--window", 10)
    assert rounds == [4, 4, 4, 4]


def test_failed_and_missing_results_are_asked_again(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    """Each round the first request fails, and the second is not among the results, as long as there are two."""

    def spoil(n: int, line: dict[str, Any]) -> dict[str, Any] | None:
        spoilt.append(n)
        if len(spoilt) > 12:
            return line
        if n == 0:
            inner = {"error": {"message": "oh no", "code": "server_error"}}
            return {**line, "response": {"status_code": 500, "body": inner}}
        return None if n == 1 else line

    spoilt: list[int] = []
    answers, rounds = by_batches(rankscope, world, tmp_path, "--window", 25, spoil=spoil)
    assert rounds[:2] == [4, 2]
    assert len(answers.read_text().splitlines()) == 5


def test_results_that_are_read_twice_change_nothing(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    answers, requests, results = (tmp_path / f"{name}.jsonl" for name in ("b", "req", "res"))
    assert rankscope(*world.prompts(answers, requests)).code == 0
    carried_out(requests, results)
    words = ("teacher", "answers", results, "--out", answers, "--requests", requests)
    first = rankscope(*words)
    assert "so far: answers\t4" in first.out
    after, whole = requests.read_text(), answers.read_bytes()
    again = rankscope(*words, "--json")
    assert json.loads(again.out)["n_results_not_waited_for"] == 4
    assert json.loads(again.out)["n_answers_taken"] == 0
    assert (requests.read_text(), answers.read_bytes()) == (after, whole)


def test_a_file_begun_by_batches_is_gone_on_with_directly(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    answers, requests, results = (tmp_path / f"{name}.jsonl" for name in ("b", "req", "res"))
    assert rankscope(*world.prompts(answers, requests)).code == 0
    carried_out(requests, results)
    assert rankscope("teacher", "answers", results, "--out", answers, "--requests", requests).code == 0  # fmt: skip
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, answers)).code == 0
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"response": {}}\n', "it has no `custom_id`"),
        ("nonsense\n", "not JSON"),
        ("", "no result is in it"),
    ],
)
def test_results_that_are_none_are_told(
    rankscope: Command, world: AskedWorld, tmp_path: Path, text: str, message: str
) -> None:
    answers, requests, results = (tmp_path / f"{name}.jsonl" for name in ("b", "req", "res"))
    results.write_text(text)
    words = ("teacher", "answers", results, "--out", answers, "--requests", requests)
    assert "no answers were begun there" in rankscope(*words).err
    assert rankscope(*world.prompts(answers, requests)).code == 0
    told = rankscope(*words)
    assert (told.code, message in told.err) == (1, True), told.err
    same = rankscope(*words[:-1], answers)
    assert "the answers are in that file" in same.err
