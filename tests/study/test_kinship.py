"""Which systems' runs are paired by seed: those with an ancestor that one seed alone has."""

from pathlib import Path

import pytest

from rankscope.evaluate.seeds.kinship import Kinship
from rankscope.pipeline.lineages import kinship, seed_lineage
from rankscope.study.load import load

NONE, ONE_STAGE, TWO_STAGES, MORE_STAGES = Kinship


@pytest.mark.parametrize(
    ("overrides", "pair", "expected"),
    [
        # every stage is drawn three times; the plain ranker, which all start from, once
        (["rankers.C.seeds=[1, 2, 3]"], ("C-D", "C"), ONE_STAGE),
        (["rankers.C.seeds=[1, 2, 3]"], ("C", "C-D"), ONE_STAGE),
        (["rankers.C.seeds=[1, 2, 3]"], ("C", "plain"), NONE),
        (["rankers.C.seeds=[1, 2, 3]"], ("C", "bm25"), NONE),
        # the fresh head is drawn three times: all that starts from it moves with it
        (["rankers.plain.seeds=[1, 2]"], ("C-D", "C"), ONE_STAGE),
        (["rankers.plain.seeds=[1, 2]"], ("C-D", "plain"), TWO_STAGES),
        (["rankers.plain.seeds=[1, 2]", "rankers.X={start: C-D, samples: {labels: qrels, negatives: {from: bm25, depth: 10}, group_size: 2}, loss: localized_contrastive, max_updates: 1}", "evaluate.rankers=[plain, C, X]"], ("X", "plain"), MORE_STAGES),
        # one run each, and two rankers drawn apart
        ([], ("C-D", "C"), NONE),
        (["rankers.C.seeds=[1, 2]", "rankers.C-D.start=plain", "rankers.C-D.seeds=[1, 2]"], ("C-D", "C"), NONE),
        (
            ["rankers.plain.seeds=[1, 2]", "rankers.C-D.start=plain"],
            ("C-D", "C"),
            TWO_STAGES,
        ),
    ],
)  # fmt: skip
def test_the_kth_runs_belong_together_where_one_ancestor_is_theirs_alone(
    tiny_study: Path, overrides: list[str], pair: tuple[str, str], expected: Kinship
) -> None:
    study = load(tiny_study, ["evaluate.rankers=[plain, C, C-D]", *overrides]).study
    assert kinship(study, *pair) is expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["rankers.C.seeds=[1, 2]"], {"plain": "", "C": "C", "C-D": "C", "bm25": ""}),
        (["rankers.plain.seeds=[1, 2]"], {"plain": "plain", "C": "plain", "C-D": "plain"}),
        (["rankers.C-D.start=plain", "rankers.C.seeds=[1, 2]"], {"C": "C", "C-D": ""}),
    ],
)
def test_systems_that_follow_one_systems_seeds_are_told_by_its_name(
    tiny_study: Path, overrides: list[str], expected: dict[str, str]
) -> None:
    study = load(tiny_study, ["evaluate.rankers=[plain, C, C-D]", *overrides]).study
    assert {name: seed_lineage(study, name) for name in expected} == expected
