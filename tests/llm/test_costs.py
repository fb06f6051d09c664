"""What LLMs and rankers cost: told beside runs, in `compare`, and in sentences whose numbers are known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from rankscope.core.judged.comparisons import Place, Verdict
from rankscope.core.judged.costs import AnswerCost, SystemCost, together
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.wording import costs
from support import tiny
from support.asked_world import AskedWorld
from support.command import Command
from support.llm_server import llm_server, oracle
from support.made_up_study import made_up

HERE = Place("dev", "bm25")
LLM = SystemCost(10, 50.0, AnswerCost(90, 40_000, 2_000, money=0.5))
STUDENT = SystemCost(
    10, 2.0, training=100.0, lists=AnswerCost(900, 0, 0, money=5.0), lists_seconds=500.0
)


def test_costs_by_hand() -> None:
    assert (LLM.seconds_a_query, LLM.money_a_query) == (5.0, 0.05)
    assert LLM.seconds_once is None
    assert (STUDENT.seconds_a_query, STUDENT.money_a_query) == (0.2, None)
    assert STUDENT.seconds_once == 600.0
    priced = replace(STUDENT, price_per_hour=3.6)
    assert priced.money_a_query == pytest.approx(0.0002)
    assert priced.money_once == pytest.approx(0.1 + 5.0)
    assert together([]) is None
    assert together([LLM.answers, LLM.answers]) == AnswerCost(180, 80_000, 4_000, money=1.0)  # type: ignore[list-item]
    assert together([LLM.answers, AnswerCost(1, 1, 1)]).money is None  # type: ignore[list-item, union-attr]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.000123456, "0.000123"), (0.41, "0.410"), (12.34, "12.3"), (1234.5, "1,234"), (9.999, "10.0")],
)  # fmt: skip
def test_amounts_have_three_digits(number: float, text: str) -> None:
    assert costs.amount(number) == text


def judged(verdict: Verdict) -> EvaluationRecord:
    """The made-up study, in which C was compared with plain, with this verdict."""
    whole = made_up().evaluation
    rows = [row for row in whole.comparisons if (row.system, row.baseline, row.measure) == ("C", "plain", "nDCG@10")]  # fmt: skip
    changed = [replace(row, judged=replace(row.judged, verdict=verdict)) for row in rows]
    return replace(whole, comparisons=tuple(changed))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.BETTER, "C is better than plain on dev (nDCG@10 "),
        (Verdict.WORSE, "C is worse than plain on dev (nDCG@10 "),
        (Verdict.EQUIVALENT, "C is equivalent to plain on dev (nDCG@10 "),
        (Verdict.CANNOT_TELL, "We cannot tell C from plain on dev (nDCG@10 "),
    ],
)
def test_a_sentence_has_its_verdict_its_test_and_both_costs(verdict: Verdict, said: str) -> None:
    evaluation = judged(verdict)
    place = evaluation.places[0]
    (pair,) = costs.pairs(evaluation, {(place, "C"): STUDENT, (place, "plain"): LLM})
    assert pair.sentence.startswith(said)
    assert "corrected p " in pair.sentence
    assert "A query takes C 0.200 s and plain 5.00 s (25.0 times less)." in pair.sentence
    once = "Before its first query it took 600 s, its teacher's 900 answers among them: in time, 125 queries of plain make up for that."
    assert once in pair.sentence
    assert ("minimum detectable effect" in pair.sentence) == (verdict is Verdict.CANNOT_TELL)


def test_where_prices_are_known_money_decides() -> None:
    evaluation = judged(Verdict.WORSE)
    place = evaluation.places[0]
    known = {(place, "C"): replace(STUDENT, price_per_hour=3.6), (place, "plain"): LLM}
    (pair,) = costs.pairs(evaluation, known)
    assert "and costs 0.000200 and 0.0500 (250 times less)." in pair.sentence
    assert "in money, 102 queries of plain make up for that." in pair.sentence
    unit, points = costs.points(evaluation, known, place)
    assert unit == "Money"
    assert [(p["system"], p["is_llm"]) for p in points] == [("plain", True), ("C", False)]


def test_a_ranker_that_is_slower_is_said_to_be() -> None:
    evaluation = judged(Verdict.BETTER)
    place = evaluation.places[0]
    known = {(place, "C"): replace(STUDENT, seconds=100.0), (place, "plain"): LLM}
    (pair,) = costs.pairs(evaluation, known)
    assert "(2.00 times more)" in pair.sentence
    assert "make up" not in pair.sentence


def test_compare_tells_what_teacher_read_and_rerank_told(
    world: AskedWorld, rankscope: Command, tmp_path: Path
) -> None:
    """Requests and tokens are the server's; the ranker's seconds are its own; the sentence stands under the table."""
    with llm_server(oracle) as server:
        told = rankscope(*world.words(server.address, tmp_path / "a.jsonl"))
        assert told.code == 0, told.err
    llm, mine = tmp_path / "llm.run", tmp_path / "mine.run"
    told = rankscope(
        "teacher", "read", tmp_path / "a.jsonl", "--candidates", world.run, "--out", llm, "--price-in", "1000",
        "--price-out", "2000", "--json",
    )  # fmt: skip
    assert told.code == 0, told.err
    tokens_in, tokens_out = (sum(each) for each in zip(*server.tokens, strict=True))
    money = (1000 * tokens_in + 2000 * tokens_out) / 1e6
    assert json.loads(told.out)["asked"]["cost"] == pytest.approx(money)
    beside = yaml.safe_load((tmp_path / "llm.run.ir_metadata.yml").read_text())
    assert beside["resources"]["rankscope"]["answers"]["n_requests"] == len(server.asked)
    tiny.cross_encoder(tmp_path / "c").save(tmp_path / "ranker")
    told = rankscope("rerank", tmp_path / "ranker", "--collection", world.folder, "--run", world.run, "--out", mine)  # fmt: skip
    assert told.code == 0, told.err
    words = (
        "compare",
        f"mine={mine}",
        f"llm={llm}",
        "--qrels",
        world.folder,
        "--measures",
        "nDCG@10",
    )
    told = rankscope(*words)
    assert told.code == 0, told.err
    lines = " ".join(told.out.split())
    assert "requests a query" in lines
    assert f" {len(server.asked) / 4:.1f} " in lines
    assert f" {costs.amount(money / 4)} " in lines
    assert "A query takes mine " in lines
    found = json.loads(rankscope(*words, "--json").out)
    assert found["costs"]["llm"]["answers"]["tokens_in"] == tokens_in
    assert found["costs"]["mine"]["n_queries"] == 4
    page = tmp_path / "page.html"
    assert rankscope(*words, "--html", "--out", page).code == 0
    assert '<section id="costs">' in page.read_text()
    (tmp_path / "llm.run.ir_metadata.yml").write_text("resources: {rankscope: {seconds: many}}")
    told = rankscope(*words)
    assert told.code == 1
    assert "llm.run.ir_metadata.yml" in told.err


def test_without_an_llm_nothing_is_said_of_costs(
    world: AskedWorld, rankscope: Command, tmp_path: Path
) -> None:
    again = tmp_path / "again.run"
    told = rankscope("search", "bm25", "--collection", world.folder, "--out", again)
    assert told.code == 0, told.err
    told = rankscope("compare", again, world.run, "--qrels", world.folder)
    assert told.code == 0, told.err
    assert "cost" not in told.out
