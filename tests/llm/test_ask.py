"""`rankscope teacher ask` against a scripted server: lists, counts, faults, budgets, and what is kept."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.formats import read_run
from rankscope.llm.answer_file import answers_in
from rankscope.llm.costs import Prices
from rankscope.llm.server.budget import ledger_of
from rankscope.llm.server.terms import Paid, Served
from rankscope.llm.settings import AskChoices
from rankscope.verbs.asking import ask
from rankscope.verbs.asking.prepared import AskedAbout
from support.asked_world import AskedWorld, asked_world
from support.command import Answer, Command
from support.llm_server import (
    CREATED,
    FINGERPRINT,
    MODEL,
    Body,
    Fault,
    error,
    llm_server,
    oracle,
    shown_in,
    tokens_of,
)

Read = Callable[..., dict[str, list[str]]]


@pytest.fixture
def read(rankscope: Command, world: AskedWorld, tmp_path: Path) -> Read:
    """The lists that `teacher read` makes of a file of answers."""

    def lists(answers: Path, *more: object) -> dict[str, list[str]]:
        out = tmp_path / "read.run"
        told = rankscope("teacher", "read", answers, "--candidates", world.run, "--out", out, *more)
        assert told.code == 0, told.err
        return {q: [doc.doc_id for doc in docs] for q, docs in read_run(out).rankings.items()}

    return lists


def told_json(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert isinstance(found, dict)
    return found


def test_windows_bring_the_best_docs_up_and_the_file_says_who_answered(
    rankscope: Command, world: AskedWorld, read: Read, tmp_path: Path
) -> None:
    """25 docs in windows of 10 that move by 5: (25 - 10) / 5 + 1 = 4 requests a query, of which each carries five up."""
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle) as server:
        told = rankscope(*world.words(server.address, out, "--window", 10, "--step", 5, "--json"))
        assert len(server.asked) == 16
        assert {path for path, *_ in server.heard} == {"/v1/chat/completions"}
        body = server.asked[0]
        assert {"model": body["model"], "temperature": body["temperature"], "max_tokens": body["max_tokens"]} == {"model": "made-up", "temperature": 0.0, "max_tokens": 150}  # fmt: skip
        tokens = [sum(each) for each in zip(*server.tokens, strict=True)]
    found = told_json(told)
    assert (found["n_answers"], found["n_queries"], found["malformed"]) == (16, 4, {})
    assert [found["tokens_in"], found["tokens_out"]] == tokens
    assert found["answered_by"] == f"{MODEL} {FINGERPRINT}"
    record = next(answers_in(out)).record
    assert record["date"] == "2026-09-21T14:13:20+00:00"
    assert CREATED == 1_790_000_000
    lists = read(out)
    for query_id, ranking in lists.items():
        assert ranking[:5] == world.best_first(query_id)[:5]
        assert sorted(ranking) == sorted(world.ranked[query_id])


def test_what_is_answered_is_not_asked_again(
    rankscope: Command, world: AskedWorld, read: Read, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle) as server:
        words = world.words(server.address, out)
        assert rankscope(*words).code == 0
        n, lists = len(server.asked), read(out)
        whole = out.read_bytes()
        assert rankscope(*words).code == 0
        assert len(server.asked) == n
        out.write_bytes(b"".join(whole.splitlines(keepends=True)[:-3]))
        assert rankscope(*words).code == 0
        assert len(server.asked) == n + 3
        assert read(out) == lists
        other = rankscope(*words, "--window", 5)
    assert (other.code, "to another question (window 20 there, 5 here" in other.err) == (1, True)


def test_other_texts_are_another_question(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle) as server:
        words = world.words(server.address, out)
        assert rankscope(*words).code == 0
        corpus = world.folder / "corpus.jsonl"
        corpus.write_text(corpus.read_text().replace("passage 24 on topic 1", "passage 24 of 1"))
        told = rankscope(*words)
    assert told.code == 1
    assert "it answers another prompt than would be asked for query q1 now" in told.err


# -- ways, orders, passes ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["setwise", "pairwise", "pairwise_sliding"])
def test_sorts_find_the_best_docs_by_grade(rankscope: Command, tmp_path: Path, way: str) -> None:
    world = asked_world(tmp_path / "small", n_queries=2, n_docs=12)
    out, run = tmp_path / "answers.jsonl", tmp_path / "r.run"
    more = ("--way", way, "--top", 4, "--json")
    with llm_server(oracle) as server:
        told = told_json(rankscope(*world.words(server.address, out, *more)))
        assert told["n_answers"] == len(server.asked)
        if way == "pairwise_sliding":
            assert len(server.asked) == 2 * 2 * (11 + 10 + 9 + 8)
    told_json(rankscope("teacher", "read", out, "--candidates", world.run, "--out", run, "--json"))
    for query_id, docs in read_run(run).rankings.items():
        assert [doc.doc_id for doc in docs][:4] == world.best_first(query_id)[:4]


def test_shuffled_orders_are_joined_into_one(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    more = ("--order", "shuffled", "--orders", 3, "--seed", 5, "--window", 30)
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, out, *more)).code == 0
        first = [shown_in(body) for body in server.asked]
        assert len({tuple(shown) for shown in first}) == 12, "another order each time"
    run = tmp_path / "joined.run"
    report = told_json(
        rankscope("teacher", "read", out, "--candidates", world.run, "--out", run, "--json")
    )
    assert report["asked"]["joined_lists"] == "4 of 4 exactly central"
    assert report["agreement_of_orders"] == pytest.approx({"n_queries": 4, "kendall_tau": 1, "rank_biased_overlap": 1})  # fmt: skip
    for query_id, docs in read_run(run).rankings.items():
        assert [doc.doc_id for doc in docs] == world.best_first(query_id)


def test_an_answerer_that_copies_what_it_is_shown_has_orders_that_disagree(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    """The opposite: two shuffled orders, copied, agree by chance alone; two passes of a copy agree wholly."""
    copied = lambda body: " > ".join(f"[{n}]" for n in range(1, len(shown_in(body)) + 1))  # noqa: E731
    reports = []
    for more in (("--order", "shuffled", "--orders", 2), ("--passes", 2)):
        out = tmp_path / f"{more[0]}.jsonl"
        with llm_server(copied) as server:
            assert rankscope(*world.words(server.address, out, *more)).code == 0
        words = ("teacher", "read", out, "--candidates", world.run, "--out", tmp_path / "r.run")
        reports.append(told_json(rankscope(*words, "--beside", world.run, "--json")))
    assert abs(reports[0]["agreement_of_orders"]["kendall_tau"]) < 0.5
    assert reports[1]["agreement_of_passes"]["kendall_tau"] == pytest.approx(1)
    assert reports[1]["agreement_with_made-up"]["rank_biased_overlap"] == pytest.approx(1.0)


def test_a_bias_for_the_first_passage_is_told_by_pairs(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    with llm_server(lambda body: "Passage A") as server:
        words = world.words(server.address, out, "--way", "pairwise_sliding", "--top", 2)
        assert rankscope(*words).code == 0
    words = ["teacher", "read", out, "--candidates", world.run, "--out", tmp_path / "r.run"]
    report = told_json(rankscope(*words, "--json"))
    assert report["asked"]["pairs_answered_differently_in_their_two_orders"] == "188 of 188"


def test_reading_needs_the_docs_that_were_shown_and_the_way_they_were_read(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out, other = tmp_path / "answers.jsonl", tmp_path / "other.run"
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, out)).code == 0
    other.write_text(world.run.read_text().replace(" 1000 made-up", " 1 made-up"))
    told = rankscope("teacher", "read", out, "--candidates", other, "--out", tmp_path / "r.run")
    assert "other docs were shown than the candidates have" in told.err
    words = ("teacher", "read", out, "--candidates", world.run, "--out", tmp_path / "r.run")
    assert "it was asked for with --malformed repair," in rankscope(*words, "--malformed", "repair_as_published").err  # fmt: skip
    assert rankscope(*words, "--malformed", "drop").code == 0


# -- faults ------------------------------------------------------------------------------------------

CUT = 60
ONCE: dict[str, Fault] = {
    "too many requests": error(429, "slow down"),
    "too many requests, for a moment": error(429, "slow down", retry_after="0.05"),
    "too many requests, until a date": error(429, "slow down", retry_after=formatdate(usegmt=True)),
    "broken": error(500, "oh"),
    "overloaded": error(503, "oh", retry_after="0"),
    "slow": Fault(waits=1.0),
    "cut in the middle": Fault(cut_after=CUT),
    "cut before the first byte": Fault(cut_after=0),
    "half JSON": Fault(body=b'{"choices": [{"message": {"con'),
    "no JSON": Fault(body=b"<html>gateway</html>"),
    "no choices": Fault(body={"choices": []}),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ONCE)
def test_a_fault_that_passes_costs_an_attempt(
    rankscope: Command, world: AskedWorld, read: Read, tmp_path: Path, name: str
) -> None:
    """The third request of the command goes wrong, and once more the fourth: the lists are those without a fault."""
    out, right = tmp_path / "answers.jsonl", tmp_path / "right.jsonl"
    with llm_server(oracle, fault=lambda n, body: ONCE[name] if n in (2, 3) else None) as server:
        words = world.words(server.address, out, "--timeout", 0.5, "--window", 10, "--json")
        told = told_json(rankscope(*words))
        assert told["n_requests_tried_again"] == 2
        assert len(server.asked) == 16 + 2
        assert told["n_answers"] == 16
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, right, "--window", 10)).code == 0
    assert read(out) == read(right)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_server_says_how_long_to_wait(
    rankscope: Command, world: AskedWorld, tmp_path: Path, form: str
) -> None:
    """After a `Retry-After` of a second no request of any query is sent for a second; a date has whole seconds."""

    def fault(n: int, body: Body) -> Fault | None:
        wait = "1" if form == "seconds" else formatdate(time.time() + 2, usegmt=True)
        return error(429, "slow down", retry_after=wait) if n == 0 else None

    with llm_server(oracle, fault=fault) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--parallel", 1)
        assert rankscope(*words).code == 0
        times = [at for *_, at in server.heard]
    assert 0.9 <= times[1] - times[0] < 3


ALWAYS: dict[str, tuple[Fault, str]] = {
    "broken": (error(500, "oh"), "did not answer a request in 3 attempts (code 500: oh)"),
    "a wait of hours": (error(429, "slow down", retry_after="9999"), "asks to wait 9,999 s"),
    "no money": (
        error(429, "you exceeded your quota", code="insufficient_quota"),
        "the account has no money left",
    ),
    "no key": (error(401, "no key was given"), "It wants a key: set $OPENAI_API_KEY"),
    "wrong model": (error(404, "no such model"), "has no model 'made-up'"),
    "context too long": (
        error(400, "This model's maximum context length is 4096 tokens", code="context_length_exceeded"),
        "The prompt is too long for made-up",
    ),
    "llama.cpp's context": (
        error(400, "the request exceeds the available context size"),
        "shorter passages (--passage-words) or fewer at once (--window)",
    ),
    "a field it does not have": (
        error(400, "Unsupported parameter: 'max_tokens'"),
        "Its fields are set, or left out, with --field",
    ),
    "silence": (Fault(waits=0.6), "no answer within 0.2 s"),
}  # fmt: skip


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ALWAYS)
def test_a_fault_that_stays_is_one_sentence_with_what_is_kept(
    rankscope: Command, world: AskedWorld, tmp_path: Path, name: str
) -> None:
    fault, words = ALWAYS[name]
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle, fault=lambda n, body: fault if n >= 5 else None) as server:
        told = rankscope(*world.words(server.address, out, "--parallel", 2, "--retries", 2, "--timeout", 0.2, "--window", 10))  # fmt: skip
    assert (told.code, told.out) == (1, "")
    assert words in told.err
    assert told.err.count("\n") == 1
    assert f"5 answers are kept in {out}: the same command goes on from there." in told.err
    assert len([*answers_in(out)]) == 5


@pytest.mark.usefixtures("impatient")
def test_no_server_and_no_address(rankscope: Command, world: AskedWorld, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    told = rankscope(*world.words("http://127.0.0.1:9/v1", out, "--retries", 1))
    assert "cannot be reached" in told.err
    assert "0 answers are kept" in told.err
    for address, message in (
        ("localhost:8000", "this is no address of a server"),
        ("http://localhost:x/v1", "this is no address of a server"),
        ("http://localhost/v1/chat/completions", "leave out /chat/completions"),
        ("https://api.openai.com/v1", "api.openai.com wants a key, and $OPENAI_API_KEY is not set"),
    ):
        told = rankscope(*world.words(address, out))
        assert (told.code, message in told.err) == (1, True), told.err


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("", "empty"),
        (None, "empty"),
        ("I'm sorry, but I cannot rank these.", "refusal"),
        ("They are all good.", "no list"),
        ("[1] > [1] > [2]", "repeated"),
        ("[99] > [1]", "out of range"),
    ],
)
def test_malformed_answers_are_kept_counted_and_paid_once(
    rankscope: Command, world: AskedWorld, tmp_path: Path, answer: str | None, kind: str
) -> None:
    """Of four queries one is answered so; its docs stay as they are, where the answer is no order."""

    def answered(body: Body) -> str | None:
        return answer if "topic 1" in str(body["messages"]) else oracle(body)

    out = tmp_path / "answers.jsonl"
    with llm_server(answered) as server:
        told = told_json(rankscope(*world.words(server.address, out, "--json")))
        assert len(server.asked) == 8
    assert told["malformed"][kind] == 2
    words = ["teacher", "read", out, "--candidates", world.run, "--out", tmp_path / "r.run"]
    report = told_json(rankscope(*words, "--json"))
    assert report["malformed"][kind] == 2
    assert report["n_answers"] == 8
    assert sum(report["dropped_lists"].values()) == (kind in ("empty", "refusal", "no list"))


def test_a_filtered_prompt_is_a_refusal(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    fault = error(400, "the prompt was filtered", code="content_filter")
    with llm_server(oracle, fault=lambda n, body: fault if n == 0 else None) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--json")
        told = told_json(rankscope(*words))
    assert (told["n_answers"], told["malformed"]) == (8, {"refusal": 1})
    records = [answer.record for answer in answers_in(tmp_path / "a.jsonl")]
    assert [record["refusal"] for record in records if "refusal" in record] == ["the prompt was filtered"]  # fmt: skip


# -- money -------------------------------------------------------------------------------------------

PRICES = ("--price-in", 1000, "--price-out", 2000)


def paid(tokens: list[tuple[int, int]]) -> float:
    """What the server's answers cost at these prices."""
    return sum(1000 * asked + 2000 * answered for asked, answered in tokens) / 1e6


def test_a_dry_run_needs_no_key(
    rankscope: Command, world: AskedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What asking will cost is asked before anybody has an account."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    words = world.words("https://api.openai.com", tmp_path / "answers.jsonl", *PRICES, "--json")
    assert told_json(rankscope(*words, "--dry-run"))["n_requests"] == 8
    refused = rankscope(*words)
    assert refused.code == 1
    assert "api.openai.com wants a key, and $OPENAI_API_KEY is not set" in refused.err
    no_address = rankscope(*world.words("no address", tmp_path / "answers.jsonl"), "--dry-run")
    assert "--endpoint: this is no address of a server" in no_address.err


def test_a_dry_run_sends_nothing_and_tells_what_will_come(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    """Twice four windows; the money of a dry run bounds what is paid, and is near to it."""
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle) as server:
        words = world.words(server.address, out, *PRICES, "--json")
        told = told_json(rankscope(*words, "--dry-run"))
        assert (server.asked, out.exists()) == ([], False)
        assert (told["n_requests"], told["n_lists"]) == (8, 4)
        found = told_json(rankscope(*words))
        cost = paid(server.tokens)
    assert found["cost"] == pytest.approx(cost)
    assert cost <= told["cost_at_most"]
    assert cost / 3 < told["cost_about"] < told["cost_at_most"]
    sorts = told_json(rankscope(*words[:-1], "--way", "setwise", "--dry-run", "--json"))
    assert sorts["n_requests_at_most"] > 4 * 8


@pytest.mark.parametrize("has_usage", [True, False])
@pytest.mark.parametrize("parallel", [1, 4])
def test_a_budget_is_not_passed_and_more_of_it_goes_on(
    rankscope: Command, world: AskedWorld, tmp_path: Path, parallel: int, has_usage: bool
) -> None:
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle, has_usage=has_usage) as server:
        words = world.words(server.address, out, *PRICES, "--parallel", parallel, "--window", 10)
        told = rankscope(*words, "--budget", 4)
        assert told.code == 1
        assert "The budget of 4 is used up" in told.err
        assert f"kept in {out}: the same command goes on from there." in told.err
        assert 0 < paid(server.tokens) <= 4
        n = len(server.asked)
        assert 0 < n < 16
        assert rankscope(*words, "--budget", 4).code == 1
        assert len(server.asked) == n, "what was spent before counts"
        assert rankscope(*words, "--budget", 200).code == 0
        assert len(server.asked) == 16
    assert not ledger_of(out).exists()


@pytest.mark.usefixtures("impatient")
def test_answers_that_never_came_may_be_paid_and_count_against_the_budget(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    """Each attempt is answered and paid, but the connection breaks: the money ends before the attempts do."""
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle, fault=lambda n, body: Fault(cut_after=CUT)) as server:
        words = world.words(server.address, out, *PRICES, "--retries", 100)
        told = rankscope(*words, "--budget", 30)
        assert "The budget of 30 is used up" in told.err
        assert 0 < paid(server.tokens) <= 30
        n = server.n_paid
        assert rankscope(*words, "--budget", 30).code == 1
        assert server.n_paid == n, "they count in the next command too"


def test_a_budget_needs_prices(rankscope: Command, world: AskedWorld, tmp_path: Path) -> None:
    told = rankscope(*world.words("http://localhost:1/v1", tmp_path / "a.jsonl", "--budget", 1))
    assert "Give --price-in and --price-out" in told.err


def test_tokens_of_the_scripted_server_stay_below_the_bound() -> None:
    """The budget's bound holds for a server that counts words, as this one does."""
    from rankscope.llm.costs import TokenCounting

    messages = [{"role": "user", "content": "a b c"}]
    assert tokens_of({"messages": messages}, "x")[0] <= TokenCounting().at_most(messages)


# -- requests ----------------------------------------------------------------------------------------


def test_queries_run_beside_each_other_but_windows_of_one_in_order(
    rankscope: Command, tmp_path: Path
) -> None:
    world = asked_world(tmp_path / "many", n_queries=12, n_docs=20)
    with llm_server(oracle, waits=0.02) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--window", 10, "--parallel", 3)
        assert rankscope(*words).code == 0
        assert server.most_at_once == 3
        ends = {}
        for body in server.asked:
            topic = shown_in(body)[0].split("topic ")[1].split(",")[0]
            ends.setdefault(topic, []).append(len(shown_in(body)))
    assert {tuple(each) for each in ends.values()} == {(10, 10, 10)}


def test_further_fields_are_sent_and_null_leaves_one_out(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    fields = ("--field", "temperature=null", "--field", "max_completion_tokens=500", "--field", "reasoning_effort=low")  # fmt: skip
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, out, *fields)).code == 0
        body = server.asked[0]
    assert {*body} == {"model", "messages", "max_completion_tokens", "reasoning_effort"}
    assert (body["max_completion_tokens"], body["reasoning_effort"]) == (500, "low")
    told = rankscope(*world.words(server.address, out, "--field", "n=2"))
    assert "give NAME=VALUE, for another field" in told.err


def test_what_is_cut_off_at_the_most_tokens_is_counted(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    def fault(n: int, body: Body) -> Fault | None:
        made = {"choices": [{"message": {"content": "[1] > [2"}, "finish_reason": "length"}]}
        return Fault(body=made) if n == 0 else None

    with llm_server(oracle, fault=fault) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--json")
        found = told_json(rankscope(*words))
    assert (found["n_cut_off_at_max_tokens"], found["n_with_estimated_tokens"]) == (1, 1)


def test_passages_that_are_cut_are_counted(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    with llm_server(lambda body: "[1] > [2]") as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--passage-words", 4, "--json")
        assert told_json(rankscope(*words))["passages_cut"] == "100 of 100 shown"
        assert shown_in(server.asked[0])[0].split()[-1] == "topic"


def test_what_is_missing_is_told_before_anything_is_sent(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    with llm_server(oracle) as server:
        words = world.words(server.address, out)
        other = asked_world(tmp_path / "other", n_queries=1, n_docs=3)
        words[5] = other.folder
        assert "queries have no text in the collection (first: q1)" in rankscope(*words).err
        words = world.words(server.address, out)
        world.run.write_text(world.run.read_text().replace("d1-3 ", "d9-9 "))
        assert "1 ranked doc is not in the collection (first: d9-9)" in rankscope(*words).err
        assert server.asked == []
    assert not out.exists()


def test_a_key_goes_to_the_server_and_a_login_of_the_address_in_its_place(
    rankscope: Command, world: AskedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-made-up-key-0123456789")
    with llm_server(oracle) as server:
        words = world.words(server.address, tmp_path / "a.jsonl", "--key-env", "MY_KEY")
        assert rankscope(*words).code == 0
        assert {headers["authorization"] for _, headers, _ in server.heard} == {"Bearer sk-made-up-key-0123456789"}  # fmt: skip
        server.heard.clear()
        address = server.address.replace("http://", "http://me:made%20up%20word@") + "?version=2026-11"  # fmt: skip
        assert rankscope(*world.words(address, tmp_path / "b.jsonl")).code == 0
        path, headers, _ = server.heard[0]
    assert path == "/v1/chat/completions?version=2026-11"
    assert headers["authorization"] == "Basic bWU6bWFkZSB1cCB3b3Jk"
    assert os.environ["MY_KEY"].startswith("sk-")


class Recorder:
    """Keeps what a watcher of progress is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int, int]] = []
        self.told: list[tuple[int, dict[str, float]]] = []

    @contextmanager
    def task(self, label: str, total: int, unit: str, *, done: int = 0) -> Iterator["Recorder"]:
        self.begun.append((label, total, done))
        yield self

    def advance(self, n: int = 1, **facts: float) -> None:
        self.told.append((n, facts))

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.mark.parametrize("way", ["listwise", "setwise"])
def test_progress_comes_to_its_end_and_tells_the_money_that_is_left(
    world: AskedWorld, tmp_path: Path, way: str
) -> None:
    """What a sort need not ask is counted as done, so that the time left is right."""
    recorder = Recorder()
    with llm_server(oracle) as server:
        settings = ask.AskSettings(
            AskChoices("made-up", way=way),
            AskedAbout(world.run, str(world.folder)),
            tmp_path / "a.jsonl",
            Served(server.address),
            Paid(Prices(1000, 2000), budget=10_000),
        )
        ask.ask(settings, recorder)
        assert recorder.told
        cost = paid(server.tokens)
    ((_, total, done),) = recorder.begun
    assert done + sum(n for n, _ in recorder.told) == total
    last = [facts for _, facts in recorder.told if facts][-1]
    assert last["money spent"] == pytest.approx(cost)
    assert last["money left"] == pytest.approx(10_000 - cost)


def test_a_file_that_is_not_finished_gives_the_lists_that_are(
    rankscope: Command, world: AskedWorld, tmp_path: Path
) -> None:
    """The last query's second window is missing; ids are looked up in the collection, as a study does."""
    out, run = tmp_path / "answers.jsonl", tmp_path / "r.run"
    with llm_server(oracle) as server:
        assert rankscope(*world.words(server.address, out, "--parallel", 1)).code == 0
    lines = out.read_text().splitlines(keepends=True)
    (last,) = (line for line in lines[1:] if json.loads(line)["query_id"] == "q3" and json.loads(line)["number"] == 1)  # fmt: skip
    lines.remove(last)
    out.write_text("".join(lines))
    words = ["teacher", "read", out, "--candidates", world.run, "--out", run, "--json"]
    report = told_json(rankscope(*words, "--collection", world.folder))
    assert report["dropped_lists"] == {"not all of its questions are answered": 1}
    assert [*read_run(run).rankings] == ["q0", "q1", "q2"]
    out.write_text("".join(lines[:2]))
    told = rankscope(*words)
    assert "no list is left (not all of its questions are answered: 4)" in told.err
