"""`rankscope export` and `push`: the model card of a tuned ranker, and what reaches the hub."""

import json
import os
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants

import rankscope as rs
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
    assert "hf_" not in body


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
