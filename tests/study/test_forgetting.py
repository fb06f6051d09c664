"""The forgetting matrix out of a stored evaluation: who stands against whom, seeds, and one family of cells."""

from typing import Any

import pytest

from rankscope.analyses.forgetting.plan import ForgettingParams
from rankscope.analyses.forgetting.results import forgotten
from rankscope.core.judged.comparisons import Place
from rankscope.core.judged.evaluation import EvaluationRecord, SeedResult, SystemResult
from rankscope.core.judged.plain import as_plain
from rankscope.evaluate.arrays import Values

pytestmark = pytest.mark.usefixtures("frozen_garbage")

QUERIES = [f"q{n:02d}" for n in range(40)]
LIFT = {
    "plain": 0.0,
    "C.seed=1": 0.3,
    "C.seed=2": 0.32,
    "C.seed=3": 0.31,
    "C.seed=4": 0.305,
    "D": 0.001,
}


def values(name: str, collection: str) -> Values:
    """Each query has an ease of its own; C gains on dev, and loses what it gained elsewhere."""
    lift = LIFT[name] * (1 if collection == "dev" else -1)
    wobble = {q: (hash_of(name + q) % 100) / 1000 for q in QUERIES}
    return {q: 0.5 + n / 100 + lift + wobble[q] for n, q in enumerate(QUERIES)}


def hash_of(text: str) -> int:
    return sum((place + 1) * ord(letter) * 7919 for place, letter in enumerate(text))


def evaluation() -> tuple[EvaluationRecord, dict[tuple[str, str], Values]]:
    results, per_query = [], {}
    for collection in ("dev", "scifact"):
        for system, runs in {
            "plain": ["plain"],
            "C": [f"C.seed={seed}" for seed in range(1, 5)],
            "D": ["D"],
        }.items():
            if (system, collection) == ("D", "scifact"):
                continue
            paths = [f"{run}.{collection}" for run in runs]
            for run, path in zip(runs, paths, strict=True):
                per_query[path, "AP"] = values(run, collection)
            mean = sum(sum(per_query[p, "AP"].values()) for p in paths) / len(QUERIES) / len(paths)
            seeds = tuple(SeedResult(path, path, (), 0.0, {"AP": mean}) for path in paths)
            results.append(
                SystemResult(
                    Place(collection, "bm25"), system, paths[0], len(QUERIES), (), 0.0, {"AP": mean},
                    seeds if len(paths) > 1 else (),
                )
            )  # fmt: skip
    found = EvaluationRecord(
        (), (), "sound", {}, ("AP",), 0.05, "holm", {"AP": 0.05}, ("plain",), False, (), tuple(results), (), ()
    )  # fmt: skip
    return found, per_query


def matrix(lines: ForgettingParams) -> dict[str, Any]:
    """The matrix, as its file has it."""
    return as_plain(forgotten(*evaluation(), lines))


def test_every_cell_is_a_system_against_its_own_start_and_all_cells_are_one_family() -> None:
    against = {"C": "plain", "D": "plain"}
    found = matrix(ForgettingParams(against, ["C"], {"plain": ["dev"]}, {}, {}, {}, "AP"))
    cells = {(cell["system"], cell["collection"]): cell for cell in found["cells"]}
    assert set(cells) == {("C", "dev"), ("D", "dev"), ("C", "scifact")}
    verdicts = {at: cell["verdict"] for at, cell in cells.items()}
    assert verdicts["C", "dev"] == "better"
    assert verdicts["C", "scifact"] == "worse"
    assert verdicts["D", "dev"] == "equivalent"
    assert {at for at, cell in cells.items() if cell["is_taught"]} == {("C", "dev"), ("D", "dev")}
    assert {at for at, cell in cells.items() if cell["is_tuned_from"]} == {
        ("C", "dev"),
        ("C", "scifact"),
    }
    assert cells["C", "dev"]["n_seeds"] == [4, 1]
    smallest = min(cells.values(), key=lambda cell: cell["p_value"])
    assert smallest["corrected_p"] == pytest.approx(3 * smallest["p_value"])


def test_what_is_held_against_nothing_is_the_reference_where_it_is_needed() -> None:
    found = matrix(ForgettingParams({"D": "C"}, ["D"], {}, {}, {}, {}, "AP"))
    (cell,) = found["cells"]
    assert (cell["system"], cell["baseline"], cell["collection"]) == ("D", "C", "dev")
    assert [(row["system"], row["collection"]) for row in found["references"]] == [("C", "dev")]
    means = {(r.system, r.place.collection): r.means["AP"] for r in evaluation()[0].results}
    assert found["references"][0]["mean"] == means["C", "dev"]
    assert cell["difference"] == pytest.approx(means["D", "dev"] - means["C", "dev"])
