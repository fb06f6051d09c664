import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rankscope.core.errors import BadStudy, RankscopeError
from rankscope.pipeline.paths import LoadedStudy
from rankscope.pipeline.spec.fields import Spec
from rankscope.pipeline.spec.stages import TrainedSpec
from rankscope.study.load import load, validated
from rankscope.study.plan import plan
from rankscope.study.study import Study
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
    assert isinstance(stage, TrainedSpec)
    assert (stage.weight_decay, stage.schedule, stage.kept) == (0.01, "linear", "last")
    assert study.rankers["C"].kept == "best_validation"  # type: ignore[union-attr]
    assert study.lineage("C-D") == ["plain", "C", "C-D"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("seeed", 1, "seeed: there is no such field"),
        ("rankers.C.max_updatez", 1, "rankers.C.max_updatez: there is no such field"),
        ("first_stages.bm25.k_1", 1, "first_stages.bm25.k_1: there is no such field"),
        ("rankers.C.learning_rate", "fast", "rankers.C.learning_rate: 'fast' is not a number"),
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
        ("rankers.C-D.samples.labels", "qrels", "`negatives` is missing, which `labels: qrels`"),
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
        ("evaluate.measures", ["recall"], "computes R@5, R@10, R@15"),
        ("evaluate.measures", ["accuracy@1"], "may mean Success@1 "),
        ("evaluate.margin", {"nDCG@10": 0.1, "ndcg@10": 0.2}, "are one measure; keep one"),
        ("rankers.C.validate.measure", "P_5,10", "names 2 measures (P@5, P@10)"),
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
        ("evaluate.over", "test", "evaluate.over: a list is needed"),
        ("rankers.plain.revision", 1234567, "stands in quotes"),
        ("evaluate.correction", "hollm", "Did you mean 'holm'"),
        ("evaluate.margin", {"nDCG@10": "five"}, "evaluate.margin"),
        ("evaluate.tests", "published", "evaluate.tests"),
        ("study", "a/b", "study: 'a/b' is no name: a letter or digit first"),
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


LONG = {"kind": "scratch", "collection": "train", "max_length": 256}
SCRATCH = {"kind": "scratch", "collection": "train"}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("seed", True, "seed: true is not a number"),
        ("seed", None, "seed: a whole number is needed, and nothing stands here"),
        ("seed", {}, "seed: a whole number is needed, and this is a table"),
        ("seed", [1], "seed: one value is needed; a list makes a sweep in fields of `rankers` alone"),
        ("seed", -1, "seed: -1 is below 0, the least"),
        ("seed", 10**22, "seed: 10000000000000000000000 is above 9,223,372,036,854,775,807"),
        ("rankers.C.learning_rate", float("nan"), "learning_rate: nan is not a finite number"),
        ("rankers.C.learning_rate", float("inf"), "learning_rate: inf is not a finite number"),
        ("rankers.C.learning_rate", "nan", "learning_rate: 'nan' is not a finite number"),
        ("rankers.C.learning_rate", [1e-3, True], "rankers.C.learning_rate: true is not a number"),
        ("rankers.C.learning_rate", 0, "rankers.C.learning_rate: 0 is not above 0"),
        ("rankers.C.seeds", [1.5], "rankers.C.seeds: 1.5 is not a whole number"),
        ("study", "x" * 300, "(300 characters)' is too long: 100 characters are the most"),
        ("study", "..", "study: '..' is no name"),
        ("study", "-x", "study: '-x' is no name"),
        ("collections", {"name": {"kind": "beir", "path": 3}}, "collections.name.path: give text"),
        ("collections", {"scratch": {"kind": "beir"}}, "collections.scratch.path: this field is needed"),
        ("collections", {}, "collections: at least 1 value is needed, and there are none"),
        ("collections.train", {"kind": "biir"}, "'biir' is no `kind`; there are 'beir', 'files', 'ir_datasets', 'public', 'world'. Did you mean 'beir'?"),
        ("collections.train.part", [0], "collections.train.part: 2 values are needed, and one is missing"),
        ("collections.train.part", [0, 0.5, 1], "part: at most 2 values can stand here, and there are 3"),
        ("evaluate.margin", {"nDCG@10": "0%"}, "evaluate.margin.nDCG@10: '0%' is not a share above 0"),
        ("rankers.C.guards", {"unmoved": ["stop"]}, "guards.unmoved: one value is needed, and this is a list"),
        ("rankers.C.lora", {"merge": "maybe"}, "rankers.C.lora.merge: 'maybe' is not true or false"),
        ("rankers.plain.backbone", SCRATCH | {"layers": 10**9}, "1,000,000,000 layers of width 128 with 8,000 word pieces and 128 positions have 196,608,001,040,384 weights, 3,145,728.0 GB"),
        ("rankers.plain.backbone", SCRATCH | {"width": 10**8}, "layers of width 100,000,000"),
        ("rankers.plain.backbone", SCRATCH | {"width": 4, "layers": 1001}, "1,000 layers and 1,000,000,000 weights are the most"),
        ("rankers.plain.max_length", 10**7, "10000000 is above 1,000,000, the most"),
        ("explain", {"changes": {"m": {"over": "test", "from": "bm25", "pairs": {"C": 3}}}}, "explain.changes.m.pairs.C: give text"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_in_words_of_ours(
    values: dict[str, Any], place: str, value: Any, message: str
) -> None:
    with pytest.raises(BadStudy) as caught:
        validated(changed(values, place, value), "study.yaml")
    assert message in str(caught.value)
    for theirs in ("Input should", "valid", "unable to parse", "String should"):
        assert theirs not in str(caught.value)


def test_very_many_mistakes_are_not_all_told(values: dict[str, Any]) -> None:
    with pytest.raises(BadStudy, match="\n  and 988 more mistakes$") as caught:
        validated(values | {f"x{number}": 1 for number in range(1000)}, "study.yaml")
    first, *lines, _ = str(caught.value).splitlines()
    assert first == "study.yaml: 1,000 mistakes:"
    assert all(
        line.startswith(f"  x{number}: there is no such field. There are: study, seed, collections")
        for number, line in enumerate(lines)
    )
    assert len(lines) == 12


SEVERAL: dict[str, tuple[dict[str, Any], list[str]]] = {
    "fields": (
        {"rankers.C.max_update": 5, "rankers.C.learning_rate": "fast", "seed": -1},
        ["rankers.C.learning_rate: 'fast' is not", "rankers.C.max_update: there is no", "seed: -1 is below"],
    ),
    "names": (
        {"rankers.C-D.start": "D", "evaluate.over": ["tset"]},
        ["rankers.C-D.start: Unknown ranker 'D'", "evaluate.over: Unknown collection 'tset'"],
    ),
    "lists": (
        {"rankers.C.learning_rate": [], "rankers.C-D.loss": ["ranknet", "ranknet"]},
        ["rankers.C.learning_rate: the list is empty", "rankers.C-D.loss: ranknet stands in the list twice"],
    ),
    "what goes together": (
        {
            "evaluate.rerank.depth": 10**4, "rankers.C-D.loss": "localized_contrastive",
            "rankers.C-D.samples.group_size": 10**4,
        },
        ["evaluate.rerank.depth: 10000 docs", "rankers.C-D.samples.group_size: 10000 docs",
         "rankers.C-D.loss: localized_contrastive learns from"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SEVERAL)
def test_several_mistakes_have_a_line_each(values: dict[str, Any], what: str) -> None:
    wrong, told = SEVERAL[what]
    for place, value in wrong.items():
        values = changed(values, place, value)
    with pytest.raises(BadStudy) as caught:
        validated(values, "study.yaml")
    first, *lines = str(caught.value).splitlines()
    assert first == f"study.yaml: {len(told)} mistakes:"
    assert len(lines) == len(told)
    for mistake in told:
        assert any(line.startswith(f"  {mistake}") for line in lines), (mistake, lines)


@pytest.mark.parametrize(
    ("place", "value", "true", "false"),
    [
        ("samples", {"labels": "qrels"}, "`negatives` is missing", "goes with"),
        ("samples", {"labels": "bi", "negatives": {"from": "bm25"}}, "here stands `labels: bi`", "missing"),
        ("samples", {"labels": "qrels", "negatives": {"from": "bm25", "skip_top": 9, "depth": 9}}, "leaves out 9 of the 9 ranks", "ranks 10 to 9"),
        ("samples", {"labels": "qrels", "negatives": {"from": "bm25", "refresh_every": 2, "absolute_margin": 0}}, "`absolute_margin` would be compared", "missing"),
        ("samples", {"kind": "crops"}, "`kind: crops` goes with `loss: info_nce`; the loss is localized_contrastive", "samples.docs"),
        ("epochs", 1, "give either `max_updates` or `epochs`; both stand here", "neither"),
        ("max_updates", None, "give either `max_updates` or `epochs`; neither stands here", "both"),
    ],
)  # fmt: skip
def test_a_message_says_what_is_true(
    values: dict[str, Any], place: str, value: Any, true: str, false: str
) -> None:
    with pytest.raises(BadStudy) as caught:
        validated(changed(values, f"rankers.C.{place}", value), "study.yaml")
    assert true in str(caught.value)
    assert false not in str(caught.value)


def unread(values: dict[str, Any]) -> LoadedStudy[Study]:
    """The study over files that nobody looks for before they are read, and models made from nothing."""
    for name, collection in values["collections"].items():
        split = collection["split"]
        files = {"docs": "docs", "queries_file": f"q.{split}", "qrels": split}
        values["collections"][name] = {"kind": "files", **files}
    values["rankers"]["plain"] = {"kind": "cross_encoder", "backbone": LONG}
    values["rankers"]["bi"] = {"kind": "bi_encoder", "backbone": LONG}
    return LoadedStudy(validated(values, "s"), Path(), Path("s"), "", ())


def stages(n: int, **first: str) -> dict[str, Any]:
    """A line of `n` rankers, each tuned from the one before."""
    learnt = {
        "samples": {"labels": "bi", "group_size": 4},
        "loss": "ranknet",
        "max_updates": 1,
    }
    return {f"R{at}": {"start": f"R{at - 1}" if at else "plain", **learnt} for at in range(n)}


def test_a_line_of_rankers_has_an_end(values: dict[str, Any]) -> None:
    """`bi` teaches: plain, and 49 stages rest on one another; one more is told, and 3,000 do not end in a recursion."""
    rankers = values["rankers"]
    values["rankers"] = rankers | stages(49)
    assert len(validated(values, "s").lineage("R48")) == 50
    values["rankers"] = rankers | stages(50)
    with pytest.raises(BadStudy, match=r"rankers.R49: it rests on 50 rankers .* 49 are the most"):
        validated(values, "s")
    values["rankers"] = rankers | stages(2400)
    with pytest.raises(BadStudy, match="49 are the most"):
        validated(values, "s")
    values["rankers"] = rankers | stages(2400)
    values["rankers"]["R0"]["start"] = "R2399"
    with pytest.raises(BadStudy, match="it starts from itself"):
        validated(values, "s")


def test_what_many_ways_lead_to_is_looked_at_once(values: dict[str, Any]) -> None:
    """Each of 40 fusions is of both before it: 2^40 ways, 40 first stages."""
    stages = {
        f"f{at}": {"kind": "fuse", "of": [f"f{at - 1}", f"f{at - 2}"], "depth": 20}
        for at in range(2, 40)
    }
    values["first_stages"] |= {
        "f0": {"kind": "bm25", "depth": 20},
        "f1": {"kind": "bm25", "k1": 1.0, "depth": 20},
    } | stages
    values["evaluate"]["rerank"]["from"] = ["f39"]
    values["evaluate"]["baseline"] = "C"
    loaded = unread(values)
    assert {step.label for step in plan(loaded, str).steps} >= {f"f{at}.test" for at in range(40)}


def test_a_study_has_so_many_rankers(values: dict[str, Any]) -> None:
    """3 rankers are written, and C and what starts from it have a member for each seed."""
    values["rankers"]["C"]["seeds"] = list(range(1249))
    assert len(validated(values, "s").rankers) == 2 + 2 * 1249
    for seeds, message in {
        1250: r"rankers.C-D: .* has 2,502 rankers by here, and 2,500 are the most",
        2501: "rankers.C.seeds: the list has 2,501 values",
    }.items():
        values["rankers"]["C"]["seeds"] = list(range(seeds))
        with pytest.raises(BadStudy, match=message):
            validated(values, "s")
    del values["rankers"]["C"]["seeds"]
    fields = ("learning_rate", "weight_decay", "clip_norm", "warmup", "temperature")
    values["rankers"]["C"] |= {field: [at / 100 for at in range(1, 100)] for field in fields}
    with pytest.raises(BadStudy, match=r"has 9,509,900,501 rankers by here"):
        validated(values, "s")


def test_a_plan_reads_as_many_files_for_many_seeds_as_for_two(values: dict[str, Any]) -> None:
    """The plan is linear in seeds: what they share is looked at once."""
    read: dict[int, list[Path]] = {2: [], 40: []}
    for n, paths in read.items():

        def digest(path: Path, paths: list[Path] = paths) -> str:
            paths.append(path)
            return str(path)

        written = deepcopy(values)
        written["rankers"]["C"]["seeds"] = list(range(n))
        plan(unread(written), digest)
    assert len(read[2]) == len(read[40]) > 0


def test_a_step_whose_folder_no_file_system_takes_is_told(values: dict[str, Any]) -> None:
    values["first_stages"] = {"b" * 100: {"kind": "bm25", "depth": 20}}
    text = (
        str(values)
        .replace("'bm25'", f"'{'b' * 100}'")
        .replace(f"'kind': '{'b' * 100}'", "'kind': 'bm25'")
    )
    values = yaml.safe_load(text.replace("'test'", f"'{'t' * 100}'"))
    values["collections"]["t" * 100]["split"] = "test"
    values["rankers"]["D" * 100] = {"kind": "cross_encoder", "backbone": LONG}
    loaded = unread(values)
    with pytest.raises(
        BadStudy,
        match=r"of the kind rerank would be kept .* has 322 characters, .* take 251.*: 'D+…?.*', 't+…?.*', 'b+…?.*'\.",
    ):
        plan(loaded, str)


@pytest.mark.parametrize("path", ["~nobody-is-called-so/data", "x" * 300, "a/" * 3000, "loop/data"])
def test_paths_that_lead_nowhere(values: dict[str, Any], tmp_path: Path, path: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in ("collections.test.path", "rankers.plain.backbone"):
        study = validated(changed(values, place, path), "s")
        loaded = LoadedStudy(study, tmp_path, tmp_path / "s", "", ())
        with pytest.raises(RankscopeError) as caught:
            plan(loaded, str)
        assert len(str(caught.value)) < 400


def test_unknown_names_of_thousands_are_not_compared_with_thousands(values: dict[str, Any]) -> None:
    learnt = {
        "samples": {"labels": "bi", "group_size": 4},
        "loss": "ranknet",
        "max_updates": 1,
    }
    values["rankers"] |= {f"R{at}": {"start": f"S{at}", **learnt} for at in range(2000)}
    with pytest.raises(BadStudy, match=r"and 1,988 more mistakes$") as caught:
        validated(values, "s")
    first, *lines, _ = str(caught.value).splitlines()
    assert first == "s: 2,000 mistakes:"
    assert all(re.search(r"Unknown ranker 'S\d+'.*and 1,974 more\.", line) for line in lines)


def test_a_run_over_a_collection_that_is_none(values: dict[str, Any]) -> None:
    values["first_stages"]["mine"] = {"kind": "run_files", "paths": {"tset": "a.run"}}
    with pytest.raises(BadStudy, match="first_stages.mine.paths: Unknown collection 'tset'"):
        validated(values, "s")
    values["first_stages"]["mine"] = {"kind": "run_files", "paths": {"train": "a.run"}, "depth": 20}
    values["evaluate"]["rerank"]["from"] = ["bm25", "mine"]
    values["evaluate"]["baseline"] = ["C"]
    loaded = unread(deepcopy(values))
    with pytest.raises(BadStudy, match="a run over test is needed, and there are runs over train"):
        plan(loaded, str)
    values["first_stages"]["mine"]["otherwise"] = "bm52"
    with pytest.raises(BadStudy, match="first_stages.mine.otherwise: Unknown first stage 'bm52'"):
        validated(values, "s")
    values["first_stages"]["mine"]["otherwise"] = "mine"
    with pytest.raises(BadStudy, match="it needs its own run"):
        validated(values, "s")
    values["first_stages"]["mine"]["otherwise"] = "bm25"
    steps = plan(unread(values), str).steps
    searched = [step.label for step in steps if step.kind == "search"]
    assert "bm25.test" in searched
    assert not any(label.startswith("mine.test") for label in searched)


@pytest.mark.parametrize(
    ("changes", "true", "false"),
    [
        ({"first_stages.d": {"kind": "dense", "ranker": "late"}}, "late compares token by token, so it has no vector", "together"),
        ({"evaluate.rerank": None, "evaluate.search": {}, "evaluate.rankers": ["bi", "late"], "evaluate.baseline": []}, "late compares token by token, and only", "together"),
        ({"rankers.C.temperature": 0.5}, "`temperature` is for bi-encoders", "`in_batch` and"),
        ({"explain": {"forgetting": {"baseline": "bi"}}, "evaluate.rankers": ["bi"], "evaluate.baseline": [], "evaluate.rerank": None, "evaluate.search": {}}, "bi is all that is evaluated", "give `baseline`"),
        ({"explain": {"rankers": ["plain"], "changes": {"m": {"over": "test", "from": "bm25"}}}}, "no ranker of `explain.rankers` is tuned", "no ranker here"),
        ({"first_stages.other": {"kind": "bm25", "k1": 1.0, "depth": 20}, "evaluate.rerank.from": ["bm25", "other"], "evaluate.baseline": ["other"]}, "none is among what is compared over bm25", "search.beside"),
        ({"evaluate.over": ["test", "train", "test"]}, "names one thing twice (test)", "train"),
        ({"rankers.late.seeds": [1]}, "a late_interaction has no seed of its own", "drawn"),
    ],
)  # fmt: skip
def test_a_message_about_several_parts_says_what_is_true(
    values: dict[str, Any], changes: dict[str, Any], true: str, false: str
) -> None:
    values["rankers"]["late"] = {"kind": "late_interaction", "model": "x"}
    for place, value in changes.items():
        changed(values, place, value)
    with pytest.raises(BadStudy) as caught:
        validated(values, "study.yaml")
    assert true in str(caught.value)
    assert false not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"freeze_layers": 1}, "write `freeze_layers: 0`"),
        ({"freeze": ["embeddings"]}, "write `freeze: []`"),
        ({"freeze": ["embeddings"], "freeze_layers": 1}, "write `freeze: []` and `freeze_layers: 0`"),
    ],
)  # fmt: skip
def test_what_lora_freezes_is_told_by_what_was_written(
    values: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    values["rankers"]["C"] |= {"lora": {}, **fields}
    with pytest.raises(BadStudy, match="`lora` freezes all but adapter and head; ") as caught:
        validated(values, "study.yaml")
    assert str(caught.value).endswith(message)


def test_measures_of_other_tools_are_read_as_ours(values: dict[str, Any]) -> None:
    ours = changed(deepcopy(values), "evaluate.measures", ["nDCG@10", "AP", "RR@10", "P@5", "P@10"])
    theirs = changed(values, "evaluate.measures", "ndcg_cut_10, map mrr@10 P_5,10")
    ours["evaluate"]["margin"], theirs["evaluate"]["margin"] = {"RR@10": 0.02}, {"MRR@10": 0.02}
    ours["rankers"]["C"]["validate"]["measure"] = "nDCG@10"
    theirs["rankers"]["C"]["validate"]["measure"] = "ndcg_at_10"
    assert validated(theirs, "study") == validated(ours, "study")


def test_every_name_that_leads_nowhere_is_named_at_once(values: dict[str, Any]) -> None:
    wrong = changed(changed(values, "rankers.C.start", "plian"), "evaluate.over", ["dev"])
    with pytest.raises(BadStudy, match=r"rankers.C.start: Unknown .*\n  evaluate.over: Unknown"):
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
DEMO = ROOT / "src" / "rankscope" / "study" / "templates" / "demo.yaml"


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: path.name)
def test_ready_made_studies_are_valid(path: Path) -> None:
    is_published = path.parent.name == "published"
    expected = path.stem.replace("-small", "-as-published-small") if is_published else path.stem
    assert load(path).study.study in {expected, f"{expected}-as-published"}


def test_no_two_of_them_share_a_folder_for_results() -> None:
    names = [load(path).study.study for path in READY_MADE]
    assert len(set(names)) == len(names) >= 5


def specs(of: type[Spec] = Spec) -> list[type[Spec]]:
    """All specs of the package; other tests of this process may have made copies of them."""
    below = [each for part in of.__subclasses__() for each in (part, *specs(part))]
    return [
        spec for spec in below if getattr(sys.modules[spec.__module__], spec.__name__, None) is spec
    ]


@pytest.mark.parametrize("field", [f"{m.__name__}.{n}" for m in specs() for n in m.model_fields])
def test_every_field_is_documented(field: str) -> None:
    model, name = field.split(".")
    shown = next(m for m in specs() if m.__name__ == model).model_fields[name].alias or name
    page = (ROOT / "docs/study-file.md").read_text("utf-8")
    assert f"`{shown}`" in page, f"{field} is not in docs/study-file.md: run `make docs`"


SOURCE = re.compile(r"\b(19|20)\d\d\b|study [AB]\b|Contriever|BEIR")
OF_PRACTICE = {
    "TrainedSpec.trackers": "where a log goes is no matter of papers",
    **dict.fromkeys(
        ("WorldSpec.people", "WorldSpec.groups", "WorldFactsSpec.people", "WorldFactsSpec.groups"),
        "the size of a made-up world is no matter of papers",
    ),
}


def written_in(part: Any) -> set[str]:
    """The names of the fields that a study gives, in all parts of it."""
    if isinstance(part, dict | tuple):
        values = part.values() if isinstance(part, dict) else part
        return {field for value in values for field in written_in(value)}
    if not isinstance(part, Spec):
        return set()
    given = part.model_fields_set
    return {*given, *(field for name in given for field in written_in(getattr(part, name)))}


def test_every_option_that_no_ready_made_study_uses_names_its_source() -> None:
    """A paper that needs it, in its description or in that of its part; else nobody knows what to do with it."""
    made = [load(path).study for path in [*READY_MADE, DEMO]]
    used = {field for study in made for field in written_in(study)}
    unused = {
        f"{spec.__name__}.{name}": f"{spec.__doc__} {field.description}"
        for spec in specs()
        for name, field in spec.model_fields.items()
        if name not in used | {"kind"} and not field.is_required()
    }
    assert len(unused) > 30
    nameless = {option for option, text in unused.items() if not SOURCE.search(text)}
    assert nameless - OF_PRACTICE.keys() == set()
