"""A study whose teacher is an LLM on a server: its answers are a step, it is a system, and what learnt from it is judged."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from rankscope.core.errors import AskingStopped, BadStudy
from rankscope.core.formats import read_run
from rankscope.core.judged.evaluation import EVALUATION, EvaluationRecord
from rankscope.pipeline.planner import Plan
from rankscope.report.wording.costs import amount
from rankscope.store.artifacts import Store, read_record
from rankscope.store.fingerprint import Digests
from rankscope.study import runner
from rankscope.study.load import load
from rankscope.study.plan import plan
from support.asked_world import AskedWorld, asked_world
from support.command import Command
from support.llm_server import MODEL, LLMServer, error, llm_server, oracle

STUDY = """
study: asked
seed: 3
collections:
  train: {{kind: beir, path: {world}, part: [0, 0.5]}}
  test:  {{kind: beir, path: {world}, part: [0.5, 1]}}
first_stages:
  bm25: {{kind: bm25, depth: 12}}
teachers:
  oracle:
    kind: llm
    model: made-up
    first_stage: bm25
    depth: 12
    window: 6
    endpoint: ${{RANKSCOPE_TEST_SERVER}}
    price_in: 1000
    price_out: 2000
rankers:
  plain: {{kind: cross_encoder, backbone: {{kind: scratch, collection: train, layers: 1, width: 16, heads: 2, updates: 0}}, max_length: 32}}
  D:
    start: plain
    samples: {{collection: train, labels: oracle, group_size: 4}}
    loss: ranknet
    max_updates: 2
    queries_per_update: 2
    queries_per_batch: 2
    learning_rate: 1.0e-4
    guards: {{}}
evaluate:
  over: [test]
  rerank: {{from: [bm25], depth: 12}}
  teachers: [oracle]
  measures: [nDCG@10]
  baseline: bm25
  margin: {{nDCG@10: 0.02}}
"""


class Done(NamedTuple):
    """A study that was carried out, and the server that it asked."""

    file: Path
    world: AskedWorld
    made: Plan
    store: Store
    server: LLMServer

    def steps(self, kind: str) -> dict[str, Path]:
        return {s.label: self.store.open(s.name) for s in self.made.steps if s.kind == kind}


def planned(file: Path, *overrides: str) -> Plan:
    return plan(load(file, overrides), Digests().of)


def up_to_asking(made: Plan) -> Plan:
    """The steps of asking, and those they rest on."""
    kinds = ("docs", "collection", "index", "search", "ask")
    return Plan(made.study, tuple(step for step in made.steps if step.kind in kinds))


def written(folder: Path) -> tuple[Path, AskedWorld]:
    """The study file; its world has eight queries, half to learn from."""
    world = asked_world(folder / "world", n_queries=8, n_docs=12)
    file = folder / "asked.yaml"
    file.write_text(STUDY.format(world=folder / "world"))
    return file, world


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The study, carried out."""
    folder = tmp_path_factory.mktemp("asked")
    file, world = written(folder)
    with pytest.MonkeyPatch.context() as patch, llm_server(oracle) as server:
        patch.setenv("RANKSCOPE_TEST_SERVER", server.address)
        made, store = planned(file), Store(folder / "results")
        runner.carry_out(made, store)
    return Done(file, world, made, store, server)


def test_the_llms_answers_are_a_step(done: Done) -> None:
    """Every window was asked for once; the best three of BM25's docs, which windows carry up, are on top."""
    assert len(done.server.asked) == 8 * 3, "three windows of six over twelve docs, for each query"
    for folder in done.steps("ask").values():
        lines = (folder / "answers.jsonl").read_text().splitlines()
        assert {json.loads(line)["model"] for line in lines[1:]} == {MODEL}
        assert done.server.address not in "".join(lines)
        label = folder.name.split("-")[1].partition(".")[2]
        searched = read_run(done.steps("search")[f"bm25.{label}"] / "run.trec").rankings
        for query_id, docs in read_run(folder / "run.trec").rankings.items():
            shown = [doc.doc_id for doc in searched[query_id]]
            best = sorted(shown, key=lambda doc_id: -done.world.worth[doc_id])
            assert [doc.doc_id for doc in docs][:3] == best[:3]
            assert {doc.doc_id for doc in docs} == {*shown}
    assert len(done.steps("ask")) == 2


def test_the_manifest_tells_what_was_asked_and_that_the_model_may_change(done: Done) -> None:
    for name in (step.name for step in done.made.steps if step.kind == "ask"):
        summary = done.store.manifest(name)["summary"]
        of_these = done.server.tokens
        assert summary["asked"]["n_requests"] == 12
        assert (summary["n_queries"], summary["n_lists"]) == (4, 4)
        assert summary["asked"]["answered_by"].startswith(MODEL)
        assert "may change under its name" in summary["notes"][-1]
        assert summary["asked"]["tokens_in"] < sum(tokens for tokens, _ in of_these)


def test_it_is_a_system_and_what_learnt_from_it_is_compared_with_it(done: Done) -> None:
    (folder,) = done.steps("evaluate").values()
    record = read_record(EvaluationRecord, folder / EVALUATION)
    assert [*record.systems] == ["bm25", "oracle", "plain", "D"]
    assert {(row.system, row.baseline) for row in record.comparisons} == {
        ("oracle", "bm25"),
        ("plain", "bm25"),
        ("D", "bm25"),
        ("D", "oracle"),
    }
    assert all(row.judged.margin == 0.02 for row in record.comparisons)


def test_the_page_has_its_costs(done: Done) -> None:
    """Requests and money are the server's own counts; D's sentence names both, and the answers it learnt from."""
    html = (done.store.root / "report.html").read_text()
    section = html[html.index('<section id="costs">') : html.index('<section id="measures">')]
    test = [t for body, t in zip(done.server.asked, done.server.tokens, strict=True) if about_test(done, body)]  # fmt: skip
    money = sum(1000 * a + 2000 * b for a, b in test) / 1e6 / 4
    assert '<td class="number" data-label="requests a query">3.0</td>' in section
    assert f">{amount(money)}<" in section
    assert "its teacher's 12 answers among them" in section.replace("&#39;", "'")
    assert "D" in section
    assert "of oracle" in section


def about_test(done: Done, body: object) -> bool:
    """Whether a request is about a query of the test collection."""
    queries = {f"how is topic {q[1:]} made" for q in read_run(done.steps("ask")["oracle.test"] / "run.trec").rankings}  # fmt: skip
    return any(query in json.dumps(body) for query in queries)


def test_nothing_is_asked_again(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another price, another server, another name of the teacher, a damaged step: the answers that there are serve."""
    monkeypatch.setenv("RANKSCOPE_TEST_SERVER", "http://127.0.0.1:1/v1")
    assert (
        planned(done.file, "teachers.oracle.price_in=5").steps[-1].name != done.made.steps[-1].name
    )
    renamed = done.file.with_name("renamed.yaml")
    renamed.write_text(done.file.read_text().replace("oracle", "llm"))
    made = planned(renamed)
    store = Store(done.store.root)
    asked = [step for step in made.steps if step.kind == "ask"]
    assert {step.fingerprint for step in asked} == {
        step.fingerprint for step in done.made.steps if step.kind == "ask"
    }
    before = {path.name: path.read_bytes() for path in (store.root / "answers").iterdir()}
    for step in asked:
        with store.writing(step.name, {}) as (out, learnt):
            learnt["summary"] = step.of.function()(work_of(step, made, store, out))
        shutil.rmtree(store.folder(step.name))
    assert {path.name: path.read_bytes() for path in (store.root / "answers").iterdir()} == before


def work_of(step: object, made: Plan, store: Store, out: Path) -> object:
    from rankscope.core.progress import SILENT
    from rankscope.pipeline.work import Work

    return Work(step, made, store, out, SILENT)  # type: ignore[arg-type]


def test_a_study_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server refuses after seven answers: they are kept, and only the other questions are asked then."""
    file, _ = written(tmp_path)
    store = Store(tmp_path / "results")
    refused = error(401, "no more")
    with llm_server(oracle, fault=lambda n, body: refused if n >= 7 else None) as server:
        monkeypatch.setenv("RANKSCOPE_TEST_SERVER", server.address)
        with pytest.raises(AskingStopped, match="answers are kept in .*answers/"):
            runner.carry_out(planned(file, "teachers.oracle.parallel=1"), store)
        assert server.n_paid == 7
    monkeypatch.setenv("RANKSCOPE_TEST_SERVER", "http://127.0.0.1:1/v1")
    with pytest.raises(AskingStopped, match="change `retries` and `timeout`"):
        runner.carry_out(planned(file, "teachers.oracle.retries=0"), store)
    with llm_server(oracle) as server:
        monkeypatch.setenv("RANKSCOPE_TEST_SERVER", server.address)
        made = planned(file, "teachers.oracle.parallel=1")
        runner.carry_out(up_to_asking(made), store)
        assert server.n_paid == 24 - 7


def test_a_query_without_a_list_keeps_the_first_stages_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is no list to learn from; as a system the LLM then gives what it was shown."""
    file, _ = written(tmp_path)
    made, store = planned(file), Store(tmp_path / "results")

    def answer(body: dict[str, object]) -> str:
        return "I cannot." if "how is topic 1 made" in json.dumps(body) else str(oracle(body))

    with llm_server(answer) as server:
        monkeypatch.setenv("RANKSCOPE_TEST_SERVER", server.address)
        runner.carry_out(up_to_asking(made), store)
    asked = [step for step in made.steps if step.kind == "ask"]
    runs = {step.name: read_run(store.open(step.name) / "run.trec").rankings for step in asked}
    (step,) = (step for step in asked if "q1" in runs[step.name])
    folder = store.open(step.name)
    searched = read_run(store.open(step.inputs["run"].name) / "run.trec").rankings["q1"]
    assert [doc.doc_id for doc in runs[step.name]["q1"]] == [doc.doc_id for doc in searched]
    assert "q1" not in json.loads((folder / "run.json").read_text())
    summary = json.loads((folder / "manifest.json").read_text())["summary"]
    assert summary["notes"][0].startswith("1 query keeps the first stage's order")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("teachers.oracle.endpoint=https://me:secret@host/v1", "a study file is shared"),
        ("teachers.oracle.prompt=setwise", "`prompt` setwise: it asks for"),
        ("teachers.oracle.step=9", "`step` that is not larger than `window`"),
        ("teachers.oracle.top=3", "`top` is of `way`"),
        ("teachers.oracle.orders=4", "Several are drawn with `order` shuffled"),
        ("teachers.oracle.passage_tokens=50", "give the model's `tokenizer` too"),
        ("teachers.oracle.fields={stream: true}", "`stream` is set by rankscope"),
        ("teachers.oracle.depth=13", "13 docs are asked for, but bm25 ranks 12"),
        ("teachers.oracle.first_stage=bm52", "bm52"),
        ("evaluate.teachers=[oracel]", "oracel"),
        ("evaluate.teachers={oracle: [train]}", "evaluated collection"),
        ("rankers.D.samples.group_size=13", "13 docs are asked for, but oracle ranks 12"),
    ],
)
def test_mistakes_are_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, said: str
) -> None:
    file, _ = written(tmp_path)
    monkeypatch.setenv("RANKSCOPE_TEST_SERVER", "http://localhost:1/v1")
    with pytest.raises(BadStudy) as refused:
        planned(file, override)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_budget_needs_prices(tmp_path: Path, rankscope: Command) -> None:
    file, _ = written(tmp_path)
    free = ("teachers.oracle.price_in=0", "teachers.oracle.price_out=0")
    told = rankscope("plan", file, *free, "teachers.oracle.budget=5", "--results", tmp_path / "r")
    assert told.code == 1
    assert "`budget`: without prices nothing costs anything" in told.err
