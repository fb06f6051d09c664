"""The control with refitted heads: a head that drifted and an encoder that forgot are told apart.

What is relevant can be read off the doc alone here, so that a head of random weights' states can be made good by
hand. Turned round, it ranks the wrong way, and a new one on the same states does not. Where the encoder no
longer tells the places apart, no head can help.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rankscope.analyses.changes import answer as diff
from rankscope.analyses.changes import words
from rankscope.analyses.changes.answer import HeadsTraining
from rankscope.analyses.changes.heads import conclusion, controlled, lesson
from rankscope.analyses.changes.stored import HeadsControl, PairChanges
from rankscope.core.errors import BadInput
from rankscope.core.judged.comparisons import Verdict
from rankscope.core.progress import SILENT
from rankscope.data.collections import StoredDocs, beir_folder, judged_topics, write_docs
from rankscope.evaluate.runs import without_own_docs
from rankscope.explain import representations
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.retrieve import bm25
from rankscope.retrieve.rerank import rerank
from support import changed, scenes, tiny

pytestmark = pytest.mark.usefixtures("frozen_garbage")

PLACE = scenes.PLACES[0]
SMALL = changed.compared("places", depth=12, texts=40, neighbours=5)
# identical runs over so few queries are shown to be equivalent by no smaller margin
HEADS = changed.refitted(candidates=4, examples=200, depth=12, measure="nDCG@5", margin=0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.write(tmp_path_factory.mktemp("places") / "data", place=PLACE)


def with_a_good_head(folder: Path) -> CrossEncoder:
    """A random encoder whose head, by least squares, reads off whether a doc is in the place."""
    ranker = tiny.cross_encoder(folder)
    pairs = [
        (f"{asks} {verb} a {colour} {animal}", f"the {colour} {other} {verb} on the {place}")
        for asks in ("where", "what")
        for colour in scenes.COLOURS
        for animal, other in zip(
            scenes.ANIMALS, scenes.ANIMALS[1:] + scenes.ANIMALS[:1], strict=True
        )
        for verb in scenes.VERBS
        for place in scenes.PLACES
    ]
    states = representations.of_texts(ranker, pairs, "pair")[:, -1]
    wanted = torch.tensor([1.0 if doc.endswith(PLACE) else 0.0 for _, doc in pairs])
    set_head(ranker, torch.linalg.lstsq(states, wanted[:, None]).solution[:, 0])
    return ranker


def set_head(ranker: CrossEncoder, weights: Tensor) -> None:
    """The score is nearly weights x state: the pooler is made so small that its tanh is a line."""
    model: Any = ranker.model
    small = 1e-3
    with torch.no_grad():
        model.bert.pooler.dense.weight.copy_(small * torch.eye(len(weights)))
        model.bert.pooler.dense.bias.zero_()
        model.classifier.weight.copy_(weights[None] / small)
        model.classifier.bias.zero_()


def control(
    before: CrossEncoder, after: CrossEncoder, data: Path, *, train: Path | None = None
) -> tuple[PairChanges, HeadsControl]:
    pair = diff.RankerPair("before", "after", (before, after))
    found = diff.diff(
        pair,
        beir_folder(data, "test"),
        SMALL,
        queries=50,
        heads=HeadsTraining(beir_folder(train or data, "train"), HEADS),
        progress=SILENT,
    )
    assert found.heads
    return found, found.heads


def test_a_head_that_was_turned_round_drifted(tmp_path: Path, data: Path) -> None:
    before, after = with_a_good_head(tmp_path), with_a_good_head(tmp_path)
    model: Any = after.model
    with torch.no_grad():
        model.classifier.weight.neg_()
    found, heads = control(before, after, data)
    means = heads.means
    assert means["before"] > 0.8
    assert means["after"] < 0.3
    assert means["after, refitted head"] == means["before, refitted head"] > 0.8
    assert heads.conclusion == "head"
    assert heads.comparisons.loss.verdict == "worse"
    assert heads.comparisons.encoder.verdict == "equivalent"
    assert heads.comparisons.head.verdict == "better"
    said = " ".join(words.sentences(found))
    assert "The head drifted" in said
    assert "its encoder still has what the score needs" in said


def test_an_encoder_that_takes_all_places_for_one_forgot(tmp_path: Path, data: Path) -> None:
    before, after = with_a_good_head(tmp_path), with_a_good_head(tmp_path)
    table = after.model.get_input_embeddings().weight  # type: ignore[operator]
    ids = after.tokenizer.convert_tokens_to_ids(scenes.PLACES)
    with torch.no_grad():
        table[ids[1:]] = table[ids[0]].clone()
    found, heads = control(before, after, data)
    assert heads.conclusion == "encoder"
    assert heads.means["after, refitted head"] < 0.7
    assert "The encoder forgot" in " ".join(words.sentences(found))
    columns, rows = words.head_table(found.changes, heads)
    assert [row[columns.index("verdict")] for row in rows][:2] == ["worse", "worse"]


W, E, B, U = Verdict.WORSE, Verdict.EQUIVALENT, Verdict.BETTER, Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("loss", "encoder", "head", "control", "expected"),
    [
        (U, W, W, W, "no loss"),
        (E, W, W, W, "no loss"),
        (W, W, B, E, "encoder"),
        (W, W, U, W, "heads too weak"),
        (W, W, U, U, "encoder"),
        (W, U, B, B, "cannot tell"),
        (W, E, B, E, "head"),
        (W, B, B, B, "head"),
        (W, B, B, U, "cannot tell"),
        (W, E, B, W, "heads too weak"),
        (W, E, E, W, "heads too weak"),
        (W, E, U, E, "cannot tell"),
    ],
)
def test_a_loss_is_laid_to_the_head_only_where_new_heads_are_good(
    loss: Verdict, encoder: Verdict, head: Verdict, control: Verdict, expected: str
) -> None:
    verdicts = {"loss": loss, "encoder": encoder, "head": head, "control": control}
    assert conclusion(verdicts) == expected


def test_heads_that_learn_another_task_tell_nothing(tmp_path: Path, data: Path) -> None:
    """The training queries ask for another place, so new heads are bad on either encoder."""
    before, after = with_a_good_head(tmp_path), with_a_good_head(tmp_path)
    model: Any = after.model
    with torch.no_grad():
        model.classifier.weight.neg_()
    other = scenes.write(tmp_path / "other", place=scenes.PLACES[1])
    _, heads = control(before, after, data, train=other)
    assert heads.means["before, refitted head"] < 0.5
    assert heads.conclusion == "heads too weak"


def test_without_a_loss_nothing_is_laid_to_anyone(
    rankscope: object, tmp_path: Path, data: Path
) -> None:
    for name in ("one", "same"):
        with_a_good_head(tmp_path).save(tmp_path / name)
    words = ["diff", tmp_path / "one", tmp_path / "same", "--collection", data, "--heads"]
    asked = [*words, "--depth", "12", "--texts", "40", "--neighbours", "5"]
    printed = str(rankscope(*asked).out)  # type: ignore[operator]
    assert "both with refitted heads" in printed
    assert "No loss above the margin of 0.02 was shown" in printed


def test_four_runs_rank_the_same_docs_where_own_docs_are_dropped(
    tmp_path: Path, data: Path
) -> None:
    """Every query is called like one of its docs, which is dropped from the run: all 10 docs re-ranked are others.

    P@10 is that of the set, whatever its order. Of 11 one is left out, the relevant one or another.
    """
    folder = shutil.copytree(data, tmp_path / "own")
    for path in (folder / "queries.jsonl", folder / "qrels" / "test.tsv"):
        text = path.read_text("utf-8")
        for number in range(27):
            text = text.replace(f"test{number:02d}", f"p{3 * number:02d}")
        path.write_text(text, "utf-8")
    rankers = with_a_good_head(tmp_path), tiny.cross_encoder(tmp_path)
    asked, train = (judged_topics(beir_folder(folder, split)) for split in ("test", "train"))
    write_docs(beir_folder(folder, "test").docs(), tmp_path)
    docs = StoredDocs(tmp_path)
    bm25.build(docs, tmp_path)
    run, train_run = (
        without_own_docs(bm25.search(bm25.Index.load(tmp_path), topics.queries, depth=40))
        for topics in (asked, train)
    )

    def means(depth: int) -> set[float]:
        own = [
            rerank(ranker, asked.queries, run, texts=docs.texts, depth=depth, tag=tag)
            for tag, ranker in zip(("before", "after"), rankers, strict=True)
        ]
        params = replace(HEADS, depth=depth, measure="P@10")
        made = lesson(train, train_run, asked, run, docs, params)
        found = controlled(rankers, made, own, asked.qrels, params, SILENT)
        return {round(mean, 9) for mean in found.means.values()}

    assert len(means(10)) == 1
    assert len(means(11)) > 1


def test_a_head_needs_a_cross_encoder_and_enough_queries(tmp_path: Path, data: Path) -> None:
    tower = tiny.bi_encoder(tmp_path)
    with pytest.raises(BadInput, match="a bi-encoder has no head"):
        diff.diff(
            diff.RankerPair("a", "b", (tower, tower)),
            beir_folder(data, "test"),
            SMALL,
            queries=50,
            heads=HeadsTraining(beir_folder(data, "train"), HEADS),
            progress=SILENT,
        )
    lines = (data / "qrels" / "train.tsv").read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("train") or line < "train05"]
    (data / "qrels" / "few.tsv").write_text("".join(kept), "utf-8")
    scorer = tiny.cross_encoder(tmp_path)
    fewer = changed.refitted(candidates=3, examples=200, depth=12, measure="nDCG@5", margin=0.3)
    few = HeadsTraining(beir_folder(data, "few"), fewer)
    with pytest.raises(BadInput, match="5 training queries have a relevant doc"):
        diff.diff(
            diff.RankerPair("a", "b", (scorer, scorer)),
            beir_folder(data, "test"),
            SMALL,
            queries=50,
            heads=few,
            progress=SILENT,
        )
