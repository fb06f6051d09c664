"""Every argument of every verb of a notebook, given as what it is not: a sentence, or an answer, and never a bug."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rankscope as rs
from rankscope.core.errors import BadInput, RankscopeError
from support import scenes, tiny

ODD = {
    "int": 3,
    "fraction": 2.5,
    "nan": float("nan"),
    "true": True,
    "bytes": b"x",
    "text": "x",
    "nul": "a\0b",
    "half": "half \ud800 a character",
    "list": [],
    "of_numbers": [3],
    "table": {},
    "of_none": {"x": None},
    "object": object(),
    "array": np.array([1, 2]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def verbs(folder: Path) -> Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]:
    """Verb to its function and to arguments that it takes."""
    c = rs.collection(scenes.write(folder / "scenes"))
    learnt = rs.collection(folder / "scenes", split="train")
    run, hard = rs.search("bm25", c, depth=5), rs.search("bm25", learnt, depth=5)
    tiny.cross_encoder(folder / "a").save(folder / "tiny")
    tiny.cross_encoder(folder / "b").save(folder / "other")
    ranker = rs.load(folder / "tiny")
    tiny.write_study(folder / "study")
    rs.write_run(folder / "r.run", run)
    rs.write_qrels(folder / "r.qrels", c.qrels)
    both = {"a": run, "b": run.top(2)}
    few = {"relevance_level": 1, "processes": 1}
    return {
        "collection": (rs.collection, {"name": folder / "scenes", "split": "test"}),
        "load": (rs.load, {"model": folder / "tiny", "name": "x"}),
        "load_bm25": (rs.load, {"model": "bm25", "collection": c, "language": "english"}),
        "score": (ranker.score, {"pairs": [("who", "a cat")]}),
        "rank": (ranker.rank, {"query": "who", "docs": ["a cat", "a dog"], "top": 1}),
        "search": (rs.search, {"model": "bm25", "collection": c, "depth": 3, "language": "english"}),
        "rerank": (
            rs.rerank,
            {"ranker": ranker, "collection": c, "run": run, "depth": 2, "precision": "float32"},
        ),
        "top": (run.top, {"depth": 2}),
        "measure": (rs.measure, {"runs": both, "qrels": c, "measures": ["nDCG@10"], **few}),
        "compare": (
            rs.compare,
            {"runs": both, "qrels": c, "measures": ["nDCG@10"], "baseline": "a", "margin": {"nDCG@10": 0.1}}
            | few
            | {"significance_level": 0.05, "resamples": 10, "seed": 1, "correction": "holm", "family_size": 4},
        ),
        "tune": (
            rs.tune,
            {"ranker": ranker, "collection": learnt, "negatives": hard, "name": "tuned", "results": folder / "r"}
            | {"validate": None, "samples": {"group_size": 2}, "guards": {}}
            | {"loss": "localized_contrastive", "max_updates": 1, "learning_rate": 1e-3},
        ),
        "tune_teacher": (
            rs.tune,
            {"ranker": ranker, "collection": learnt, "teacher": hard, "results": folder / "r"}
            | {"name": "taught", "loss": "ranknet", "max_updates": 1, "learning_rate": 1e-3},
        ),
        "probe": (
            rs.probe,
            {"rankers": [ranker], "collection": c, "train": learnt, "baseline": (), "candidates": (2,), "fits": 1},
        ),
        "attribute": (
            rs.attribute,
            {"rankers": [ranker], "collection": c, "baseline": (), "seed": 1, "examples": 2, "nodes": 2}
            | {"ablate": False},
        ),
        "diff": (
            rs.diff,
            {"before": ranker, "after": folder / "other", "collection": c, "queries": 5, "texts": 20}
            | {"neighbours": 3, "depth": 5, "seed": 1},
        ),
        "read_study": (
            rs.read_study,
            {"path": folder / "study" / "study.yaml", "overrides": ["seed=3"], "results": folder / "r"},
        ),
        "write_run": (rs.write_run, {"path": folder / "w.run", "run": run}),
        "read_run": (rs.read_run, {"path": folder / "r.run"}),
        "write_qrels": (rs.write_qrels, {"path": folder / "w.qrels", "qrels": c.qrels}),
        "read_qrels": (rs.read_qrels, {"path": folder / "r.qrels"}),
    }  # fmt: skip


NAMES = [
    "collection", "load", "load_bm25", "score", "rank", "search", "rerank", "top", "measure", "compare", "tune",
    "tune_teacher", "probe", "attribute", "diff", "read_study", "write_run", "read_run", "write_qrels", "read_qrels",
]  # fmt: skip


def test_every_verb_is_here(verbs: Mapping[str, Any]) -> None:
    """A verb that is added to the front stands in the table above."""
    records = {"Doc", "ListwiseSample", "Qrel", "Query", "Run", "ScoredDoc", "RankscopeError"}
    assert set(rs.__all__) - records <= set(verbs)
    assert set(verbs) == set(NAMES)


LONG = {"probe", "tune", "tune_teacher", "attribute", "diff"}
"""The verbs that train, or read every layer, where an odd argument is one that they take."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in NAMES]
)
def test_an_argument_that_is_none_gets_a_sentence(
    name: str,
    verbs: Mapping[str, Any],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)  # "x" is a file that may be written
    verb, given = verbs[name]
    verb(**given)
    faults = []
    for argument in given:
        for kind, odd in ODD.items():
            try:
                verb(**{**given, argument: odd})
            except (RankscopeError, OSError):  # the system's errors name the file
                continue
            except Exception as error:
                faults.append(f"{argument}={kind}: {type(error).__name__}: {error}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("depth", [0, -1])
def test_a_run_is_not_cut_from_its_end(depth: int) -> None:
    run = rs.Run.of("mine", [rs.ScoredDoc("q", doc, 1.0) for doc in "abc"])
    with pytest.raises(BadInput, match=f"The depth is {depth}, and a ranking has at least 1 doc"):
        run.top(depth)


def test_a_run_may_be_a_table_and_numbers_numpy_s(verbs: Mapping[str, Any]) -> None:
    """What `measure` reads as a run, `rerank` and `tune` read too."""
    rerank, given = verbs["rerank"]
    table = {
        query: {doc.doc_id: doc.score for doc in ranking}
        for query, ranking in given["run"].rankings.items()
    }
    again = rerank(**{**given, "run": table, "depth": np.int64(2)})
    assert again.rankings == rerank(**given).rankings
    tune, given = verbs["tune"]
    tuned = tune(**{**given, "max_updates": np.int64(1), "learning_rate": np.float64(1e-3)})
    with pytest.raises(
        BadInput, match=r"makes several stages \(.*tuned.seed=1.*\), and this is one"
    ):
        tune(**given, seeds=[1, 2])
    assert tuned.location == tune(**given).location, "the same stage"
