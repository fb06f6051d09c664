"""The contract of the table of guards: each fires on a case made for it, none on a healthy study.

A new guard fails here until it has a case.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import nn

from rankscope.core.errors import TrainingStopped
from rankscope.core.records import Cloze, Fact, Run, ScoredDoc
from rankscope.explain.knowledge import cloze
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.pipeline.training import guards
from rankscope.store.artifacts import Store
from rankscope.store.fingerprint import Digests
from rankscope.study.doctor import Diagnosis, doctor
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.runner import carry_out
from rankscope.train import movement
from rankscope.train.guards import GUARDS, Watch
from support import tiny

HELD_OUT = (
    "collections.train.part=[0, 0.7]",
    "rankers.C.validate.collection=validation",
)


def healthy(folder: Path) -> Path:
    """The tiny study, its queries all different and none of them held out and trained on."""
    study = tiny.write_study(folder)
    for split in ("train", "test"):
        path = folder / "data" / "qrels" / f"{split}.tsv"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not re.match("q(9|10|11)\t", line)))
    data = f"{{kind: beir, path: {folder / 'data'}, split: train, part: [0.7, 1]}}"
    text = study.read_text().replace("collections:\n", f"collections:\n  validation: {data}\n")
    study.write_text(text)
    return study


def diagnosis(study: Path, *overrides: str) -> Diagnosis:
    made = plan(load(study, [*HELD_OUT, *overrides]), Digests().of)
    return doctor(made, Store(study.parent / "results"))


def found(study: Path, guard: str, *overrides: str) -> str | None:
    """What a guard saw in a study, of whichever ranker."""
    seen = diagnosis(study, *overrides).seen
    return next((s.finding for s in seen if s.guard == guard and s.finding), None)


def logged(guard: str, *rows: dict[str, float]) -> str | None:
    watch = Watch(dict.fromkeys(GUARDS, "off"))
    for place, row in enumerate(rows, start=1):
        watch.saw({"update": place} | row)
    return watch.findings.get(guard)


Case = Callable[[Path], str | None]
CASES: dict[str, Case] = {}


def case(made: Case) -> Case:
    CASES[made.__name__] = made
    return made


@case
def test_queries(folder: Path) -> str | None:
    return found(healthy(folder), "test_queries", "evaluate.over=[train]")


@case
def validation_queries(folder: Path) -> str | None:
    return found(healthy(folder), "validation_queries", "rankers.C.validate.collection=train")


@case
def relevant_negatives(folder: Path) -> str | None:
    study = healthy(folder)
    corpus = folder / "data" / "corpus.jsonl"
    docs = [json.loads(line) for line in corpus.read_text().splitlines()]
    doubles = [doc | {"_id": f"{doc['_id']}x"} for doc in docs]
    corpus.write_text("".join(json.dumps(doc) + "\n" for doc in [*docs, *doubles]))
    return found(study, "relevant_negatives")


@case
def unretrieved_positives(folder: Path) -> str | None:
    """Each query's relevant docs become those of another colour and another animal."""
    study = healthy(folder)

    def elsewhere(match: re.Match[str]) -> str:
        query = int(match.group(1))
        other = 3 * ((query // 3 + 1) % 3) + (query + 1) % 3
        return f"q{query}\td{other}\t1\n"

    path = folder / "data" / "qrels" / "train.tsv"
    head, *lines = path.read_text().splitlines()
    best = [line for line in lines if line.endswith("\t2")]
    moved = [re.sub(r"q(\d+)\t.*", elsewhere, line) for line in best]
    path.write_text(f"{head}\n" + "".join(moved))
    return found(study, "unretrieved_positives", "rankers.C.samples.negatives.depth=6")


@case
def truncated_docs(folder: Path) -> str | None:
    return found(healthy(folder), "truncated_docs", "rankers.plain.max_length=9")


@case
def special_tokens(folder: Path) -> str | None:
    study, tokenizer = healthy(folder), tiny.tokenizer()
    tokenizer.cls_token = None
    tokenizer.save_pretrained(folder / "encoder")
    return found(study, "special_tokens")


@case
def prompts(folder: Path) -> str | None:
    study, path = healthy(folder), folder / "bi" / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": {"web": "find: "}}))
    return found(study, "prompts")


def spoilt(folder: Path, guard: str, spoil: Callable[[Any], object]) -> str | None:
    """What a guard sees in a healthy study whose rankers are spoilt as they are loaded."""
    usual = CrossEncoder.load

    def loaded(path: Path) -> CrossEncoder:
        ranker = usual(path)
        spoil(ranker.model)
        return ranker

    study = healthy(folder)
    assert found(study, guard) is None
    with patch.object(CrossEncoder, "load", loaded):
        return found(study, guard)


@case
def without_gradient(folder: Path) -> str | None:
    """A weight that no forward pass reads."""
    unused = nn.Parameter(torch.zeros(1))
    return spoilt(folder, "without_gradient", lambda m: m.register_parameter("unused", unused))


@case
def head_frozen(folder: Path) -> str | None:
    return spoilt(folder, "head_frozen", lambda m: m.classifier.requires_grad_(False))


@case
def learning_rate(folder: Path) -> str | None:
    return found(healthy(folder), "learning_rate", "rankers.C-D.learning_rate=6.0e-12")


@case
def not_finite(folder: Path) -> str | None:
    return logged("not_finite", {"loss": float("nan")})


@case
def collapsed_scores(folder: Path) -> str | None:
    return logged("collapsed_scores", *[{"score_spread": 0.0}] * 3)


@case
def tied_scores(folder: Path) -> str | None:
    return logged("tied_scores", *[{"tied_share": 0.9}] * 3)


@case
def loss_above_chance(folder: Path) -> str | None:
    row = {"loss": 0.7, "chance": 0.69, "right_pairs": 0.5, "learning_rate": 1e-5}
    return logged("loss_above_chance", *[row] * 200)


@case
def gradient_norm(folder: Path) -> str | None:
    return logged("gradient_norm", *[{"gradient_norm": 0.0}] * 20)


@case
def validation_falling(folder: Path) -> str | None:
    return logged("validation_falling", *[{"validation": 0.5 - 0.1 * n} for n in range(6)])


@case
def unmoved(folder: Path) -> str | None:
    return movement.unmoved({"all": 0.0, "changed_share": 0.005}, 6e-12)


@case
def unknown_facts(folder: Path) -> str | None:
    fact = Fact("f1", "works", "Ada", "Ulm")
    guesses = [cloze.Guess(Cloze(fact, "[X] [Y]", "seen"), right, 0.4) for right in (True, False)]
    assert cloze.unknown(guesses) is None
    assert "states none of the facts" in str(cloze.unknown([]))
    return cloze.unknown([*guesses, guesses[1]])


@case
def rankings_unchanged(folder: Path) -> str | None:
    runs = [
        Run.of("r", [ScoredDoc("q1", "d1", 2.0 + moved), ScoredDoc("q1", "d2", 1.0)])
        for moved in (0, 1e-9)
    ]
    return guards.rankings_unchanged(guards.ranking_change(runs[:1], runs[1:]))


test_queries.__test__ = False  # type: ignore[attr-defined]


def test_every_guard_has_a_case() -> None:
    assert list(CASES) == list(GUARDS)


@pytest.mark.parametrize("guard", GUARDS)
def test_every_guard_fires_on_its_case_and_says_what_to_do(guard: str, tmp_path: Path) -> None:
    finding = CASES[guard](tmp_path)
    assert finding is not None
    assert finding.endswith(".")
    assert "\n" not in finding


def test_none_fires_on_a_healthy_study(tmp_path: Path) -> None:
    study = healthy(tmp_path)
    assert {seen.guard for seen in diagnosis(study).seen} == {
        name for name, guard in GUARDS.items() if guard.when == "before"
    }
    assert not [seen for seen in diagnosis(study).seen if seen.finding]
    strict = json.dumps(dict.fromkeys(GUARDS, "stop"))
    overrides = [f"rankers.{name}.guards={strict}" for name in ("C", "C-D")]
    store = Store(tmp_path / "results")
    carry_out(plan(load(study, [*HELD_OUT, *overrides]), Digests().of), store)
    for label in ("C", "C-D"):
        (manifest,) = (store.root / "steps").glob(f"train-{label}-[0-9a-f]*/manifest.json")
        assert json.loads(manifest.read_text())["summary"]["guards"] == {}


def test_a_guard_that_warns_is_stored_and_shown_and_its_level_is_no_part_of_the_result(
    tmp_path: Path,
) -> None:
    study, store = healthy(tmp_path), Store(tmp_path / "results")
    leaking = [HELD_OUT[0], "rankers.C.validate.collection=train"]

    def page(*overrides: str) -> tuple[int, str]:
        done = carry_out(plan(load(study, [*leaking, *overrides]), Digests().of), store).done
        return len(done), (store.root / "report.html").read_text("utf-8")

    _, warned = page()
    assert "validation queries (train) are training queries" in warned
    n_done, silent = page("rankers.C.guards={validation_queries: off}")
    assert n_done == 1, "only the report is made anew"
    assert "are training queries" not in silent
    with pytest.raises(TrainingStopped, match="4 of 4 validation queries"):
        page("rankers.C.guards={validation_queries: stop}", "seed=4")


def test_what_a_stage_did_to_rankings_by_hand() -> None:
    """Query 1 keeps its order, query 2 turns it round; scores move by 1, 0, 2 and 2."""

    def run(*scores: float) -> Run:
        docs = [("q1", "a"), ("q1", "b"), ("q2", "a"), ("q2", "b")]
        return Run.of("r", [ScoredDoc(*doc, s) for doc, s in zip(docs, scores, strict=True)])

    change = guards.ranking_change([run(3, 1, 1, 0)], [run(4, 1, -1, 2)])
    assert change == {
        "n_queries": 2, "score_change": 1.25, "kendall_tau": 0.0, "same_order_share": 0.5,
    }  # fmt: skip
    assert guards.rankings_unchanged(change) is None
    assert guards.ranking_change([], []) == {}
    assert guards.rankings_unchanged({}) is None
