from pathlib import Path

import pytest
import torch

from rankscope.core.errors import BadInput
from rankscope.models.late_interaction import LateInteraction
from rankscope.models.location import Location, kind_of
from rankscope.retrieve import late
from support import tiny

TEXTS = ["red cat", "the blue dog sits under the tree", "bird", "a house on a mat"]


@pytest.fixture
def ranker(tmp_path: Path) -> LateInteraction:
    return LateInteraction.load(Location("c", tiny.save_late_interaction(tmp_path / "c")))


def test_a_score_is_the_sum_of_each_query_tokens_best_doc_token(ranker: LateInteraction) -> None:
    query, docs = ranker.embed_queries(["who sits"])[0], ranker.embed_docs(TEXTS)
    expected = [float((query @ doc.T).max(dim=1).values.sum()) for doc in docs]
    found = ranker.score_all([("who sits", TEXTS), ("red", []), ("who sits", TEXTS[:1])])
    assert found[0] == pytest.approx(expected, abs=1e-5)
    assert found[1:] == [[], pytest.approx(expected[:1], abs=1e-5)]


def test_search_over_blocks_is_scoring_every_doc(
    ranker: LateInteraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "DOCS_PER_BLOCK", 3)
    places, scores = late.nearest(
        ranker, ["who sits", "bird"], TEXTS.__getitem__, n_docs=len(TEXTS), depth=3
    )
    for row, found, query in zip(places, scores, ["who sits", "bird"], strict=True):
        given = torch.tensor(ranker.score_all([(query, TEXTS)])[0])
        assert found.tolist() == pytest.approx(
            given.sort(descending=True).values[:3].tolist(), abs=1e-5
        )
        assert given[row.tolist()].tolist() == pytest.approx(found.tolist(), abs=1e-5)


def test_saved_and_loaded_it_scores_the_same(ranker: LateInteraction, tmp_path: Path) -> None:
    ranker.save(tmp_path / "again")
    assert kind_of(tmp_path / "again") == "late_interaction"
    again = LateInteraction.load(Location("again", tmp_path / "again"))
    asked = [("who sits", TEXTS)]
    assert again.score_all(asked)[0] == pytest.approx(ranker.score_all(asked)[0], abs=1e-6)


def test_a_bi_encoder_is_no_late_interaction_model(tmp_path: Path) -> None:
    folder = tiny.save_bi_encoder(tmp_path / "bi")
    with pytest.raises(BadInput, match="projection would be left at random"):
        LateInteraction.load(Location("bi", folder))
