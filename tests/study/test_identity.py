"""What names a step: what can change its result, but for what stands at its default.

`RANKSCOPE_WRITE_DOCS=1 pytest tests/study/test_identity.py` writes the table of defaults; it does not where a default
changed and the version of its kind did not.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, create_model

from rankscope.pipeline.first_stages.bm25 import INDEX, BM25Spec
from rankscope.pipeline.identity import identity, settings
from rankscope.pipeline.paths import LoadedStudy
from rankscope.pipeline.spec.fields import FREE, Spec, read_by
from rankscope.pipeline.spec.rankers import BiEncoderSpec, PrefixesSpec
from rankscope.pipeline.spec.samples import CropsSpec
from rankscope.pipeline.spec.stages import MomentumQueueSpec, TrainedSpec
from rankscope.store.fingerprint import Digests
from rankscope.study.demo import write_demo
from rankscope.study.load import load
from rankscope.study.plan import plan
from rankscope.study.study import Study
from support.defaults import TABLE, stored, table, unraised, write

ADDED = "added_later"
ASKED = (
    "explain={probes: {w: {examples: {over: test, train: train, from: bm25, depth: 40}, rankers: [plain, C]}},"
    " attribution: {w: {over: test, from: bm25, depth: 40, rankers: [plain, C]}},"
    " changes: {w: {over: test, from: bm25, heads: {train: train}}}, forgetting: {}}"
)
"""Of the insides of the demo's rankers: every analysis."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo"))


def fingerprints(loaded: LoadedStudy[Study]) -> dict[str, str]:
    return {f"{s.kind} {s.label}": s.fingerprint for s in plan(loaded, Digests().of).steps}


# -- what is left out -----------------------------------------------------------------------------


def test_only_what_differs_from_its_default_names_a_step() -> None:
    spec = BM25Spec(kind="bm25", k1=0.9, b=0.5, depth=20)
    assert identity(spec, "index", str) == {"kind": "bm25", "b": 0.5}
    assert identity(spec, "search", str) == {"kind": "bm25", "depth": 20}


def test_a_part_at_its_defaults_is_another_thing_than_none() -> None:
    crops = CropsSpec(kind="crops", longest=0.4)
    stage: dict[str, Any] = {"start": "a", "samples": crops, "loss": "info_nce", "max_updates": 5}
    queue = TrainedSpec(**stage, momentum_queue=MomentumQueueSpec(size=131_072))
    found = identity(queue, "train", str)
    assert found["momentum_queue"] == {}
    assert found["samples"] == {"kind": "crops", "longest": 0.4}
    plain = BiEncoderSpec(kind="bi_encoder", backbone="b")
    assert identity(plain, "ranker", str) == {"kind": "bi_encoder"}
    written = plain.model_copy(update={"prefixes": PrefixesSpec(query="", doc="")})
    assert identity(written, "ranker", str) == {"kind": "bi_encoder"}
    prefixed = plain.model_copy(update={"prefixes": PrefixesSpec(query="q: ")})
    assert identity(prefixed, "ranker", str)["prefixes"] == {"query": "q: "}


def test_a_file_is_its_digest_and_what_is_free_is_nothing() -> None:
    @dataclass(frozen=True)
    class Params:
        files: Mapping[str, Path]
        where: Path | None = None
        watched: int = field(default=1, metadata=FREE)

    given = Params({"run": Path("a.trec")}, Path("b"), watched=3)
    digested = {"files": {"run": "digest of a.trec"}, "where": "digest of b"}
    assert identity(given, "search", lambda path: f"digest of {path}") == digested
    assert [each.name for each in settings(Params, "search")] == ["files", "where"]


# -- a study --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        "first_stages.bm25.k1=0.9",
        "rankers.C.schedule=linear",
        "rankers.C.samples.kind=labelled",
        "rankers.C.samples.negatives.absolute_margin=null",
        "evaluate.tests=sound",
        "evaluate.correction=holm",
        "explain.changes.w.heads.fits=3",
        "explain.probes.w.examples.kind=collection",
        "seed=42",
    ],
)
def test_a_default_that_is_written_out_is_the_same_but_on_the_page(
    demo: Path, override: str
) -> None:
    """The page shows what was typed."""
    before, after = (fingerprints(load(demo, [ASKED, *more])) for more in ((), (override,)))
    assert {name for name in after if after[name] != before[name]} == {"report demo"}


def test_a_default_that_follows_from_other_fields_is_the_same_but_on_the_page(demo: Path) -> None:
    before = fingerprints(load(demo))
    after = fingerprints(load(demo, ["rankers.C.keep=best_validation"]))
    assert {name for name in before if after[name] != before[name]} == {"report demo"}


def grown(value: Any, added: int) -> Any:
    """The same study out of specs that all have one field more, which is 7 where none says otherwise."""
    if isinstance(value, Spec):
        fields: dict[str, Any] = {ADDED: (int, 7)}
        wider = create_model(type(value).__name__, __base__=type(value), **fields)
        given = {name: grown(getattr(value, name), added) for name in type(value).model_fields}
        return wider.model_construct(**given, **{ADDED: added})
    if isinstance(value, Mapping):
        return {name: grown(each, added) for name, each in value.items()}
    return tuple(grown(each, added) for each in value) if isinstance(value, tuple) else value


def test_a_field_with_a_default_renames_no_step_until_it_is_given(demo: Path) -> None:
    loaded = load(demo, [ASKED])
    before = fingerprints(loaded)
    assert fingerprints(replace(loaded, study=grown(loaded.study, 7))) == before
    after = fingerprints(replace(loaded, study=grown(loaded.study, 8)))
    same = {name.split()[0] for name in before if after[name] == before[name]}
    assert same == {"docs"}, "no spec says what the docs of a collection are"


def test_steps_are_given_what_their_kind_says(demo: Path) -> None:
    steps = plan(load(demo, [ASKED]), Digests().of).steps
    assert [s.name for s in steps if not isinstance(s.params, s.of.params or type(None))] == []


# -- the table ------------------------------------------------------------------------------------


def test_a_default_changes_with_the_version_of_its_kind() -> None:
    """A changed default would give results of the old one for those of the new."""
    now = table()
    if os.environ.get("RANKSCOPE_WRITE_DOCS"):
        assert [*unraised(stored() if TABLE.exists() else {}, now)] == []
        write()
    assert [*unraised(stored(), now)] == []
    assert now == stored(), "RANKSCOPE_WRITE_DOCS=1 pytest tests/study/test_identity.py writes it"


def test_a_changed_default_fails_until_the_version_is_raised() -> None:
    k1 = Field(1.2, json_schema_extra=read_by("index"))
    changed = INDEX._replace(params=create_model("BM25Spec", __base__=BM25Spec, k1=(float, k1)))
    next_version = INDEX.version + 1
    (said,) = unraised(table(), table([changed]))
    assert said.startswith("BM25Spec.k1 has the default 1.2 in place of 0.9, so stored steps of ")
    assert said.endswith(
        f"the kind 'index' would be taken for others. Raise its version from {INDEX.version} to {next_version}."
    )
    assert [*unraised(table(), table([changed._replace(version=next_version)]))] == []


def test_fields_come_and_go_without_a_new_version() -> None:
    now = table()
    fewer = {name: {**row, "defaults": {}} for name, row in now.items()}
    assert [*unraised(fewer, now), *unraised(now, fewer), *unraised({}, now)] == []
