"""`rankscope attribute` over a made-up collection: examples, numbers, words, and what it refuses."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.main import get_command

from rankscope.analyses.attribution import attributed as attribution
from rankscope.analyses.attribution.answer import attribute
from rankscope.analyses.attribution.plan import AttributeParams, NeuronsParams
from rankscope.analyses.attribution.results import concluded
from rankscope.analyses.attribution.spec import AttributionSpec
from rankscope.analyses.attribution.stored import JaccardIndex, StoredAttribution
from rankscope.cli import app
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.progress import SILENT
from rankscope.core.records import Choice
from rankscope.data import world
from rankscope.data.collections import beir_folder
from rankscope.explain.attribution import MEMORY
from rankscope.models import opening
from rankscope.pipeline.spec.fields import spec_of
from support import tiny


def asked(**fields: Any) -> AttributeParams:
    """Of a ranker's neurons, where nothing else is said."""
    spec = spec_of(AttributionSpec, over="test", first_stage="bm25", **fields)
    return AttributeParams(spec, None, seed=42)


def published(**fields: Any) -> AttributeParams:
    return asked(method="as_published", examples=3, depth=20, **fields)


SMALL = asked(examples=6, nodes=3, depth=20)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    world.write(world.world(3, n_people=14), folder, test_share=0.4, seed=3)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        name: str(tiny.save_bi_encoder(folder / name, seed=seed))
        for name, seed in (("one", 1), ("two", 2))
    }


@pytest.fixture(scope="module")
def found(data: Path, models: dict[str, str]) -> StoredAttribution:
    rankers = opening.opened([*models.values()], revision=None, pooling=None)
    return attribute(rankers, beir_folder(data, "test"), SMALL, baselines=["one"], progress=SILENT)


def test_every_side_and_layer_is_there_and_adds_up(found: StoredAttribution) -> None:
    assert found.n_examples == 6
    for _, side, each in found.sides:
        assert side in ("query", "document")
        assert [(s.layer, s.name) for s in each.sites] == [(0, "neurons"), (1, "neurons")]
        assert sum(site.share.value for site in each.sites) == pytest.approx(1)
        assert each.ablation.counts == (1, 5, 20, 100)
        assert len(each.examples) == 6
        targets = [example.target for example in each.examples]
        assert targets == sorted(targets)


def test_only_other_rankers_are_compared_and_more_is_neither_better_nor_worse(
    found: StoredAttribution,
) -> None:
    for rows in (found.comparisons, found.overlaps):
        assert {(row.site.ranker, row.site.baseline) for row in rows} == {("two", "one")}
        assert len(rows) == 4
    assert {row.verdict for row in found.comparisons} <= {
        "more concentrated", "less concentrated", "equivalent", "cannot tell",
    }  # fmt: skip


def test_sides_come_back_from_disk_as_they_were(
    data: Path, models: dict[str, str], tmp_path: Path
) -> None:
    del data
    rankers = opening.opened([models["one"]], revision=None, pooling=None)
    choices = [Choice(str(n), (f"{n}a", f"{n}b")) for n in range(3)]
    queries = {str(n): text for n, text in enumerate(["a red cat", "who sings", "the bird"])}
    docs = {f"{n}{x}": f"{x} dog runs {n}" for n in range(3) for x in "ab"}
    given = attribution.examples(choices, queries, docs)
    for params in (SMALL, asked(method="as_published")):
        made = attribution.attributed(rankers["one"], given, params, SILENT)
        save_file(attribution.as_tensors(made), tmp_path / "sides.safetensors")
        back = attribution.from_tensors(load_file(tmp_path / "sides.safetensors"))
        before, after = (
            concluded({"one": sides}, choices, NeuronsParams(params.spec, ("one",), params.seed))
            for sides in (made, back)
        )
        assert before == after
        for name, side in made.items():
            assert back[name].attributions.sites == side.attributions.sites
            assert all(map(torch.equal, back[name].attributions.values, side.attributions.values))


def test_as_published_has_its_warnings_and_both_kinds_of_matrix(
    data: Path, models: dict[str, str]
) -> None:
    rankers = opening.opened([models["one"]], revision=None, pooling=None)
    found = attribute(
        rankers,
        beir_folder(data, "test"),
        published(),
        baselines=["one"],
        progress=SILENT,
    )
    assert (found.method, found.path, found.nodes) == ("as_published", "weights", 6)
    assert sum("As published" in note for note in found.notes) == 3
    assert sum("Not as published" in note for note in found.notes) == 1
    for _, _, each in found.sides:
        assert {len(example.doc_ids) for example in each.examples} == {1}  # none is read against
    for _, _, each in found.sides:
        assert [site.name for site in each.sites] == ["intermediate", "output"] * 2
        assert each.ablation is None
        assert all(len(site.bins) == 10 for site in each.sites)
        assert max(max(site.bins) for site in each.sites) == 1.0  # someone is the largest


def test_the_same_ranker_twice_differs_in_nothing_which_few_examples_cannot_show(
    data: Path, models: dict[str, str]
) -> None:
    named = [f"one={models['one']}", f"again={models['one']}"]
    rankers = opening.opened(named, revision=None, pooling=None)
    found = attribute(rankers, beir_folder(data, "test"), SMALL, baselines=["one"], progress=SILENT)
    assert {(row.verdict, row.difference) for row in found.comparisons} == {("cannot tell", 0.0)}
    assert [row.jaccard for row in found.overlaps] == [JaccardIndex(1.0, 1.0, 1.0)] * 4


def test_what_is_not_compared_is_said(data: Path, models: dict[str, str], tmp_path: Path) -> None:
    tiny.cross_encoder(tmp_path).save(tmp_path / "cross")
    rankers = {
        name: ranker
        for path in (models["one"], str(tmp_path / "cross"))
        for name, ranker in opening.opened([path], revision=None, pooling=None).items()
    }
    found = attribute(rankers, beir_folder(data, "test"), SMALL, baselines=["one"], progress=SILENT)
    assert found.comparisons == found.overlaps == ()
    assert [note for note in found.notes if "cross and one are not compared" in note]


def test_llama_as_published_has_its_threshold_and_no_up(data: Path, tmp_path: Path) -> None:
    tiny.bi_encoder(tmp_path, "llama", pooling="last").save(tmp_path / "llama")
    rankers = opening.opened([str(tmp_path / "llama")], revision=None, pooling=None)
    for given, threshold in ((None, 0.01), (0.3, 0.3)):
        params = published(threshold=given)
        found = attribute(
            rankers, beir_folder(data, "test"), params, baselines=["llama"], progress=SILENT
        )
        for _, _, each in found.sides:
            assert each.threshold == threshold
            assert {site.name for site in each.sites} == {"gate", "down"}


def test_the_command_refuses_what_as_published_decides(
    rankscope: object, data: Path, models: dict[str, str]
) -> None:
    asked = ["attribute", models["one"], "--collection", str(data), "--as-published"]
    for more in (["--nodes", "4"], ["--path", "weights"], ["--no-ablate"]):
        told = rankscope(*asked, *more)  # type: ignore[operator]
        assert told.code == 1
        assert "--as-published takes 20 steps" in told.err


def test_settings_that_mean_nothing_are_refused() -> None:
    for settings in ({"threshold": 0.0}, {"threshold": 1.0}, {"margin": 0.0}):
        with pytest.raises(BadInput, match="is not (above|below) [01]"):
            asked(**settings)


def test_a_study_and_the_command_have_the_same_defaults() -> None:
    spec = asked().spec
    command = get_command(app).commands["attribute"]  # type: ignore[attr-defined]
    options = {option.name: option.default for option in command.params}
    assert {name: options[name] for name in ("examples", "depth", "margin", "seed", "memory")} == {
        "examples": 50,
        "depth": 100,
        "margin": 0.02,
        "seed": 42,
        "memory": MEMORY / 1e9,
    } | {name: getattr(spec, name) for name in ("examples", "depth", "margin", "memory")}


def test_the_command_prints_a_table_csv_latex_and_json(
    rankscope: object, data: Path, models: dict[str, str], tmp_path: Path
) -> None:
    asked = [
        "attribute", *models.values(), "--collection", str(data), "--examples", "3", "--nodes", "2",
        "--depth", "20", "--no-ablate",
    ]  # fmt: skip

    def printed(*more: str) -> str:
        return str(rankscope(*asked, *more).out)  # type: ignore[operator]

    text = printed()
    assert "has the largest share" in text
    assert "Jaccard index" in text
    assert "two against one, queries" in text
    assert json.loads(printed("--json"))["rankers"].keys() == {"one", "two"}
    rows = list(csv.DictReader(io.StringIO(printed("--csv"))))
    assert {row["what"] for row in rows} >= {"share", "gini", "difference in gini"}
    printed("--latex", "--out", str(tmp_path / "table.tex"))
    assert "\\toprule" in (tmp_path / "table.tex").read_text("utf-8")


def test_a_cross_encoder_is_attributed_over_pairs(data: Path, tmp_path: Path) -> None:
    tiny.cross_encoder(tmp_path).save(tmp_path / "cross")
    rankers = opening.opened([str(tmp_path / "cross")], revision=None, pooling=None)
    found = attribute(
        rankers, beir_folder(data, "test"), SMALL, baselines=["cross"], progress=SILENT
    )
    assert [side for _, side, _ in found.sides] == ["pairs"]


def test_attributions_that_are_no_numbers_are_refused(data: Path, models: dict[str, str]) -> None:
    rankers = opening.opened([models["one"]], revision=None, pooling=None)
    with torch.no_grad():
        next(rankers["one"].model.parameters()).fill_(torch.nan)
    with pytest.raises(BadInput, match="not finite"):
        attribute(rankers, beir_folder(data, "test"), SMALL, baselines=["one"], progress=SILENT)


def test_what_cannot_be_attributed_is_one_sentence(data: Path, models: dict[str, str]) -> None:
    rankers = opening.opened([models["one"]], revision=None, pooling=None)
    source = beir_folder(data, "test")
    with pytest.raises(UnknownChoice, match="baseline 'none'"):
        attribute(rankers, source, SMALL, baselines=["none"], progress=SILENT)
    with pytest.raises(BadInput, match="Allow more memory"):
        attribute(rankers, source, asked(memory=1e-6), baselines=["one"], progress=SILENT)
