"""`rankscope export` and `push`: the model card of a tuned ranker, and what reaches the hub."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import ir_datasets
import pytest
import yaml
from huggingface_hub import constants

import rankscope as rs
from rankscope.data.public import hub_ids
from rankscope.verbs.handover.card import CardSettings, card
from rankscope.verbs.handover.markdown import code, plain
from support import tiny
from support.command import Command
from support.hub import hub


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a tiny study with two stages."""
    place = tmp_path_factory.mktemp("study")
    rs.read_study(tiny.write_study(place), results=place / "results").run()
    return place / "results" / "tiny"


def tuned(results: Path) -> Path:
    """The folder of the ranker with the longest lineage."""
    trained = [
        json.loads((step / "manifest.json").read_text("utf-8"))
        for step in (results / "steps").glob("train-*")
    ]
    last = max(trained, key=lambda manifest: manifest["params"]["stage"])
    return results / "steps" / last["name"] / "model"


def sums(folder: Path) -> dict[str, tuple[int, float]]:
    return {
        path.name: (path.stat().st_size, path.stat().st_mtime)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_card_says_what_a_ranker_started_from_learnt_and_reached(
    results: Path, tmp_path: Path, rankscope: Command
) -> None:
    model = tuned(results)
    before = sums(results / "steps")
    answer = rankscope(
        "export",
        model,
        tmp_path / "my-ranker",
        "--license",
        "apache-2.0",
        "--base-model",
        "me/base",
    )
    assert answer.code == 0, answer.err
    assert sums(results / "steps") == before, "a step's own folder never changes"
    text = (tmp_path / "my-ranker" / "README.md").read_text("utf-8")
    _, head, body = text.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["license"] == "apache-2.0"
    assert metadata["base_model"] == "me/base"
    assert metadata["pipeline_tag"] == "text-ranking"
    manifest = json.loads((model.parent / "manifest.json").read_text("utf-8"))
    ranker = manifest["summary"]["ranker"]
    assert f"| {ranker} | {manifest['summary']['start']} | {manifest['summary']['loss']} |" in body
    for role, digest in manifest["rests_on"].items():
        assert (digest in body) == (role != "start"), role
    for guard in manifest["summary"]["guards"]:
        assert f"{ranker}, {guard}: " in body
    evaluation = json.loads((results / "summary.json").read_text("utf-8"))
    (row,) = [row for row in evaluation["results"] if row["system"] == ranker]
    headline = evaluation["measures"][0]
    assert f"{row['means'][headline]:.4f}" in body
    compared = [row for row in evaluation["comparisons"] if row["system"] == ranker]
    assert body.count(f"{ranker} - ") == len(compared)
    assert "rankscope export" in body
    data = re.findall(r"^\| (.*?) \| .* \| (.*?) \| `\w{64}` \|$", body, re.MULTILINE)
    assert data
    assert len({*data}) == len(data), "a step's row stands once for a ranker"
    assert "hf_" not in body


def test_a_step_without_its_ancestors_is_exported_with_what_is_known(
    results: Path, tmp_path: Path, rankscope: Command
) -> None:
    """A step that was moved alone, into another folder of results or anywhere: the card says what it lacks."""
    model = tuned(results)
    manifest = json.loads((model.parent / "manifest.json").read_text("utf-8"))
    start = manifest["inputs"]["start"]
    for place in ("elsewhere/steps", "anywhere"):
        step = tmp_path / place / model.parent.name
        shutil.copytree(model.parent, step)
        out = tmp_path / place / "copy"
        answer = rankscope("export", step / "model", out)
        assert answer.code == 0, answer.err
        text = (out / "README.md").read_text("utf-8")
        assert f"since `{start}`, the step of the ranker {manifest['summary']['start']}" in text
        assert "Of its tuning one stage is known" in text
        assert f"| {manifest['summary']['ranker']} | {manifest['summary']['start']} |" in text
        assert "## Results" not in text
    (tmp_path / "elsewhere" / "steps" / model.parent.name / "model" / "config.json").unlink()
    damaged = rankscope(
        "export", tmp_path / "elsewhere" / "steps" / model.parent.name / "model", tmp_path / "no"
    )
    assert damaged.code == 1
    assert not (tmp_path / "no").exists()


@pytest.fixture
def of_ir_datasets(tmp_path: Path) -> Iterator[str]:
    """The id of an ir_datasets collection with the tiny collection's docs, queries and judgements."""
    data, name = tmp_path / "data", "rankscope-handover/train"
    for kind in ("corpus", "queries"):
        rows = map(json.loads, (data / f"{kind}.jsonl").read_text("utf-8").splitlines())
        lines = "".join(f"{row['_id']}\t{row['text']}\n" for row in rows)
        (tmp_path / f"{kind}.tsv").write_text(lines, "utf-8")
    _, *judged = (data / "qrels" / "train.tsv").read_text("utf-8").splitlines()
    qrels = "".join("{} 0 {} {}\n".format(*line.split("\t")) for line in judged)
    (tmp_path / "qrels.txt").write_text(qrels, "utf-8")
    made = ir_datasets.create_dataset(
        docs_tsv=str(tmp_path / "corpus.tsv"),
        queries_tsv=str(tmp_path / "queries.tsv"),
        qrels_trec=str(tmp_path / "qrels.txt"),
    )
    ir_datasets.registry.register(name, made)
    yield name
    del ir_datasets.registry._registered[name]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The file of the tiny study."""
    return tiny.write_study(tmp_path)


def metadata_of(folder: Path) -> dict[str, object]:
    metadata: dict[str, object] = yaml.safe_load(
        (folder / "README.md").read_text("utf-8").split("---\n")[1]
    )
    return metadata


def test_public_data_is_named_by_its_ids(
    study: Path,
    of_ir_datasets: str,
    tmp_path: Path,
    rankscope: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A collection of ours, and one of ir_datasets; the hub's id of each stands in the metadata once."""
    shutil.copytree(tmp_path / "data", tmp_path / "own" / "wikiqa")
    monkeypatch.setenv("RANKSCOPE_DATA", str(tmp_path / "own"))
    monkeypatch.setattr(hub_ids, "COPIES_OF_IR_DATASETS", frozenset({of_ir_datasets}))
    local = f"train: {{kind: beir, path: {tmp_path / 'data'}, split: train}}"
    text = study.read_text("utf-8")
    assert local in text
    public = (
        "train: {kind: public, id: wikiqa, split: train}\n"
        f"  other: {{kind: ir_datasets, id: {of_ir_datasets}}}"
    )
    text = text.replace(local, public)
    text = text.replace("validate: {collection: train", "validate: {collection: other")
    text = text.replace("samples: {labels", "samples: {collection: train, labels")
    study.write_text(text, "utf-8")
    answer = rankscope("run", study, "--results", tmp_path / "results")
    assert answer.code == 0, answer.err
    model = tuned(tmp_path / "results" / "tiny")
    assert rankscope("export", model, tmp_path / "copy").code == 0
    assert metadata_of(tmp_path / "copy")["datasets"] == [
        "irds/rankscope-handover_train",
        "microsoft/wiki_qa",
    ]
    body = (tmp_path / "copy" / "README.md").read_text("utf-8")
    assert "| collection-train (`public:wikiqa`) |" in body
    assert "| collection-other (`ir_datasets rankscope-handover/train`) |" in body
    monkeypatch.setattr(hub_ids, "COPIES_OF_IR_DATASETS", frozenset())
    assert rankscope("export", model, tmp_path / "again").code == 0
    assert metadata_of(tmp_path / "again")["datasets"] == ["microsoft/wiki_qa"], "none is made up"


def test_a_folder_of_ones_own_is_no_data_set_of_the_hub(results: Path) -> None:
    head = card(tuned(results), CardSettings("mine")).split("---\n")[1]
    assert "datasets" not in yaml.safe_load(head)


NAMES = (
    "# a heading",
    "[a link](https://example.org)",
    "<script>alert(1)</script>",
    "two\nlines\n---\nlicense: mit",
    "```\ncode",
    "a|b",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_plain_text_in_a_card(tmp_path: Path, name: str) -> None:
    """A name is the user's: it opens no heading, link, tag, table or second head of metadata."""
    tiny.cross_encoder(tmp_path / "a").save(tmp_path / "ranker")
    settings = CardSettings(name, licence=name, base_model=name, command=f"rankscope export {name}")
    text = card(tmp_path / "ranker", settings)
    _, head, body = re.split("^---$", text, maxsplit=2, flags=re.MULTILINE)
    metadata = yaml.safe_load(head)
    assert metadata["license"] == name
    assert metadata["base_model"] == name
    lines = body.splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        f"# {plain(name)}",
        "## How it was made",
    ]
    assert sum(line.startswith("```") for line in lines) == 2
    assert "---" not in lines
    outside = re.sub(r"`+[^`]+`+|\\.", "", body.replace("```python", "```"))
    assert not re.search(r"<script|\]\(", outside)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("learning_rate is 1e-5", "learning_rate is 1e-5"),
        ("_emphasis_ and *more*", r"\_emphasis\_ and \*more\*"),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
        ("a\nb", "a␊b"),
        ("C-D - C", "C-D - C"),
    ],
)
def test_plain_words_in_markdown(text: str, written: str) -> None:
    assert plain(text) == written


def test_code_in_markdown_holds_backticks() -> None:
    assert code("a") == "`a`"
    assert code("a`b``c") == "``` a`b``c ```"


def test_a_ranker_of_no_study_has_a_short_card(tmp_path: Path, rankscope: Command) -> None:
    tiny.cross_encoder(tmp_path / "a").save(tmp_path / "ranker")
    assert rankscope("export", tmp_path / "ranker", tmp_path / "copy").code == 0
    text = (tmp_path / "copy" / "README.md").read_text("utf-8")
    assert "## Training" not in text
    assert "No licence was stated" in text


@pytest.mark.filterwarnings("ignore:Use 'content=")  # of httpx2, said by huggingface_hub's own call
def test_push_writes_the_copy_and_its_card_to_the_hub(
    results: Path, monkeypatch: pytest.MonkeyPatch, rankscope: Command
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        constants, "HF_HUB_DISABLE_XET", True
    )  # by plain HTTP, which the server knows
    with hub() as there:
        monkeypatch.setattr(constants, "ENDPOINT", there.address)
        answer = rankscope("push", tuned(results), "me/my-ranker", "--private")
        assert answer.code == 0, answer.err
        assert answer.out == f"{there.address}/me/my-ranker: written.\n"
        assert there.repos == {"me/my-ranker": True}
        assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= {*there.files}
        weights = (tuned(results) / "model.safetensors").read_bytes()
        assert there.files["model.safetensors"] == weights
        assert b"# my-ranker" in there.files["README.md"]
        assert b"CrossEncoder('me/my-ranker')" in there.files["README.md"], "as others load it"
        assert "Bearer hf_secret" in there.tokens
        assert b"hf_secret" not in b"".join(there.files.values())
        there.refuses = (403, "You may not write here.")
        refused = rankscope("push", tuned(results), "you/other")
    assert refused.code == 1
    assert refused.err == (
        "rankscope: you/other: the hub refused it (403: You may not write here.). Check the name, and that your token "
        "may write there.\n"
    )
    unreached = rankscope("push", tuned(results), "me/my-ranker")
    assert unreached.code == 1
    assert "the hub was not reached" in unreached.err
    assert rankscope("push", tuned(results), "a/b/c").code == 1
    assert os.environ["HF_TOKEN"] not in unreached.err + refused.err
