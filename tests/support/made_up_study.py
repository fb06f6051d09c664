"""A made-up study: four systems over forty queries, every number drawn from a fixed seed."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.core.judged.plain import as_plain, from_plain
from rankscope.report.stored import StoredDoc, StoredResults, StoredStep, StudyTexts

MEASURES = ["nDCG@10", "RR@10"]
SYSTEMS = ["bm25", "plain", "C", "C-D"]
N_QUERIES = 40
LIFT = {"bm25": 0.0, "plain": -0.15, "C": 0.12, "C-D": 0.125}
NOTHING = {
    **dict.fromkeys([
        "bootstrap_interval", "effect_interval", "wilcoxon_p", "randomisation_p", "mcnemar_p", "non_inferiority_p",
        "corrected_non_inferiority_p", "beyond_margin_p", "corrected_beyond_margin_p", "queries_needed", "fragility",
        "unseen_share",
    ]),
    "n_seeds": [1, 1],
    "margin_is_relative": False,
}  # fmt: skip
"""What else is stored of a comparison: none of it was tested, counted or asked for."""
PLACES = ["harbour", "mill", "orchard", "quarry", "library", "bridge"]


def run_of(system: str, collection: str = "dev") -> str:
    """The path of a made-up run."""
    return f"steps/rerank-{system}.{collection}.bm25-0123456789ab/run.trec"


def per_query() -> dict[str, dict[str, dict[str, float]]]:
    """Values whose differences between systems are partly shared, partly noise."""
    values: dict[str, dict[str, dict[str, float]]] = {}
    for system in SYSTEMS:
        draw = random.Random(f"values of {system}")
        easy = random.Random("how easy a query is")
        values[run_of(system)] = {measure: {} for measure in MEASURES}
        for number in range(N_QUERIES):
            ease = 0.2 + 0.5 * easy.random()
            for measure in MEASURES:
                value = min(1.0, max(0.0, ease + LIFT[system] + draw.gauss(0, 0.06)))
                values[run_of(system)][measure][f"q{number:02d}"] = value
    return values


def comparison(system: str, baseline: str, measure: str, values: Any) -> dict[str, Any]:
    """A stored comparison of two made-up systems."""
    a, b = (np.array(list(values[run_of(s)][measure].values())) for s in (system, baseline))
    difference, sd = float((a - b).mean()), float((a - b).std(ddof=1))
    half = 2.02 * sd / N_QUERIES**0.5
    p = float(stats.ttest_rel(a, b).pvalue)
    margin = {"nDCG@10": 0.05}.get(measure)
    inside = margin is not None and abs(difference) + half < margin
    shown = "better" if difference > 0 else "worse"
    return NOTHING | {
        "collection": "dev",
        "first_stage": "bm25",
        "measure": measure,
        "system": system,
        "baseline": baseline,
        "n_queries": N_QUERIES,
        "n_groups": N_QUERIES,
        "n_differing": N_QUERIES,
        "system_mean": float(a.mean()),
        "baseline_mean": float(b.mean()),
        "difference": difference,
        "interval": [difference - half, difference + half],
        "effect_size": difference / sd,
        "p_value": p,
        "corrected_p": min(1.0, 6 * p),
        "margin": margin,
        "equivalence_p": None if margin is None else (0.001 if inside else 0.6),
        "corrected_equivalence_p": None if margin is None else (0.006 if inside else 1.0),
        "span": 1.0,
        "smallest_detectable": 2.88 * sd / N_QUERIES**0.5,
        "verdict": "equivalent" if inside else shown if 6 * p < 0.05 else "cannot tell",
    }


def over_tests(system: str, baseline: str, **of: Any) -> dict[str, Any]:
    """A stored verdict over four tests, with what is different in it."""
    return {
        "system": system, "baseline": baseline, "measure": "nDCG@10", "n_tests": 4, "n_first_stages": 3,
        "difference": 0.05, "interval": [0.03, 0.07], "corrected_p": 0.004, "margin": 0.02,
        "corrected_equivalence_p": 0.9, "corrected_beyond_margin_p": 0.03, "sd": 0.012, "tau": 0.004,
        "i_squared": 0.3, "verdict": "better", "p_value": 0.002, "standard_error": 0.008, "degrees_of_freedom": 3.0,
        "margin_is_relative": False, "equivalence_p": 0.45, "beyond_margin_p": 0.015,
        "tests": [{"test": "dev", "n_queries": 40, "difference": 0.05, "standard_error": 0.01}],
        "cells": [{"test": "dev", "first_stage": "bm25", "difference": 0.05}],
    } | of  # fmt: skip


def evaluation(values: Any) -> dict[str, Any]:
    """What an evaluation step stores."""
    baselines = ["bm25", "plain", "C"]
    return {
        "measures": MEASURES,
        "significance_level": 0.05,
        "notes": [],
        "remarks": [],
        "tests": "sound",
        "relevance_levels": {"dev": 1},
        "all_pairs": False,
        "claims": [],
        "pooled": [],
        "correction": "holm",
        "margin": {"nDCG@10": 0.05},
        "baselines": baselines,
        "results": [
            {
                "system": system,
                "collection": "dev",
                "first_stage": "bm25",
                "run": run_of(system),
                "n_queries": N_QUERIES,
                "missing_queries": ["q07"] if system == "plain" else [],
                "tied_share": 0.25 if system == "plain" else 0.0,
                "means": {
                    measure: float(np.mean(list(values[run_of(system)][measure].values())))
                    for measure in MEASURES
                },
            }
            for system in SYSTEMS
        ],
        "comparisons": [
            comparison(system, baseline, measure, values)
            for measure in MEASURES
            for place, system in enumerate(SYSTEMS)
            for baseline in baselines[:place]
        ],
    }


def training_log(name: str) -> list[dict[str, float]]:
    """A falling loss and a rising validation value."""
    draw = random.Random(name)
    rows: list[dict[str, float]] = [{"update": 0, "validation": 0.31}]
    for update in range(1, 401):
        loss = 2.0 * 0.99**update + 0.2 + draw.gauss(0, 0.08)
        rows.append({"update": update, "loss": loss, "learning_rate": 1e-5})
        if update % 100 == 0:
            rows.append({"update": update, "validation": 0.31 + 0.2 * update / 400})
    return rows


def ranking(run: str, query_id: str, depth: int) -> list[StoredDoc]:
    """Twenty docs in an order of the run's own; q00 has no relevant one, every third is unjudged."""
    order = list(range(20))
    random.Random(f"{run} {query_id}").shuffle(order)
    return [
        StoredDoc(
            rank,
            f"{query_id}-d{doc}",
            f"The {PLACES[doc % 6]} of town {doc} was built by mason {doc * 7 % 11}. " * 6,
            None if doc % 3 == 0 else int(doc in {1, 2, 4} and query_id != "q00") * 2,
        )
        for rank, doc in enumerate(order[:depth], start=1)
    ]


def made_up() -> StoredResults:
    """The made-up study."""
    values = per_query()
    return StoredResults(
        study="what-the-second-stage-changes",
        study_file=StudyTexts(
            "study: what-the-second-stage-changes  # mine\nseed: 7\nrankers:\n  C: {start: plain}\n",
            ("seed=42",),
            "study: what-the-second-stage-changes\nseed: 42\nrankers:\n  C:\n    start: plain\n",
        ),
        seed=42,
        steps=[
            StoredStep("collection-dev-00aa", "collection", 1.5, {"n_docs": 800}),
            StoredStep(
                "train-C-11bb",
                "train",
                61.25,
                {
                    "ranker": "C",
                    "start": "plain",
                    "loss": "localized_contrastive",
                    "n_samples": 1600,
                    "updates": 400,
                    "kept_update": 300,
                    "validation_measure": "nDCG@10",
                    "displacement": {"all": 0.0123456, "head": 0.5},
                    "notes": ["3 queries had no relevant doc in their group."],
                },
            ),
            StoredStep(
                "train-C-D-22cc",
                "train",
                30.0,
                {
                    "ranker": "C-D",
                    "start": "C",
                    "loss": "ranknet",
                    "n_samples": 1500,
                    "updates": 300,
                    "kept_update": 200,
                    "resumed": False,
                },
            ),
        ],
        versions={"python": "3.12.1", "rankscope": "0.1.0"},
        evaluation=recorded(evaluation(values)),
        per_query=values,
        training={"C": training_log("C"), "C-D": training_log("C-D")},
        queries={
            "dev": {
                f"q{n:02d}": f"who built the {PLACES[n % 6]} of town {n}?" for n in range(N_QUERIES)
            }
        },
        rankings=ranking,
    )


def recorded(stored: Mapping[str, Any]) -> EvaluationRecord:
    """The record of what is stored."""
    return from_plain(EvaluationRecord, stored, where="made up")


def stored(study: StoredResults) -> dict[str, Any]:
    """The study's evaluation, as its file has it."""
    return as_plain(study.evaluation)


def with_evaluation(study: StoredResults, /, **changes: Any) -> StoredResults:
    """The same study with parts of its evaluation replaced, as its file has them."""
    return replace(study, evaluation=recorded(stored(study) | changes))
