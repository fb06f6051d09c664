"""What labels each loss can learn from; without torch, so that a study can be read with it."""

from collections.abc import Mapping
from typing import Literal

Needs = Literal["one positive", "positives", "order", "grades", "scores"]

NEEDS: dict[str, Needs] = {
    "localized_contrastive": "one positive",
    "info_nce": "positives",
    "ranknet": "order",
    "weighted_ranknet": "order",
    "student_weighted_ranknet": "order",
    "lambdarank": "grades",
    "listnet": "scores",
    "listmle": "order",
    "margin_mse": "scores",
    "kl": "scores",
    "adr_mse": "order",
    "pointwise_binary_cross_entropy": "positives",
}
"""What labels each loss can learn from.

"one positive", "positives": 1 for the relevant docs, 0 for the others; an order is refused.
"order": any labels; only which of two is higher matters.
"grades": from 0 up, and 0 is worth nothing; an order is taken for grades.
"scores": how far two labels are apart matters; an order is taken for scores 1 apart.
"""

ELSEWHERE: Mapping[str, str] = {
    "multiplenegativesranking": "info_nce",
    "multiplenegativesrankingloss": "info_nce",
    "cachedmultiplenegativesrankingloss": "info_nce",
    "mnrl": "info_nce",
    "mnr": "info_nce",
    "nll": "info_nce",
    "contrastive": "info_nce",
    "inbatchcrossentropy": "info_nce",
    "lce": "localized_contrastive",
    "localizedcontrastiveestimation": "localized_contrastive",
    "marginmseloss": "margin_mse",
    "supervisedmarginmse": "margin_mse",
    "distillkldivloss": "kl",
    "kldiv": "kl",
    "kldivloss": "kl",
    "kldivergence": "kl",
    "lambdaloss": "lambdarank",
    "ranknetloss": "ranknet",
    "listnetloss": "listnet",
    "listmleloss": "listmle",
    "adrmseloss": "adr_mse",
    "bce": "pointwise_binary_cross_entropy",
    "bceloss": "pointwise_binary_cross_entropy",
    "bcewithlogitsloss": "pointwise_binary_cross_entropy",
    "binarycrossentropyloss": "pointwise_binary_cross_entropy",
}
"""Losses as sentence-transformers, Tevatron, FlagEmbedding, DPR and Lightning IR call them, in lower case without signs.

They are the nearest of ours, and named in a message; none is read, as weights, scales and negatives may differ.
"""
