"""`rankscope diff`: no change where there is none, the one layer that was replaced, and what may be concluded."""

import csv
import io
import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rankscope.analyses.changes import answer as diff
from rankscope.analyses.changes import words
from rankscope.analyses.changes.stored import PairChanges
from rankscope.core.errors import BadInput
from rankscope.core.judged.plain import Estimate
from rankscope.core.progress import SILENT
from rankscope.data.collections import beir_folder
from rankscope.models import adapters, anatomy
from rankscope.models.cross_encoder import CrossEncoder
from support import changed, scenes, tiny
from support.command import Command

SMALL = changed.compared("scenes", depth=8, texts=60, neighbours=5)
KINDS = {"bi_encoder": ["query", "document"], "cross_encoder": ["pair"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write(tmp_path_factory.mktemp("scenes") / "data")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each kind one, the same again, and one whose last layer is another."""
    folder, found = tmp_path_factory.mktemp("models"), {}
    for kind in KINDS:
        ranker: Any = getattr(tiny, kind)(folder)
        for name in ("one", "same"):
            found[f"{kind} {name}"] = folder / kind / name
            ranker.save(folder / kind / name)
        with torch.no_grad():
            for weight in anatomy.layers(anatomy.encoders(ranker.model)[0])[1].parameters():
                weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(5)))
        found[f"{kind} replaced"] = folder / kind / "replaced"
        ranker.save(folder / kind / "replaced")
    return found


def found_between(models: dict[str, Path], data: Path, kind: str, other: str) -> PairChanges:
    paths = [str(models[f"{kind} {name}"]) for name in ("one", other)]
    pair = diff.opened(paths, revision=None, pooling=None)
    source = beir_folder(data, "test")
    return diff.diff(pair, source, SMALL, queries=50, progress=SILENT)


@pytest.mark.parametrize("kind", KINDS)
def test_two_identical_models_show_no_change_anywhere(
    models: dict[str, Path], data: Path, kind: str
) -> None:
    found = found_between(models, data, kind, "same")
    changes, rankings = found.changes, found.changes.rankings
    assert changes.displacement == 0
    assert {row.displacement for row in (*changes.modules, *changes.layers)} == {0.0}
    assert {row.effective_rank for row in changes.modules} == {0.0, None}
    assert list(dict.fromkeys(row.side for row in changes.states)) == KINDS[kind]
    for row in changes.states:
        assert row.shift == (0, 0, 0)
        assert {row.cka, row.neighbours} <= {Estimate(1.0, 1.0, 1.0), None}
    for estimate in (rankings.overlap, rankings.tau, rankings.correlation, rankings.same_first):
        assert estimate.value == estimate.low == 1
    said = " ".join(words.sentences(found))
    assert "same has the weights of one: none differs, in any layer." in said
    assert "are the same in every layer" in said
    assert "order the same docs, up to 8 a query, alike, for all 27 queries" in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_replaced_layer_is_shown_by_its_weights_and_by_the_states_from_it_on(
    models: dict[str, Path], data: Path, kind: str
) -> None:
    found = found_between(models, data, kind, "replaced")
    changes = found.changes
    assert {row.layer for row in changes.modules if row.moved > 0} == {2}
    assert [row.layer for row in changes.layers if row.displacement] == [2]
    for side in KINDS[kind]:
        rows = [row for row in changes.states if row.side == side]
        assert [row.shift.value > words.SAME for row in rows] == [False, False, True]
        _, still, last = rows
        assert still.cka
        assert still.neighbours
        assert still.cka.value == still.neighbours.value == 1
        assert last.cka
        assert last.neighbours
        assert last.cka.low <= last.cka.value < 1
        assert last.neighbours.value < 1
        of_all = 5 / (last.n_texts - 1)
        if side == "pair":  # those of the same query are no neighbours
            assert of_all < last.chance < 1.2 * of_all
        else:
            assert last.chance == pytest.approx(of_all)
    assert changes.rankings.overlap.high < 1
    said = " ".join(words.sentences(found))
    assert "Weights moved in layer 2 only." in said
    assert "differ from layer 2 on" in said


def test_a_first_token_that_has_read_nothing_has_no_likeness(
    models: dict[str, Path], data: Path
) -> None:
    found = found_between(models, data, "cross_encoder", "replaced")
    (embedded,) = (row for row in found.changes.states if row.layer == 0)
    assert (embedded.cka, embedded.neighbours) == (None, None)
    columns, rows = words.layer_table(found.changes)
    assert rows[0][columns.index("pairs: CKA")] == words.NOTHING_VARIES


def test_what_only_the_head_does_is_told(models: dict[str, Path], data: Path) -> None:
    pair = diff.opened(
        [str(models[f"cross_encoder {name}"]) for name in ("one", "same")],
        revision=None,
        pooling=None,
    )
    model: Any = pair.rankers[1].model
    with torch.no_grad():
        model.classifier.weight.neg_()
    source = beir_folder(data, "test")
    found = diff.diff(pair, source, SMALL, queries=50, progress=SILENT)
    assert found.changes.rankings.tau.value == pytest.approx(-1)
    said = " ".join(words.sentences(found))
    assert "Weights moved in the head only." in said
    assert "the change in the rankings comes from behind them" in said


def test_a_tower_that_was_changed_shows_on_its_own_side_alone(tmp_path: Path, data: Path) -> None:
    before, after = (tiny.bi_encoder(tmp_path).separated() for _ in range(2))
    with torch.no_grad():
        anatomy.layers(after.tower("document").model)[0].output.dense.weight.mul_(1.5)
    source = beir_folder(data, "test")
    pair = diff.RankerPair("before", "after", (before, after))
    found = diff.diff(pair, source, SMALL, queries=50, progress=SILENT)
    moved = {(row.tower, row.layer) for row in found.changes.layers if row.displacement}
    assert moved == {("document", 1)}
    states = found.changes.states
    differ = {(row.side, row.layer) for row in states if row.shift.value > words.SAME}
    assert differ == {("document", 1), ("document", 2)}
    columns, rows = words.layer_table(found.changes)
    cells = dict(zip(columns, rows[1], strict=True))
    assert cells["weights (query)"] == "0"
    assert float(cells["weights (document)"]) > 0
    said = " ".join(words.sentences(found))
    assert "Weights moved in layer 1 of the document tower only." in said
    assert "The states of queries are the same in every layer." in said


def test_the_command_prints_a_table_csv_latex_and_json(
    rankscope: Command, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    asked = [
        "diff", models["bi_encoder one"], models["bi_encoder replaced"], "--collection", data,
        "--depth", "8", "--texts", "60", "--neighbours", "5",
    ]  # fmt: skip

    def printed(*more: str) -> str:
        return rankscope(*asked, *more).out

    table = printed()
    assert table.startswith("layer\tweights\teffective rank\tqueries: shift")
    assert "Weights moved in layer 2 only." in table
    assert words.CAVEAT in table
    rows = list(csv.DictReader(io.StringIO(printed("--csv"))))
    moved = {row["layer"] for row in rows if row["what"] == "displacement" and float(row["value"])}
    assert moved == {"2"}
    assert {row["what"] for row in rows} == {
        "displacement", "effective rank", "highest rank", "shift of states", "CKA", "shared neighbours", "RBO",
        "Kendall's tau", "Pearson's r of scores", "same doc first",
    }  # fmt: skip
    assert "\\toprule" in printed("--latex")
    assert json.loads(printed("--json"))["in_words"]


def test_rankers_of_a_study_are_called_by_their_steps(tmp_path: Path) -> None:
    folders = [tmp_path / step / "model" for step in ("train-C-01", "train-C-D-02")]
    for folder in folders:
        tiny.bi_encoder(tmp_path).save(folder)
    pair = diff.opened([str(folder) for folder in folders], revision=None, pooling=None)
    assert (pair.before, pair.after) == ("train-C-01", "train-C-D-02")


# PEFT asks transformers by an old name
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_an_adapter_kept_alone_is_the_cross_encoder_it_declares(
    models: dict[str, Path], tmp_path: Path
) -> None:
    base = models["cross_encoder one"]
    ranker = CrossEncoder.load(base)
    lora = adapters.LoRA(rank=2, alpha=4.0, dropout=0.0, targets=("query",))
    ranker.model = adapters.adapted(ranker.model, lora, base=base, seed=1)
    ranker.save_adapter(tmp_path / "adapter")
    pair = diff.opened([str(base), str(tmp_path / "adapter")], revision=None, pooling=None)
    assert all(isinstance(ranker, CrossEncoder) for ranker in pair.rankers)


def test_a_colbert_is_refused_where_states_of_texts_are_asked_for(
    rankscope: Command, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    colbert = tiny.save_late_interaction(tmp_path / "colbert")
    of, on = models["bi_encoder one"], ["--collection", data]
    for asked in (["diff", of, colbert], ["probe", colbert], ["attribute", colbert]):
        answer = rankscope(*asked, *on)
        assert answer.code == 1
        assert "a ColBERT (late interaction)" in answer.err.splitlines()[-1]


def test_states_that_are_not_finite_are_refused(tmp_path: Path, data: Path) -> None:
    """Finite weights whose product is not: as from a checkpoint in a narrower precision."""
    before, after = (tiny.bi_encoder(tmp_path) for _ in range(2))
    with torch.no_grad():
        for part in ("intermediate", "output"):
            anatomy.layers(after.tower("query").model)[1].get_submodule(
                f"{part}.dense"
            ).weight.mul_(1e30)
    pair = diff.RankerPair("before", "after", (before, after))
    source = beir_folder(data, "test")
    with pytest.raises(
        BadInput, match=r"The ranker after \(query\): .* texts have states that are not finite"
    ):
        diff.diff(pair, source, SMALL, queries=50, progress=SILENT)


def test_what_two_rankers_read_otherwise_is_told(tmp_path: Path, data: Path) -> None:
    one = tiny.bi_encoder(tmp_path / "one")
    how: dict[str, Any] = {"pooling": "cls", "similarity": "cosine", "prefixes": {"query": "what "}}
    other = tiny.bi_encoder(tmp_path / "b", max_length={"query": 16, "document": 24}, **how)
    added = deepcopy(other)
    added.tower("query").tokenizer.add_tokens("mill")
    source = beir_folder(data, "test")

    def told(*rankers: Any) -> set[str]:
        pair = diff.RankerPair("a", "b", rankers)
        found = diff.diff(pair, source, SMALL, queries=50, progress=SILENT)
        return set(found.notes)

    assert told(one, one) == set()
    assert told(one, other) == {
        "a scores by dot, b by cosine: rankings differ for this reason alone.",
        "a pools queries and docs by mean, b by cls: states differ for this reason alone.",
        "a puts before queries '', b 'what ': states differ for this reason alone.",
        "a reads of docs 32 tokens, b 24 tokens: states of longer texts differ for this reason alone.",
    }
    (vocabularies,) = told(other, added)
    assert "tokenizers with different vocabularies" in vocabularies
    scorers = [tiny.cross_encoder(tmp_path / str(n), max_length=n) for n in (32, 24)]
    assert told(*scorers) == {
        "a reads of pairs 32 tokens, b 24 tokens: states of longer texts differ for this reason alone."
    }


def test_weights_that_were_rounded_when_stored_are_told(
    rankscope: Command, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    """A mere copy in bfloat16: nearly nothing moved, in nearly all directions."""
    one = models["cross_encoder one"]
    shutil.copytree(one, tmp_path / "copy")
    path = tmp_path / "copy" / "model.safetensors"
    rounded = {name: weight.bfloat16() for name, weight in load_file(path).items()}
    save_file(rounded, path, metadata={"format": "pt"})
    asked = ["--collection", data, "--depth", "8", "--texts", "60", "--neighbours", "5", "--json"]
    answer = rankscope("diff", one, tmp_path / "copy", *asked)
    found = json.loads(answer.out)
    assert 0 < found["displacement"] < 0.004
    dense = next(row for row in found["modules"] if row["part"] == "attention.self.query")
    assert dense["effective_rank"] > 0.6 * dense["highest_rank"]
    (note,) = found["notes"]
    assert f"Note: {note}" in answer.err
    assert note == (
        "copy's weights are stored as bfloat16: changes of less than about 0.4 % of a weight may be rounding, which "
        "makes effective ranks too high."
    )
    turned = diff.opened([str(tmp_path / "copy"), str(one)], revision=None, pooling=None)
    assert turned.stored == ("BF16", "F32")


def test_what_can_be_refused_is_refused_before_the_docs_are_read(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    one, other = models["bi_encoder one"], tiny.bi_encoder(tmp_path, "roberta")
    other.save(tmp_path / "other")
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "corpus.jsonl").write_text("docs that are never read\n", "utf-8")
    source = beir_folder(tmp_path / "data", "test")
    heads = diff.HeadsTraining(source, changed.refitted())
    scorers = [str(models[f"cross_encoder {name}"]) for name in ("one", "same")]
    for paths, asked, said in (
        ([one, tmp_path / "other"], None, "have different architectures"),
        ([one, models["bi_encoder same"]], heads, "a bi-encoder has no head"),
        (scorers, heads, "Give another split or collection to train on."),
    ):
        pair = diff.opened([str(path) for path in paths], revision=None, pooling=None)
        with pytest.raises(BadInput, match=said):
            diff.diff(pair, source, SMALL, queries=50, heads=asked, progress=SILENT)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--texts", "20", "--neighbours", "40"], "a text has 19 others. Give fewer neighbours"),
        (["--margin", "0"], "give a number above 0."),
    ],
)
def test_settings_that_leave_nothing_to_compare_are_refused_first(
    rankscope: Command, data: Path, options: list[str], said: str
) -> None:
    answer = rankscope("diff", "nowhere/a", "nowhere/b", "--collection", data, *options)
    assert answer.code
    assert said in answer.err


def test_what_cannot_be_compared_is_one_sentence(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    both = [str(models["bi_encoder one"]), str(models["cross_encoder one"])]
    with pytest.raises(BadInput, match="Two models are called 'one'"):
        diff.opened(both, revision=None, pooling=None)
    with pytest.raises(BadInput, match="read query and doc together and some apart"):
        diff.opened([both[0], f"other={both[1]}"], revision=None, pooling=None)
    tiny.bi_encoder(tmp_path, "roberta").save(tmp_path / "other")
    pair = diff.opened([both[0], str(tmp_path / "other")], revision=None, pooling=None)
    source = beir_folder(data, "test")
    with pytest.raises(BadInput, match="have different architectures"):
        diff.diff(pair, source, SMALL, queries=50, progress=SILENT)
    pair = diff.opened([both[0], str(models["bi_encoder same"])], revision=None, pooling=None)
    with pytest.raises(BadInput, match=r"10 texts \(query\) to compare states of; 20 are needed"):
        diff.diff(pair, source, SMALL, queries=10, progress=SILENT)
    both = [str(models[f"cross_encoder {name}"]) for name in ("one", "same")]
    scorers = diff.opened(both, revision=None, pooling=None)
    for params, queries, said in (
        (SMALL, 4, "4 queries of different words have a ranking; 5 are needed"),
        (
            changed.compared("scenes", depth=8, texts=60, neighbours=30),
            5,
            r"30 neighbours: 40 texts \(pair\) of 5 queries allow 24",
        ),
    ):
        with pytest.raises(BadInput, match=said):
            diff.diff(scorers, source, params, queries=queries, progress=SILENT)
