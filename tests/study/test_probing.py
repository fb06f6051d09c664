"""`rankscope probe` over a made-up collection: examples, comparisons, words, and what it refuses."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from rankscope.analyses.probes import answer as probes_answer
from rankscope.analyses.probes import examples as probe_examples
from rankscope.analyses.probes import results as probing
from rankscope.analyses.probes.plan import AT_RANDOM, ChoicesParams, ProbeParams
from rankscope.analyses.probes.results import ProbePoint
from rankscope.analyses.probes.spec import ProbesSpec
from rankscope.core.errors import BadInput, UnknownChoice
from rankscope.core.progress import SILENT
from rankscope.data import world
from rankscope.data.collections import beir_folder
from rankscope.explain import probes, representations
from rankscope.explain.probing import CONTROLS, OPTIONAL_CONTROL_OF, Probing
from rankscope.models import opening
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.location import located
from rankscope.pipeline.spec.fields import spec_of
from support import tiny


def asked(**fields: Any) -> ProbeParams:
    """Of a ranker's layers, where nothing else is said."""
    drawn = {"over": "test", "train": "train", "from": "bm25", "depth": 20}
    return ProbeParams(spec_of(ProbesSpec, examples=drawn, **fields), seed=42)


SMALL = asked(candidates=(2, 4), fits=2, rank=4)
pytestmark = pytest.mark.usefixtures("roughly_fitted")
CHOICES = ChoicesParams(SMALL.spec.examples, n_docs=4, seed=42)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    world.write(world.world(3, n_people=14), folder, test_share=0.4, seed=3)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two of two layers and one of one, with random weights."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: str(tiny.save_bi_encoder(folder / name, seed=seed))
        for name, seed in (("one", 1), ("two", 2))
    }


@pytest.fixture(scope="module")
def given(data: Path) -> probe_examples.ProbeExamples:
    return probes_answer.examples(
        beir_folder(data, "train"), beir_folder(data, "test"), CHOICES, SILENT
    )


@pytest.fixture(scope="module")
def found(
    roughly_fitted: None, given: probe_examples.ProbeExamples, models: dict[str, str]
) -> probing.ProbeResults:
    rankers = opening.opened([*models.values()], revision=None, pooling=None)
    rankers[AT_RANDOM] = rankers["one"].at_random(seed=1)
    return probes_answer.probe(rankers, given, SMALL, baselines=["one"], progress=SILENT)


def test_no_test_query_is_learnt_from_and_no_negative_is_relevant(
    given: probe_examples.ProbeExamples, data: Path
) -> None:
    learnt, tested = ({choice.query_id for choice in part} for part in (given.train, given.test))
    assert not learnt & tested
    assert not {given.queries[q] for q in learnt} & {given.queries[q] for q in tested}
    relevant = {
        (row["query-id"], row["corpus-id"])
        for split in ("train", "test")
        for row in csv.DictReader(
            io.StringIO((data / "qrels" / f"{split}.tsv").read_text("utf-8")), delimiter="\t"
        )
        if int(row["score"]) > 0
    }
    for choice in (*given.train, *given.test):
        assert (choice.query_id, choice.doc_ids[0]) in relevant
        assert len(set(choice.doc_ids)) == 4
        assert not {(choice.query_id, doc_id) for doc_id in choice.doc_ids[1:]} & relevant


def test_every_point_has_an_accuracy_and_every_other_ranker_a_verdict(
    found: probing.ProbeResults,
) -> None:
    rankers, names = ["one", "two", AT_RANDOM], ["cosine", "bilinear", "docs_alone"]
    for ranker in rankers:
        for name in [*names, "shuffled_queries", "random_labels"]:
            for layer in range(3):
                for n in SMALL.spec.ns:
                    point = ProbePoint(ranker, name, layer, n)
                    assert found.above_chance[point].baseline_mean == pytest.approx(1 / n)
                    assert ((point, "one") in found.against) == (ranker != "one")
    assert {point.ranker for point in found.above_chance} == {*rankers, probing.FIRST_STAGE}


def test_the_probe_without_parameters_is_retrieval_at_the_last_layer(
    found: probing.ProbeResults, given: probe_examples.ProbeExamples, models: dict[str, str]
) -> None:
    ranker = opening.opened([models["one"]], revision=None, pooling=None)["one"]
    right = []
    for choice in given.test:
        docs = [given.docs[doc_id] for doc_id in choice.doc_ids]
        scores = torch.tensor(ranker.score(given.queries[choice.query_id], docs))
        right.append(float((scores == scores.max()).nonzero()[0, 0] == 0))
    accuracy = found.above_chance[ProbePoint("one", "cosine", 2, 4)].system_mean
    assert accuracy == pytest.approx(sum(right) / len(right), abs=1e-9)


def test_random_weights_share_nothing_but_the_architecture(models: dict[str, str]) -> None:
    one = BiEncoder.load(located(models["one"]))
    own, drawn = (
        representations.of_texts(ranker, ["a red cat"], "document")
        for ranker in (one, one.at_random(seed=7))
    )
    assert own.shape == drawn.shape
    assert not torch.allclose(own[:, 0], drawn[:, 0], atol=1e-3)
    again = one.at_random(seed=7)
    assert torch.equal(representations.of_texts(again, ["a red cat"], "document"), drawn)


def test_the_first_layer_that_reads_a_match_is_told(found: probing.ProbeResults) -> None:
    verdicts = {
        point.layer: str(row.verdict)
        for point, row in found.reads_matches.items()
        if (point.ranker, point.n) == ("one", 4)
    }
    assert list(verdicts) == [0, 1, 2]
    share = found.readable_from("one")
    if verdicts[2] == "better":
        expected = max((layer + 1 for layer in (0, 1) if verdicts[layer] != "better"), default=0)
        assert share == expected / 2
    else:
        assert share is None


def test_as_published_has_its_control_its_test_and_its_warnings(
    given: probe_examples.ProbeExamples, models: dict[str, str]
) -> None:
    params = asked(candidates=(2, 3), fits=1, method="as_published")
    rankers = opening.opened([*models.values()], revision=None, pooling=None)
    found = probes_answer.probe(rankers, given, params, baselines=["one"], progress=SILENT)
    probed = {point.probe for point in found.above_chance} - {probing.FIRST_STAGE}
    assert probed == {"as_published", "as_published_shuffled_queries"}
    assert set(found.published_p) == {
        (ProbePoint("two", "as_published", layer, n), "one") for layer in range(3) for n in (2, 3)
    }
    assert all(0 <= p <= 1 for p in found.published_p.values())
    assert sum("As published" in note for note in found.notes) == 2


def test_rankers_of_other_depths_are_not_compared_and_it_is_said(
    given: probe_examples.ProbeExamples, models: dict[str, str]
) -> None:
    rankers = opening.opened([*models.values()], revision=None, pooling=None)
    layers = rankers["two"].tower("query").model
    layers.config.num_hidden_layers = 1
    layers.encoder.layer = layers.encoder.layer[:1]
    params = asked(candidates=(2,), fits=1, rank=4)
    found = probes_answer.probe(rankers, given, params, baselines=["one"], progress=SILENT)
    assert not found.against
    assert "two has 1 layers and one 2" in " ".join(found.notes)


def test_the_command_prints_a_table_csv_latex_and_json(
    rankscope: object, data: Path, models: dict[str, str], tmp_path: Path
) -> None:
    words = [
        "probe", *models.values(), "--collection", str(data), "--seeds", "1", "--rank", "4",
        "--depth", "20",
    ]  # fmt: skip

    def asked(*more: str) -> str:
        return str(rankscope(*words, *more).out)  # type: ignore[operator]

    sound = json.loads(asked("--candidates", "2", "--json"))
    assert sound["readable_from"].keys() == {"one", "two"}
    words.append("--as-published")  # fitted the fastest
    assert "layer 2" in asked("--candidates", "2 3")
    words += ["--candidates", "2"]
    rows = list(csv.DictReader(io.StringIO(asked("--csv"))))
    assert len(rows) == len(json.loads(asked("--json"))["rows"])
    assert {row["verdict"] for row in rows if row["ranker"] == "two"} <= {
        "better", "worse", "equivalent", "cannot tell",
    }  # fmt: skip
    assert "\\toprule" in asked("--latex")


@pytest.mark.parametrize(
    ("models_asked", "said"),
    [(["a=m", "a=m"], "Two models are called 'a'"), (["bare"], "Give `--pooling`")],
)
def test_models_that_cannot_be_told_or_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_asked: Sequence[str], said: str
) -> None:
    tiny.save_bi_encoder(tmp_path / "m")
    tiny.save_encoder(tmp_path / "bare")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        opening.opened(models_asked, revision=None, pooling=None)
    bare = opening.opened(["bare"], revision=None, pooling="cls")["bare"]
    assert isinstance(bare, BiEncoder)
    assert bare.pooling("query") == "cls"


def test_a_cross_encoders_states_of_pairs_are_probed_with_others_queries_as_control(
    given: probe_examples.ProbeExamples, models: dict[str, str], tmp_path: Path
) -> None:
    paths = [str(tmp_path / "models" / name) for name in ("a", "b")]
    for path in paths:
        tiny.cross_encoder(tmp_path).save(Path(path))
    rankers = opening.opened(paths, revision=None, pooling=None)
    rankers[AT_RANDOM] = rankers["a"].at_random(seed=1)
    params = asked(candidates=(2, 4), fits=1)
    found = probes_answer.probe(rankers, given, params, baselines=["a"], progress=SILENT)
    probed = {point.probe for point in found.above_chance} - {probing.FIRST_STAGE}
    assert probed == {"linear", "shuffled_queries", "random_labels"}
    same = [row for (point, _), row in found.against.items() if point.ranker == "b"]
    assert {row.comparison.difference for row in same} == {0.0}
    assert {point.layer for point in found.reads_matches} == {0, 1, 2}
    with pytest.raises(BadInput, match="read query and doc together and some apart"):
        opening.opened([paths[0], models["one"]], revision=None, pooling=None)


def test_what_cannot_be_probed_is_one_sentence(
    data: Path, given: probe_examples.ProbeExamples, models: dict[str, str]
) -> None:
    test = beir_folder(data, "test")
    with pytest.raises(BadInput, match="All training queries are test queries"):
        probes_answer.examples(test, test, CHOICES, SILENT)
    with pytest.raises(BadInput, match="whole numbers from 2 on"):
        probes_answer.numbers("1 2")
    rankers = opening.opened([models["one"]], revision=None, pooling=None)
    with pytest.raises(UnknownChoice, match="baseline 'none'"):
        probes_answer.probe(rankers, given, SMALL, baselines=["none"], progress=SILENT)


def test_a_study_may_add_each_optional_probe_and_gets_its_control_too() -> None:
    annotation = ProbesSpec.model_fields["also"].annotation
    assert get_args(get_args(annotation)[0]) == probes.OPTIONAL
    rng = torch.Generator().manual_seed(1)
    states = probes.States(*torch.randn(2, 12, 6, generator=rng).unbind())
    examples = probes.Candidates(
        torch.arange(12), torch.arange(12)[:, None].repeat(1, 3).add_(torch.arange(3)) % 12
    )
    for also in ((), probes.OPTIONAL):
        probing = Probing("dot", (2, 3), (1,), 2, also=also)
        outcomes = probing.layer(
            states, examples, examples, drawn_labels=torch.rand(12, generator=rng)
        )
        names = [outcome.probe for outcome in outcomes]
        assert {*names} & {*probes.OPTIONAL} == {*also}
        assert {*names} & {*OPTIONAL_CONTROL_OF.values()} == {
            OPTIONAL_CONTROL_OF[name] for name in also
        }
        assert {*OPTIONAL_CONTROL_OF.values()} < {*CONTROLS}
