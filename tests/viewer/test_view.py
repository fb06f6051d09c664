"""`rankscope view`: what its pages show is what the results hold, and what a ranker says now."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import rankscope as rs
from rankscope.core.errors import BadInput
from rankscope.core.formats import read_run
from rankscope.study.starting import ready_made
from rankscope.viewer.app import application
from rankscope.viewer.found import found

MINUS = "\N{MINUS SIGN}"
TOKEN, PORT = "k3y", 8001


def over(results: Path) -> TestClient:
    return TestClient(
        application(results, token=TOKEN, port=PORT), base_url=f"http://127.0.0.1:{PORT}"
    )


def step(results: Path, label: str) -> str:
    """The name of the step of a label, such as rerank-C.test.bm25."""
    (name,) = {
        each.name
        for each in (results / "tiny" / "steps").iterdir()
        if each.name.rpartition("-")[0] == label
    }
    return name


def ask(client: TestClient, page: str, **fields: str) -> str:
    answer = client.get(f"/{TOKEN}/{page}", params={"study": "tiny", **fields})
    assert answer.status_code == 200, answer.text
    return answer.text


def post(client: TestClient, page: str, **fields: str) -> str:
    answer = client.post(f"/{TOKEN}/{page}", data={"study": "tiny", **fields})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_list_names_every_ranker_with_its_lineage_and_every_run_with_its_means(
    results: Path, client: TestClient
) -> None:
    text = ask(client, "")
    words = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", text))
    assert "C-D plain → C → C-D ranknet" in words
    summary = json.loads((results / "tiny" / "summary.json").read_text("utf-8"))
    for row in summary["results"]:
        assert f"nDCG@10 {row['means']['nDCG@10']:.4f}" in words
    assert "in no evaluation" in words, "the run that stage C draws its negatives from"


def test_two_rankings_stand_side_by_side_with_grades_ranks_and_differences(
    results: Path, client: TestClient
) -> None:
    names = [step(results, "rerank-plain.test.bm25"), step(results, "rerank-C.test.bm25")]
    text = ask(client, "rankings", a=names[0], b=names[1])
    listed = re.findall(r"query=([^&\"]+)\"><b>([^<]+)</b>", html.unescape(text))
    shown = {query: float(value.replace(MINUS, "-")) for query, value in listed}
    assert [*shown.values()] == sorted(shown.values(), reverse=True)
    (table,) = (results / "tiny" / "steps").glob("evaluate-*/per_query.csv")
    values = {
        (run, query): float(value)
        for run, measure, query, value in (
            line.split(",") for line in table.read_text("utf-8").splitlines()[1:]
        )
        if measure == "nDCG@10"
    }
    for query, difference in shown.items():
        a, b = (values[f"steps/{name}/run.trec", query] for name in names)
        assert difference == pytest.approx(b - a, abs=5e-5)
    query = listed[0][0]
    runs = [read_run(results / "tiny" / "steps" / name / "run.trec") for name in names]
    for run in runs:
        for doc in run.rankings[query][:20]:
            assert f"<code>{doc.doc_id}</code> {doc.score:.4f}" in text
    by_id = ask(client, "rankings", a=names[0], b=names[1], sort="query")
    ids = re.findall(r"query=([^&\"]+)\"><b>", html.unescape(by_id))
    assert ids == sorted(ids)
    assert set(ids) == {each for each, _ in listed}


def test_queries_are_found_by_their_words(results: Path, client: TestClient) -> None:
    name = step(results, "rerank-C.test.bm25")
    text = ask(client, "rankings", a=name, b=name, find="WHO zebra")
    assert "No query has these words." in text
    (study,) = found(results).values()
    topics = study.store.folder(str(study.topics(study.step(name))))
    first = json.loads((topics / "queries.jsonl").read_text("utf-8").splitlines()[0])
    text = ask(client, "rankings", a=name, b=name, find=first["text"].upper())
    assert first["query_id"] in text


def test_typed_docs_have_the_scores_of_the_ranker_itself(results: Path, client: TestClient) -> None:
    names = [step(results, "train-C"), step(results, "ranker-bi")]
    docs = ["the red cat sits", "  ", "the blue\x85<b>dog</b> runs", "the red cat sits"]
    text = post(client, "typed", a=names[0], b=names[1], query="who sits", docs="\r\n".join(docs))
    kept = [doc for doc in docs if doc.strip()]
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert "<b>dog" not in text
    for name in names:
        ranker = rs.load(results / "tiny" / "steps" / name / "model")
        for score in ranker.score([("who sits", doc) for doc in kept]):
            assert f'<td class="number">{score:.4f}</td>' in text
    places = re.findall(r'<tr><td class="number">(\d)</td><td class="number">(\d)</td>', text)
    assert [rank for _, rank in places] == ["1", "2", "3"]
    order = [place for place, _ in places]
    assert sorted(order) == ["1", "3", "4"], "as they were typed, with the empty line"
    assert order.index("1") < order.index("4"), "equal scores keep the order of the lines"


def test_a_word_adds_what_the_score_falls_by_without_it(results: Path, client: TestClient) -> None:
    name = step(results, "train-C")
    text = post(client, "words", a=name, query="who sits", doc="the red cat")
    ranker = rs.load(results / "tiny" / "steps" / name / "model")
    whole, less, no_who = ranker.score(
        [("who sits", "the red cat"), ("who sits", "the cat"), ("sits", "the red cat")]
    )
    for word, fall in (("red", whole - less), ("who", whole - no_who)):
        shown = f"{fall:+.4f}".replace("-", MINUS)
        assert re.search(rf'title="{re.escape(shown)}">{word}<', text), (word, shown)


def test_each_seed_s_run_has_its_own_means(seeded: Path) -> None:
    """As rs.measure gives them for its file: the mean over seeds is of the system, and of no run."""
    text = over(seeded).get(f"/{TOKEN}/").text
    steps = seeded / "seeded" / "steps"
    tests = rs.collection(seeded.parent / "scenes", split="test")
    runs = [*steps.glob("*.test*/run.trec")]
    assert {run.parent.name.rpartition("-")[0] for run in runs} >= {
        f"rerank-C.seed={seed}.test.bm25" for seed in (1, 2)
    }
    for run in runs:
        label = run.parent.name.partition("-")[2].rpartition("-")[0]
        means = rs.measure({"run": run}, tests, ["RR@10", "nDCG@10"]).frame().loc["run"]
        shown = f"nDCG@10 {means['nDCG@10']:.4f}, RR@10 {means['RR@10']:.4f}</td>"
        (row,) = re.findall(rf"<tr><th>{re.escape(label)}</th>.*?</tr>", text, re.DOTALL)
        assert shown in row


def test_the_words_of_a_ranked_doc_are_those_that_were_ranked(seeded: Path) -> None:
    """Line ends and markup as they are stored, and so with the score of the ranking."""
    client = over(seeded)
    (study,) = found(seeded).values()
    (run,) = (step for step in study.steps.values() if step.label == "C.seed=1.test.bm25")
    ranking = {"study": "seeded", "a": run.name, "b": run.name, "query": "=1+1"}
    text = client.get(f"/{TOKEN}/rankings", params=ranking).text
    assert "<img" not in text
    assert "<b>&" not in text
    forms = [
        dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        for form in re.findall(r'<form method="post"[^>]*words">(.*?)</form>', text, re.DOTALL)
    ]
    asked = [{name: html.unescape(value) for name, value in form.items()} for form in forms]
    scores = {
        doc.doc_id: doc.score
        for doc in read_run(study.store.folder(run.name) / "run.trec").rankings["=1+1"]
    }
    docs = {
        doc["doc_id"]: doc["text"]
        for doc in map(
            json.loads,
            (study.store.folder(str(study.docs(run))) / "docs.jsonl")
            .read_text("utf-8")
            .splitlines(),
        )
    }
    n = 0
    for form in asked[:10]:
        answer = client.post(f"/{TOKEN}/words", data=form)
        assert answer.status_code == 200, answer.text
        assert "<img" not in answer.text
        (score,) = re.findall(r"Score (\S+);", answer.text)
        assert float(score) == pytest.approx(scores[form["doc_id"]], abs=1e-4)
        n += "\r\n" in docs[form["doc_id"]]
    assert n, "among them one with lines' ends"


def test_a_ranker_shows_what_the_study_found_inside(results: Path, client: TestClient) -> None:
    text = ask(client, "ranker", a=step(results, "train-C"))
    assert "Changes: C.moved" in text
    assert "Neurons: mine" in text
    assert "stored no neurons" in ask(client, "ranker", a=step(results, "ranker-bi"))


def test_the_report_is_shown_as_it_stands(results: Path, client: TestClient) -> None:
    assert ask(client, "report") == (results / "tiny" / "report.html").read_text("utf-8")


def test_the_report_says_the_whole_command(seeded: Path) -> None:
    """With the overrides, without which the study file gives other numbers; as a shell takes it."""
    page = (seeded / "seeded" / "report.html").read_text("utf-8")
    (command,) = re.findall("<dt>Command</dt><dd>(.*?)</dd>", page)
    assert html.unescape(command) == "rankscope run 'the study.yaml' rankers.C.learning_rate=0.01"
    at = ready_made.folder() / "published"
    assert ready_made.as_typed(next(at.glob("*.yaml"))).startswith("studies:published/")


def test_nothing_in_the_results_is_written(results: Path, client: TestClient) -> None:
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in results.rglob("*")}

    before = state()
    name = step(results, "train-C")
    ask(client, "")
    ask(client, "ranker", a=name)
    post(client, "typed", a=name, query="who", docs="a cat")
    assert state() == before


# -- what is asked wrongly ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "fields", "sentence"),
    [
        ("rankings", {"study": "other"}, "There is no study &#39;other&#39;"),
        ("ranker", {"a": "../../etc"}, "has no step &#39;../../etc&#39;"),
        ("rankings", {"a": "rerank-C.test.bm25", "b": "bm25.train"}, "different collections"),
        ("typed", {"a": "train-C", "query": " ", "docs": "a"}, "Nothing was asked."),
        ("typed", {"a": "train-C", "query": "who", "docs": "a\n" * 1001}, "1000 are read at once"),
        ("words", {"a": "train-C", "query": "who", "doc": ""}, "Give a query and a doc."),
        ("words", {"query": "who", "doc": "a"}, "No ranker is named."),
        ("words", {"a": "docs-test", "query": "who", "doc": "a"}, "is no ranker of the study tiny"),
        (
            "typed",
            {"a": "docs-test", "query": "who", "docs": "a"},
            "is no ranker of the study tiny",
        ),
        ("ranker", {"a": "docs-test"}, "is no ranker of the study tiny"),
        ("rankings", {"a": "docs-test", "b": "docs-test"}, "has no run over a collection"),
        ("words", {"a": "train-C", "run": "rerank-C.test.bm25", "query_id": "q"}, "has no query"),
        ("report", {"study": "../tiny"}, "There is no study"),
    ],
)
def test_a_question_that_cannot_be_answered_gets_a_sentence(
    results: Path, client: TestClient, page: str, fields: dict[str, str], sentence: str
) -> None:
    names = {each.rpartition("-")[0]: each for each in found(results)["tiny"].steps}
    names["bm25.train"] = next(
        n for n in names.values() if "bm25.train" in n and not n.startswith("rerank")
    )
    given = {"study": "tiny"} | {name: names.get(value, value) for name, value in fields.items()}
    send = client.post if page in {"typed", "words"} else client.get
    answer = send(f"/{TOKEN}/{page}", **{"data" if page in {"typed", "words"} else "params": given})  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert sentence in answer.text


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no results of a study are here"):
        found(tmp_path)


def test_damaged_and_stale_steps_are_named_and_the_rest_is_shown(
    results: Path, tmp_path: Path
) -> None:
    shutil.copytree(results, tmp_path / "results")
    steps = tmp_path / "results" / "tiny" / "steps"
    (steps / step(results, "train-C-D") / "manifest.json").write_text("{}", "utf-8")
    changed = steps / step(results, "ranker-plain") / "manifest.json"
    manifest = json.loads(changed.read_text("utf-8"))
    (evaluate,) = steps.glob("evaluate-*")
    (evaluate / "evaluation.json").write_text("{", "utf-8")
    client = over(tmp_path / "results")
    text = ask(client, "")
    assert "it is not a manifest" in text
    assert "evaluation.json: its bytes are not those that were written" in text
    assert "C-D</a></th>" not in text
    assert "in no evaluation" in text
    del manifest["sha256"], manifest["rests_on"]
    file = next(iter(manifest["files"]))
    manifest["files"][file]["sha256"] = "0" * 64
    changed.write_text(json.dumps(manifest), "utf-8")
    assert "(stale: an input has changed)" in ask(client, "")
    answer = client.post(
        f"/{TOKEN}/typed",
        data={"study": "tiny", "a": changed.parent.name, "query": "who", "docs": "a"},
    )
    assert answer.status_code == 400
    assert "its bytes are not those that were written" in answer.text


def test_one_study_s_folder_is_read_as_that_study(results: Path) -> None:
    assert "C-D" in ask(over(results / "tiny"), "")


# -- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (f"/{TOKEN}/", {}, 200),
        (f"/{TOKEN}/", {"host": f"localhost:{PORT}"}, 200),
        ("/", {}, 403),
        ("/other/", {}, 403),
        (f"/{TOKEN}x/", {}, 403),
        (f"/{TOKEN}/", {"host": "evil.example"}, 403),
        (f"/{TOKEN}/", {"host": "evil.example:8001"}, 403),
        (f"/{TOKEN}/", {"origin": "http://evil.example"}, 403),
        (f"/{TOKEN}/nothing", {}, 404),
    ],
)
def test_only_this_machine_with_the_token_is_answered(
    client: TestClient, path: str, headers: dict[str, str], code: int
) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == code
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert TOKEN not in answer.text or code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(client: TestClient, method: str) -> None:
    assert client.request(method, f"/{TOKEN}/").status_code == 405


def test_too_much_text_is_refused(client: TestClient) -> None:
    answer = client.post(f"/{TOKEN}/typed", content=b"query=" + b"a" * 5_000_000)
    assert answer.status_code == 413


def test_the_list_loads_no_torch(results: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom rankscope.viewer.app import View\n"
        f"print(View(Path({str(results)!r})).studies({{}})[0])\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
