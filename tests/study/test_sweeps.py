"""Lists of hyper-parameters and seeds, written out: names, values, references, refusals, and the plan."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rankscope.core.errors import BadStudy
from rankscope.store.fingerprint import Digests
from rankscope.study.load import load, validated
from rankscope.study.plan import plan
from rankscope.study.sweeps.members import expand
from support import tiny


def study(**rankers: Mapping[str, Any]) -> dict[str, Any]:
    """The tiny study with fields of its rankers changed; `C_D` is C-D, nested tables are merged."""
    values = yaml.safe_load(tiny.STUDY.format(data="data", encoder="encoder", bi="bi"))
    for name, fields in rankers.items():
        place = values["rankers"].setdefault(name.replace("_", "-"), {})
        for key, value in fields.items():
            if isinstance(value, dict) and isinstance(place.get(key), dict):
                place[key] |= value
            else:
                place[key] = value
    return values


def names(values: Mapping[str, Any]) -> list[str]:
    return list(expand(values)["rankers"])


def test_a_study_without_lists_is_left_as_it_is() -> None:
    assert expand(study()) == study()


def test_a_list_is_a_ranker_for_each_value() -> None:
    """YAML reads 1e-6 as text and 1.0e-5 as a number; the field reads both as numbers."""
    values = study(C={"learning_rate": ["1e-6", 1.0e-5, 1]}, C_D={"start": "plain"})
    found = expand(values)["rankers"]
    assert list(found) == [
        "bi", "plain", "C.learning_rate=1e-06", "C.learning_rate=1e-05", "C.learning_rate=1", "C-D",
    ]  # fmt: skip
    rates = [found[name]["learning_rate"] for name in found if name.startswith("C.")]
    assert rates == [1e-6, 1e-5, 1.0]


def test_several_lists_are_crossed_and_nested_fields_named_by_their_last_part() -> None:
    values = study(
        C={"samples": {"group_size": [3, 4]}, "freeze": ["encoder"], "compile": [True, False]}
    )
    assert names(values)[2:6] == [
        "C.group_size=3.compile=true",
        "C.group_size=3.compile=false",
        "C.group_size=4.compile=true",
        "C.group_size=4.compile=false",
    ]
    found = expand(values)["rankers"]["C.group_size=4.compile=false"]
    assert (found["samples"]["group_size"], found["compile"]) == (4, False)
    assert found["freeze"] == ["encoder"], "a list by nature is no sweep"


def test_a_last_part_that_two_fields_have_is_told_apart() -> None:
    """`depth` stands in negatives and in validate, `loss` in the ranker and in what it is mixed with."""
    values = study(C={"samples": {"negatives": {"from": "bm25", "depth": [9, 10]}}})
    assert names(values)[2] == "C.negatives.depth=9"
    values = study(C={"validate": {"depth": [4, 5]}})
    assert names(values)[2] == "C.validate.depth=4"
    other = {"samples": {"labels": "bi", "group_size": [3, 4]}, "loss": "ranknet"}
    values = study(C={"mixed_with": other, "weight_decay": [0, 0.1]})
    assert names(values)[2] == "C.mixed_with.samples.group_size=3.weight_decay=0"


def test_a_ranker_that_starts_from_a_swept_one_has_a_member_for_each() -> None:
    values = study(C={"learning_rate": [0.1, 0.2]}, C_D={"loss": ["ranknet", "listmle"]})
    found = expand(values)["rankers"]
    starts = {name: fields["start"] for name, fields in found.items() if name.startswith("C-D")}
    assert starts == {
        f"C-D.learning_rate={rate}.loss={loss}": f"C.learning_rate={rate}"
        for rate in (0.1, 0.2)
        for loss in ("ranknet", "listmle")
    }


def test_the_same_field_swept_in_two_stages_is_told_apart_by_the_stage() -> None:
    values = study(C={"learning_rate": [0.1]}, C_D={"learning_rate": [0.2]}, E={"start": "C-D"})
    assert names(values)[2:] == [
        "C.learning_rate=0.1",
        "C-D.C.learning_rate=0.1.learning_rate=0.2",
        "E.C.learning_rate=0.1.C-D.learning_rate=0.2",
    ]


def test_seeds_go_on_one_to_one_and_are_never_crossed() -> None:
    values = study(plain={"seeds": [1, "2"]}, C={"learning_rate": [0.1, 0.2]}, C_D={"start": "C"})
    found = expand(values)["rankers"]
    assert list(found)[1:7] == [
        "plain.seed=1",
        "plain.seed=2",
        "C.learning_rate=0.1.seed=1",
        "C.learning_rate=0.1.seed=2",
        "C.learning_rate=0.2.seed=1",
        "C.learning_rate=0.2.seed=2",
    ]
    last = found["C-D.learning_rate=0.2.seed=2"]
    assert (last["start"], last["seed"]) == ("C.learning_rate=0.2.seed=2", 2)
    assert found["C.learning_rate=0.1.seed=2"]["start"] == "plain.seed=2"
    assert all("seeds" not in fields for fields in found.values())
    again = expand(study(plain={"seeds": [1, 2]}, C={"seeds": [2, 1]}))["rankers"]
    assert list(again)[3:5] == ["C.seed=1", "C.seed=2"], "the same seeds may be said again"


def test_exact_members_and_systems_can_be_started_from() -> None:
    """A member hands nothing on; a system, its seeds; the ranker's name, everything."""
    swept = {"plain": {"seeds": [1, 2]}, "C": {"learning_rate": [0.1, 0.2]}}
    of = {
        "C": 4,
        "C.learning_rate=0.2": 2,
        "C.learning_rate=0.2.seed=1": 1,
    }
    for start, count in of.items():
        members = [name for name in names(study(**swept, C_D={"start": start})) if "C-D" in name]
        assert len(members) == count
    assert members == ["C-D"]
    two = expand(study(**swept, C_D={"start": "C.learning_rate=0.2"}))["rankers"]
    assert two["C-D.seed=2"]["start"] == "C.learning_rate=0.2.seed=2"
    own = expand(study(**swept, C_D={"start": "C.learning_rate=0.2.seed=1", "seeds": [7, 8]}))
    assert own["rankers"]["C-D.seed=8"]["start"] == "C.learning_rate=0.2.seed=1"


def test_a_start_may_be_written_below() -> None:
    values = study(C={"learning_rate": [0.1, 0.2]})
    ranked = values["rankers"]
    values["rankers"] = {name: ranked[name] for name in ("C-D", "C", "plain", "bi")}
    assert names(values)[:2] == ["C-D.learning_rate=0.1", "C-D.learning_rate=0.2"]


def test_the_evaluation_ranks_all_members_and_compares_systems() -> None:
    values = study(plain={"seeds": [1, 2]}, C_D={"learning_rate": [0.1, 0.2]})
    values["evaluate"] |= {"rankers": ["C", "C-D"], "baseline": ["bm25", "C", "C-D"]}
    found = validated(values, "study")
    assert found.evaluate.rankers == (
        "C.seed=1",
        "C.seed=2",
        *(f"C-D.learning_rate={rate}.seed={seed}" for rate in (0.1, 0.2) for seed in (1, 2)),
    )
    assert found.evaluate.baseline == (
        "bm25", "C", "C-D.learning_rate=0.1", "C-D.learning_rate=0.2",
    )  # fmt: skip
    assert found.systems() == {
        "C": ("C.seed=1", "C.seed=2"),
        **{
            f"C-D.learning_rate={rate}": tuple(
                f"C-D.learning_rate={rate}.seed={seed}" for seed in (1, 2)
            )
            for rate in (0.1, 0.2)
        },
    }
    values["evaluate"]["baseline"] = "C"
    assert validated(values, "study").evaluate.baseline == ("C",)


def test_every_member_is_probed_by_itself() -> None:
    values = study(C={"seeds": [1, 2]}, plain={})
    collection = next(iter(values["collections"]))
    values["explain"] = {
        "rankers": ["plain", "C"],
        "probes": {
            "all": {
                "examples": {"over": collection, "train": collection, "from": "bm25", "depth": 5},
                "rankers": ["C"],
                "baseline": "C",
            }
        },
    }
    expanded = expand(values)["explain"]
    assert expanded["rankers"] == ["plain", "C.seed=1", "C.seed=2"]
    assert expanded["probes"]["all"]["rankers"] == ["C.seed=1", "C.seed=2"]
    assert expanded["probes"]["all"]["baseline"] == ["C.seed=1", "C.seed=2"]
    ((_, question),) = validated(values, "study").questions()
    assert question.spec.baseline == ("C.seed=1", "C.seed=2")


def pairs(values: dict[str, Any], asked: Mapping[str, str]) -> dict[str, str]:
    """Ranker to the one it is compared with, sweeps written out."""
    question = {"over": "test", "from": "bm25", "pairs": dict(asked)}
    found = expand(values | {"explain": {"changes": {"a": question}}})
    return dict(found["explain"]["changes"]["a"]["pairs"])


def test_a_swept_rankers_name_in_a_pair_is_the_member_that_the_other_was_tuned_from() -> None:
    """plain -> C -> C-D, with two seeds: each member of C-D is compared with the ancestor of its line."""
    values = study(plain={"seeds": [1, 2]}, C={"learning_rate": [0.1, 0.2]}, C_D={"start": "C"})
    members = [f"learning_rate={rate}.seed={seed}" for rate in (0.1, 0.2) for seed in (1, 2)]
    assert pairs(values, {"C-D": "C"}) == {f"C-D.{of}": f"C.{of}" for of in members}
    assert pairs(values, {"C-D": "plain"}) == {f"C-D.{of}": f"plain.{of[-6:]}" for of in members}


def test_a_swept_rankers_name_in_a_pair_is_else_the_member_of_the_same_seed() -> None:
    values = study(C={"seeds": [1, 2]}, C_D={"start": "plain", "seeds": [2, 1]})
    assert pairs(values, {"C-D": "C"}) == {f"C-D.seed={n}": f"C.seed={n}" for n in (2, 1)}


def test_a_pair_with_several_that_could_be_meant_is_refused() -> None:
    values = study(C={"learning_rate": [0.1, 0.2]}, C_D={"start": "plain"})
    with pytest.raises(
        BadStudy,
        match="explain.changes.a.pairs.C-D: C stands for 2 rankers, and C-D is compared with one. Name one of "
        "them: C.learning_rate=0.1, C.learning_rate=0.2",
    ):
        pairs(values, {"C-D": "C"})


def test_a_swept_baseline_of_the_forgetting_matrix_is_its_one_system() -> None:
    def baseline(**rankers: Mapping[str, Any]) -> str:
        values = study(**rankers) | {"explain": {"forgetting": {"baseline": "C"}}}
        return str(expand(values)["explain"]["forgetting"]["baseline"])

    assert baseline(C={"seeds": [1, 2]}) == "C"
    assert baseline(C={"learning_rate": [0.1], "seeds": [1, 2]}) == "C.learning_rate=0.1"
    with pytest.raises(
        BadStudy,
        match="explain.forgetting.baseline: C stands for 2 systems, and one is the baseline. Name one of them: "
        "C.learning_rate=0.1, C.learning_rate=0.2",
    ):
        baseline(C={"learning_rate": [0.1, 0.2]})


def test_a_teacher_of_one_member_is_that_member() -> None:
    values = study(plain={"seeds": [5]})
    values["teachers"]["bi"]["ranker"] = "plain"
    assert expand(values)["teachers"]["bi"]["ranker"] == "plain.seed=5"


def test_what_the_report_shows_as_resolved_is_the_same_study() -> None:
    values = study(plain={"seeds": [1, 2]}, C_D={"learning_rate": ["1e-5", 0.2]})
    resolved = validated(values, "study")
    again = validated(resolved.model_dump(mode="json", by_alias=True), "study")
    assert again == resolved
    assert expand(expand(values)) == expand(values)


SWEPT: dict[str, st.SearchStrategy[Any]] = {
    "learning_rate": st.floats(1e-8, 1.0),
    "max_updates": st.integers(1, 50),
    "schedule": st.sampled_from(["linear", "cosine", "constant"]),
    "samples.group_size": st.integers(2, 9),
    "samples.negatives.skip_top": st.integers(0, 3),
}


@st.composite
def sweeps(draw: st.DrawFn) -> dict[str, list[Any]]:
    fields = draw(st.lists(st.sampled_from(sorted(SWEPT)), unique=True, min_size=1, max_size=3))
    return {
        field: draw(st.lists(SWEPT[field], unique=True, min_size=1, max_size=3)) for field in fields
    }


def place_of(values: dict[str, Any], dotted: str) -> tuple[dict[str, Any], str]:
    *tables, last = dotted.split(".")
    for table in tables:
        values = values[table]
    return values, last


@given(sweeps(), st.lists(st.integers(0, 9), unique=True, max_size=3))
def test_members_are_the_base_in_all_but_what_is_swept(
    swept: dict[str, list[Any]], seeds: list[int]
) -> None:
    """Every point of the grid stands there once, and nothing else of the ranker has moved."""
    values = study()
    base = values["rankers"]["C"]
    for field, listed in swept.items():
        place, last = place_of(base, field)
        place[last] = listed
    if seeds:
        base["seeds"] = seeds
    given_values = deepcopy(values)
    members = [made for name, made in expand(values)["rankers"].items() if name[:2] in {"C", "C."}]
    assert values == given_values, "pure: what is given stays as it is"
    points = set()
    for member in members:
        point = []
        for field, listed in swept.items():
            place, last = place_of(member, field)
            assert place[last] in listed
            point.append(place[last])
            place[last] = listed
        points.add((*point, member.pop("seed", None)))
        assert member == {key: value for key, value in base.items() if key != "seeds"}
    size = len(seeds) or 1
    for listed in swept.values():
        size *= len(listed)
    assert len(points) == len(members) == size


@pytest.mark.parametrize(
    ("rankers", "message"),
    [
        ({"C": {"learning_rate": []}}, "rankers.C.learning_rate: the list is empty."),
        (
            {"C": {"learning_rate": ["1e-5", 1e-05]}},
            "rankers.C.learning_rate: 1e-05 stands in the list twice. Keep one.",
        ),
        ({"C": {"learning_rate": ["fast"]}}, "rankers.C.learning_rate: 'fast' is not a number"),
        ({"C": {"loss": ["ranknett"]}}, "rankers.C.loss: Unknown loss 'ranknett'."),
        ({"C": {"learning_rate": [[1]]}}, "rankers.C.learning_rate: [1] is no single value"),
        ({"C": {"learning_rate": [None]}}, "rankers.C.learning_rate: None is no single value"),
        ({"C": {"start": ["plain", "bi"]}}, "rankers.C.start: a list cannot stand here"),
        ({"C": {"seed": [1, 2]}}, "rankers.C.seed: a list cannot stand here: several seeds"),
        ({"C": {"samples": [{}]}}, "rankers.C.samples: a list cannot stand here; only single"),
        ({"C": {"checkpoint_every": [1, 2]}}, "it changes no result"),
        ({"plain": {"backbone": ["a/b", "c"]}}, "'a/b' cannot be part of a name"),
        ({"C": {"seeds": 3}}, "rankers.C.seeds: give a list, such as [1, 2, 3]."),
        ({"C": {"seeds": []}}, "rankers.C.seeds: the list is empty."),
        ({"C": {"seeds": [1, 1]}}, "rankers.C.seeds: 1 stands in the list twice."),
        ({"C": {"seeds": [-1]}}, "rankers.C.seeds: -1 is below 0"),
        ({"C": {"seeds": [1], "seed": 2}}, "rankers.C.seeds: `seed` stands beside it."),
        ({"bi": {"seeds": [1, 2]}}, "rankers.bi.seeds: a bi_encoder has no seed of its own."),
        (
            {"plain": {"seeds": [1, 2]}, "C": {"seeds": [1, 3]}},
            "rankers.C.seeds: plain has the seeds 1, 2, and C goes on with them. Leave it out.",
        ),
        (
            {"plain": {"seeds": [1, 2]}, "C": {"seed": 1}},
            "rankers.C.seed: plain has the seeds 1, 2",
        ),
        ({"C": {"start": "C-D", "learning_rate": [1, 2]}}, "it starts from itself (C -> C-D -> C)"),
        (
            {"bi": {"revision": ["a", "b"]}},
            "teachers.bi.ranker: bi stands for 2 rankers, and one teaches. "
            "Name one of them: bi.revision=a, bi.revision=b.",
        ),
        ({"other": {"kind": "bi_encoder", "model": ["x" * 200]}}, "150 characters are the most"),
    ],
)
def test_what_cannot_be_a_sweep_is_refused(rankers: dict[str, Any], message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        validated(study(**rankers), "study.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_come_out_twice_are_refused() -> None:
    values = study(C={"seeds": [1, 2]})
    values["rankers"]["C.seed=2"] = values["rankers"]["plain"]
    with pytest.raises(BadStudy, match="rankers.C.seed=2: the values of C make a ranker of this"):
        validated(values, "study")
    values = study(C={"seed": 1})
    values["rankers"]["C.seed=1"] = values["rankers"]["C"]
    with pytest.raises(BadStudy, match="rankers.C: C.seed=1 is a seed of this name too"):
        validated(values, "study")
    values = study(C={"seeds": [1, 2]})
    values["first_stages"]["C"] = {"kind": "bm25"}
    with pytest.raises(BadStudy, match="rankers.C: a first stage has this name too"):
        validated(values, "study")


def test_a_mistake_in_a_swept_ranker_is_said_once_at_its_place_in_the_file() -> None:
    wrong = study(C={"seeds": [1, 2], "max_updatez": 3})
    with pytest.raises(BadStudy) as caught:
        validated(wrong, "s")
    assert str(caught.value) == (
        "s: rankers.C.max_updatez: there is no such field. Did you mean `max_updates`?"
    )
    with pytest.raises(BadStudy, match="^s: rankers.C.start: Unknown ranker 'plian'") as caught:
        validated(study(C={"seeds": [1, 2], "start": "plian"}), "s")
    assert str(caught.value).count("plian") == 1


def test_a_list_elsewhere_is_no_sweep() -> None:
    values = study()
    values["first_stages"]["bm25"]["k1"] = [0.9, 1.2]
    with pytest.raises(BadStudy, match="first_stages.bm25.k1: one value is needed; a list makes"):
        validated(values, "s")


def test_one_seed_is_no_baseline_of_its_own() -> None:
    values = study(C={"seeds": [1, 2]})
    values["evaluate"]["baseline"] = ["C.seed=1"]
    with pytest.raises(BadStudy, match="C.seed=1 is one seed of C, .* Name C."):
        validated(values, "s")
    values["evaluate"] |= {"rankers": ["plain", "C.seed=1"], "baseline": ["C"]}
    assert validated(values, "s").systems() == {"plain": ("plain",), "C": ("C.seed=1",)}


# -- from a file to the plan --


def steps(path: Path, *overrides: str) -> dict[str, str]:
    made = plan(load(path, overrides), Digests().of)
    return {f"{step.kind} {step.label}": step.fingerprint for step in made.steps}


def test_an_override_may_be_a_list(tiny_study: Path) -> None:
    found = load(tiny_study, ["rankers.C.learning_rate=[1e-6,1e-5]", "rankers.plain.seeds=[1]"])
    assert [name for name in found.study.rankers if name.startswith("C.")] == [
        "C.learning_rate=1e-06.seed=1",
        "C.learning_rate=1e-05.seed=1",
    ]


def test_another_value_leaves_the_other_members_steps_as_they_are(tiny_study: Path) -> None:
    before = steps(tiny_study, "rankers.C.learning_rate=[1e-4,1e-3]", "rankers.C.seeds=[1,2]")
    after = steps(tiny_study, "rankers.C.learning_rate=[1e-4,2e-3]", "rankers.C.seeds=[1,2]")
    kept = {step for step in before if before[step] == after.get(step)}
    new = after.keys() - kept
    assert all("0.002" in step for step in new - {"evaluate all", "report tiny"}), new
    assert {f"train C-D.learning_rate=0.0001.seed={seed}" for seed in (1, 2)} <= kept
    more = steps(tiny_study, "rankers.C.learning_rate=[1e-4,1e-3]", "rankers.C.seeds=[1,2,3]")
    assert all(
        more[step] == before[step] for step in before.keys() - {"evaluate all", "report tiny"}
    )


def test_without_seeds_the_studys_seed_counts(tiny_study: Path) -> None:
    """A seed that is the study's own (3) names the same weights; another, others."""
    plain, own, other = (
        steps(tiny_study, *overrides)
        for overrides in ([], ["rankers.plain.seeds=[3]"], ["rankers.plain.seeds=[4]"])
    )
    assert own["ranker plain.seed=3"] == plain["ranker plain"] != other["ranker plain.seed=4"]
    assert own["train C-D.seed=3"] == plain["train C-D"] != other["train C-D.seed=4"]


def test_seeds_of_a_ranker_share_a_backbone_from_scratch(tiny_study: Path) -> None:
    scratch = "rankers.plain.backbone={kind: scratch, collection: train}"
    found = steps(tiny_study, scratch, "rankers.plain.seeds=[1,2]")
    assert [step for step in found if step.startswith("scratch")] == ["scratch plain"]
    assert found["ranker plain.seed=1"] != found["ranker plain.seed=2"]
