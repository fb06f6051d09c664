"""A training of seconds: a tiny objective and a recipe for it."""

from rankscope.core.records import ListwiseSample
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.train.losses import LOSSES
from rankscope.train.objectives.batches import ListwiseObjective, Order
from rankscope.train.recipe import Recipe
from support import tiny

DOCS = {
    f"d{i}": f"the {tiny.WORDS[i % 3]} {tiny.WORDS[3 + i % 3]} " * (1 + i % 4) for i in range(12)
}


def samples(epoch: int) -> list[ListwiseSample]:
    """The positive speaks of a red cat, the negatives of a green dog and a blue bird."""
    groups = [(3 * (i % 4), (3 * i + 1 + 3 * epoch) % 12, (3 * i + 5) % 12) for i in range(10)]
    ids = list(DOCS)
    return [
        ListwiseSample(f"q{i}", tuple(ids[place] for place in group), (1.0, 0.0, 0.0))
        for i, group in enumerate(groups)
    ]


def objective(ranker: CrossEncoder, loss: str = "localized_contrastive") -> ListwiseObjective:
    return ListwiseObjective(
        ranker=ranker,
        loss_function=LOSSES[loss],
        order=Order(
            epoch_samples=samples,
            length=lambda s: max(len(DOCS[d]) for d in s.doc_ids),
            queries_per_update=4,
            queries_per_batch=2,
            seed=5,
        ),
        texts=lambda s: (f"who sits {DOCS[s.doc_ids[0]].split()[1]}", [DOCS[d] for d in s.doc_ids]),
    )


def recipe(**changes: object) -> Recipe:
    return Recipe(
        **{"max_updates": 6, "learning_rate": 1e-3, "seed": 9, "checkpoint_every": 2} | changes
    )
