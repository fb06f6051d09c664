from pathlib import Path
from typing import Any

import pytest
import yaml

from rankscope.core.errors import BadStudy
from rankscope.study import (
    spec,
    spec_changes,
    spec_data,
    spec_evaluate,
    spec_explain,
    spec_fields,
    spec_rankers,
)
from rankscope.study.load import load, validated
from support import tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))


def changed(values: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    *tables, last = place.split(".")
    inner = values
    for table in tables:
        inner = inner[table]
    inner[last] = value
    return values


def test_defaults_live_in_the_spec(values: dict[str, Any]) -> None:
    study = validated(values, "study")
    stage = study.rankers["C-D"]
    assert isinstance(stage, spec_rankers.TrainedSpec)
    assert (stage.weight_decay, stage.schedule, stage.kept) == (0.01, "linear", "last")
    assert study.rankers["C"].kept == "best_validation"  # type: ignore[union-attr]
    assert study.lineage("C-D") == ["plain", "C", "C-D"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("seeed", 1, "seeed: there is no such field"),
        ("rankers.C.max_updatez", 1, "rankers.C.max_updatez: there is no such field"),
        ("first_stages.bm25.k_1", 1, "first_stages.bm25.k_1: there is no such field"),
        (
            "rankers.C.learning_rate",
            "fast",
            "rankers.C.learning_rate: Input should be a valid number",
        ),
        (
            "rankers.C.start",
            "plane",
            "rankers.C.start: Unknown ranker 'plane'. Did you mean 'plain'",
        ),
        ("rankers.C.start", "C-D", "it starts from itself"),
        ("rankers.C.loss", "ranknett", "Unknown loss 'ranknett'. Did you mean 'ranknet'"),
        ("rankers.C.guards", {"unmovd": "off"}, "Unknown guard 'unmovd'. Did you mean 'unmoved'"),
        ("rankers.C.guards", {"unmoved": "on"}, "should be 'stop', 'warn' or 'off'"),
        ("rankers.C.epochs", 1, "give either `max_updates` or `epochs`"),
        ("rankers.C.queries_per_batch", 3, "must be a multiple"),
        ("rankers.C-D.samples.labels", "gpt", "Unknown teacher 'gpt'"),
        ("rankers.C-D.samples.labels", "qrels", "`negatives` goes with `labels: qrels`"),
        ("rankers.C-D.keep", "best_validation", "`keep: best_validation` needs `validate`"),
        ("rankers.C.validate.collection", "held-out", "Unknown collection 'held-out'"),
        ("rankers.C.validate.measure", "nDGC@10", "Unknown measure 'nDGC@10'"),
        ("rankers.other", {"backbone": "x"}, "rankers.other: give `kind: cross_encoder`"),
        ("rankers.bm25", {"kind": "bi_encoder", "model": "x"}, "a first stage has this name too"),
        ("teachers.bi.ranker", "by", "teachers.bi.ranker: Unknown ranker 'by'"),
        ("evaluate.over", ["dev"], "evaluate.over: Unknown collection 'dev'"),
        ("evaluate.baseline", "best", "evaluate.baseline: Unknown ranker or first stage 'best'"),
        ("evaluate.rankers", ["best"], "evaluate.rankers: Unknown ranker 'best'"),
        ("evaluate.measures", ["nDGC@10"], "Unknown measure 'nDGC@10'"),
        ("evaluate.margin", {"RR": 0.1}, "Unknown measure in `margin` 'RR'"),
        ("evaluate.rerank.from", ["bm52"], "Unknown first stage 'bm52'"),
        ("evaluate.measures", ["AP", "MAP"], "`measures` names one thing twice"),
        ("evaluate.measures", ["alpha_nDCG@10"], "cannot be computed from qrels and a run"),
        ("evaluate.over", ["test", "test"], "`over` names one thing twice"),
        ("evaluate.rankers", ["plain"], "evaluate.baseline: C is not evaluated"),
        ("evaluate.rerank.depth", 21, "21 docs are asked for, but bm25 ranks 20"),
        ("rankers.C.samples.negatives.depth", 50, "rankers.C.samples.negatives.depth: 50 docs"),
        ("rankers.C.validate.depth", 50, "rankers.C.validate.depth: 50 docs"),
        ("teachers.bi.depth", 50, "teachers.bi.depth: 50 docs"),
        ("rankers.C.samples.teacher_labels", "scores", "`teacher_labels` goes with a teacher"),
        (
            "teachers.bi",
            {"kind": "permutations", "path": "a", "candidates": "b", "window": 5},
            "`step` must not be larger than `window`",
        ),
        ("teachers.bi", {"kind": "permutations", "path": "a"}, "teachers.bi.candidates"),
        ("teachers.bi", {"kind": "kdd", "path": "a"}, "teachers.bi"),
        ("teachers.bi.ranker", "C-D", "its teacher learns from it (C-D -> C-D)"),
        ("rankers.C.samples.group_size", 12, "a group of 12 needs 11 negatives, but ranks 1 to 10"),
        ("rankers.C-D.samples.group_size", 6, "group_size: 6 docs are asked for, but bi ranks 5"),
        ("evaluate.over", "test", "evaluate.over: give a list"),
        ("rankers.plain.revision", 1234567, "stands in quotes"),
        ("evaluate.correction", "hollm", "Did you mean 'holm'"),
        ("evaluate.margin", {"nDCG@10": "five"}, "evaluate.margin"),
        ("evaluate.tests", "published", "evaluate.tests"),
        ("study", "a/b", "study: String should match pattern"),
        ("collections.train.part", [0.5, 0.2], "`part` must rise"),
    ],
)
def test_every_mistake_is_named_with_its_place(
    values: dict[str, Any], place: str, value: Any, message: str
) -> None:
    with pytest.raises(BadStudy) as caught:
        validated(changed(values, place, value), "study.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("study.yaml: ")
    assert "\n" not in str(caught.value)


def test_every_name_that_leads_nowhere_is_named_at_once(values: dict[str, Any]) -> None:
    wrong = changed(changed(values, "rankers.C.start", "plian"), "evaluate.over", ["dev"])
    with pytest.raises(BadStudy, match=r"rankers.C.start: Unknown .* evaluate.over: Unknown"):
        validated(wrong, "study.yaml")


def test_what_a_ranker_learnt_from_counts_ancestors_and_teachers(values: dict[str, Any]) -> None:
    """C-D starts from C; taught by a ranker that learnt elsewhere, it learnt from there too."""
    elsewhere = values["rankers"]["C"] | {
        "samples": {
            "collection": "test",
            "labels": "qrels",
            "negatives": {"from": "bm25", "depth": 9},
        }
    }
    values = changed(values, "rankers.T", elsewhere)
    assert validated(values, "s").learnt_from("C-D") == ["train"]
    study = validated(changed(values, "teachers.bi.ranker", "T"), "s")
    assert study.learnt_from("C-D") == ["train", "test"]
    assert study.learnt_in(study.lineage("C-D")) == ["train"]
    assert study.learnt_from("plain") == []


def test_overrides_are_read_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))
    loaded = load(path, ["seed=7", "rankers.C.learning_rate=1.0e-4", "evaluate.baseline=bm25"])
    assert loaded.study.seed == 7
    assert loaded.study.rankers["C"].learning_rate == 1e-4  # type: ignore[union-attr]
    assert loaded.study.evaluate.baseline == ("bm25",)
    for bad in ("seed", "=1", "seed.a=1", "seed=[1"):
        with pytest.raises(BadStudy, match="override"):
            load(path, [bad])


def test_an_override_behind_an_anchor_moves_one_place_only(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    text = tiny.STUDY.format(data="data", encoder="encoder", bi="bi")
    text = text.replace("  C:\n", "  C: &c\n").replace(
        "evaluate:\n", "  C2: {<<: *c, start: C}\nevaluate:\n"
    )
    path.write_text(text)
    study = load(path, ["rankers.C2.samples.group_size=9"]).study
    assert study.rankers["C2"].samples.group_size == 9  # type: ignore[union-attr]
    assert study.rankers["C"].samples.group_size == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "not YAML"), ("- 1\n", "a table of names")]
)
def test_a_file_that_is_no_study(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadStudy, match=message):
        load(tmp_path / "s.yaml")
    with pytest.raises(BadStudy, match="no such study file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(BadStudy, match="cannot be read"):
        load(tmp_path)


def test_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))
    loaded = load(path)
    assert loaded.path("a/b") == tmp_path / "a/b"
    assert loaded.path("${NOWHERE_SET:-x}/b") == tmp_path / "x/b"
    monkeypatch.setenv("SOMEWHERE", "/data")
    assert loaded.path("${SOMEWHERE}/b") == Path("/data/b")
    with pytest.raises(BadStudy, match="NOWHERE_SET is not set"):
        loaded.path("${NOWHERE_SET}/b")


READY_MADE = sorted((ROOT / "studies").rglob("*.yaml"))


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: path.name)
def test_ready_made_studies_are_valid(path: Path) -> None:
    is_published = path.parent.name == "published"
    expected = path.stem.replace("-small", "-as-published-small") if is_published else path.stem
    assert load(path).study.study in {expected, f"{expected}-as-published"}


def test_no_two_of_them_share_a_folder_for_results() -> None:
    names = [load(path).study.study for path in READY_MADE]
    assert len(set(names)) == len(names) >= 5


def specs() -> list[type[spec_fields.Spec]]:
    modules = (spec, spec_data, spec_rankers, spec_evaluate, spec_explain, spec_changes)
    found = [value for module in modules for value in vars(module).values()]
    return [v for v in found if isinstance(v, type) and issubclass(v, spec_fields.Spec)]


@pytest.mark.parametrize("field", [f"{m.__name__}.{n}" for m in specs() for n in m.model_fields])
def test_every_field_is_documented(field: str) -> None:
    model, name = field.split(".")
    shown = next(m for m in specs() if m.__name__ == model).model_fields[name].alias or name
    page = (ROOT / "docs/study-file.md").read_text("utf-8")
    assert f"`{shown}`" in page, f"{field} is not in docs/study-file.md: run `make docs`"
