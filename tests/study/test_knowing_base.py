"""A backbone that is told its facts: what its step says that it knows, and the study that goes no further."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.core.errors import BadInput, BadStudy, TrainingStopped
from rankscope.core.records import Fact
from rankscope.data.facts import write_facts
from rankscope.data.world.knowing import knowing_world
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out

STUDY = """
study: known
collections:
  text: {kind: world, text: pretraining, people: 4, groups: 2}
  aliases: {kind: world, text: aliases, people: 4, groups: 2}
first_stages:
  bm25: {kind: bm25, depth: 5}
rankers:
  base:
    kind: bi_encoder
    max_length: {query: 32, doc: 32}
    backbone:
      kind: scratch
      collection: text
      layers: 1
      width: 16
      heads: 2
      max_length: 32
      passes: 1
      docs_per_update: 64
      dropout: 0
      facts: {kind: world, people: 4, groups: 2}
      guards: {unknown_facts: warn}
evaluate: {over: [aliases], search: {depth: 5}, measures: [RR@5]}
"""
BACKBONE = "rankers.base.backbone"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY, "utf-8")
    return file


def stored(study: Path, *overrides: str) -> tuple[dict[str, Any], Path]:
    """The summary of the base's step, and its folder, after the whole study."""
    store = Store(study.parent / "results")
    carry_out(plan(load(study, overrides), Digests().of), store)
    manifests = sorted((store.root / "steps").glob("scratch-*/manifest.json"), key=lambda p: p.stat().st_mtime_ns)  # fmt: skip
    return json.loads(manifests[-1].read_text("utf-8"))["summary"], manifests[-1].parent


def test_the_step_says_what_the_base_knows(study: Path) -> None:
    """24 facts of 4 people and 24 of aliases; 4 objects a relation. 24 x 6 + 24 x 3 + 24 docs, in 4 updates."""
    summary, folder = stored(study)
    assert (summary["n_facts"], summary["n_facts_stated"], summary["updates"]) == (48, 48, 4)
    assert summary["passes"] == pytest.approx(4 * 64 / 240)
    assert summary["n_docs_of_a_fact"] == pytest.approx((24 * 6 + 24 * 3) / 48)
    forms = summary["cloze"]
    assert {form: accuracy["n"] for form, accuracy in forms.items()} == {
        "seen": 24 * 4 + 24 * 3, "unseen": 24, "question": 48,
    }  # fmt: skip
    assert all(accuracy["right"] < 0.5 for accuracy in forms.values())
    rows = summary["cloze_by_template"]
    assert sum(row["n"] for row in rows) == sum(accuracy["n"] for accuracy in forms.values())
    assert {row["form"] for row in rows} == set(forms)
    assert "does not know its facts" in summary["guards"]["unknown_facts"]
    page = (folder.parents[1] / "report.html").read_text("utf-8")
    assert "does not know its facts" in page
    assert "What the bases know" in page
    assert '<td>stated, but not in this template</td><td class="number">24</td>' in page
    table = (folder.parents[1] / "tables/cloze.csv").read_text("utf-8").splitlines()
    assert table[0] == "base,relation,template,form,n,right,probability"
    assert len(table) == 1 + len(rows)


def test_a_study_of_what_a_base_knows_ends_where_it_knows_nothing(study: Path) -> None:
    with pytest.raises(TrainingStopped) as caught:
        stored(study, f"{BACKBONE}.guards={{}}")
    assert "first guess for the masked object is right in 0.0" in str(caught.value)
    assert "measures nothing" in str(caught.value)
    assert "`guards: {unknown_facts: warn}` would go on" in str(caught.value)


def test_what_is_never_stated_is_told_apart(study: Path) -> None:
    """One of two groups: 12 of 24 facts, each in 5 statements and 2 questions."""
    summary, _ = stored(study, "collections.text.untold=[1]")
    assert summary["cloze"]["never stated"]["n"] == 12 * 7
    assert summary["cloze"]["question"]["n"] == 24
    assert summary["n_facts_stated"] == 36


def test_facts_of_files_are_their_bytes(study: Path) -> None:
    def fingerprint() -> str:
        made = plan(load(study, [f"{BACKBONE}.facts={{kind: files, path: facts}}"]), Digests().of)
        return next(step.fingerprint for step in made.steps if step.kind == "scratch")

    folder = study.parent / "facts"
    with pytest.raises(BadInput, match="there is no such file. Facts are facts.jsonl with"):
        fingerprint()
    folder.mkdir()
    facts = list(knowing_world(1, people=4, groups=2).facts)
    write_facts(folder, facts)
    first = fingerprint()
    assert fingerprint() == first
    write_facts(folder, [*facts, Fact("f", "other", "a", "b", templates=("[X] [Y]",))])
    assert fingerprint() != first
    write_facts(folder, facts)
    summary, _ = stored(study, f"{BACKBONE}.facts={{kind: files, path: facts/facts.jsonl}}")
    assert summary["n_facts"] == 24


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"{BACKBONE}.updates=3", "give either `passes` or `updates`; both stand here"),
        ("collections.text.untold=[2]", "`untold` names the group 2; there are 2, from 0"),
        ("collections.text.asked=[0]", "go with the other texts"),
        ("collections.aliases.untold=[0]", "`untold` goes with `text: pretraining`"),
        ("collections.aliases.shown=[0]", "`asked` has the group 1, whose docs `shown` leaves out"),
        ("collections.aliases.people=3", "it has 4 to 620 people, asked for 3"),
        (f"{BACKBONE}.facts.groups=9", "facts of 4 people are in 1 to 4 groups, asked for 9"),
        (f"{BACKBONE}.guards={{unknown_fact: warn}}", "Did you mean 'unknown_facts'"),
    ],
)
def test_what_cannot_be_is_told(study: Path, override: str, said: str) -> None:
    with pytest.raises(BadStudy) as caught:
        load(study, [override])
    assert said in str(caught.value)


@pytest.mark.slow
def test_whole_objects_are_what_lets_a_small_base_know(study: Path) -> None:
    """The same passes over the same text: with objects masked as a whole it knows its facts, without it does not."""
    more = [
        f"{BACKBONE}.{each}"
        for each in ("width=64", "layers=2", "passes=150", "learning_rate=2.0e-3", "predicted=0.1")
    ]
    known, _ = stored(study, *more)
    usual, _ = stored(study, *more, f"{BACKBONE}.whole_objects=false")
    assert known["cloze"]["seen"]["right"] > 0.9
    assert usual["cloze"]["seen"]["right"] < known["cloze"]["seen"]["right"] - 0.2
