"""Which function carries out which kind of step.

One short function per kind: open inputs, call a stage, save outputs. They are the only place that
knows two stages. A function gets a `Work` and returns the summary that goes into the manifest.
"""

from collections.abc import Callable

from rankscope.study.steps_attribution import attribute, neurons
from rankscope.study.steps_changes import change, forgetting, heads
from rankscope.study.steps_data import collection, docs, fuse, index, teacher
from rankscope.study.steps_evaluate import evaluate
from rankscope.study.steps_explain import choices, conclude, probe, represent
from rankscope.study.steps_rankers import ranker, rerank, scratch_backbone
from rankscope.study.steps_report import report
from rankscope.study.steps_search import encode, search
from rankscope.study.steps_train import train
from rankscope.study.steps_work import Summary, Work

STEPS: dict[str, Callable[[Work], Summary]] = {
    "docs": docs,
    "collection": collection,
    "index": index,
    "encode": encode,
    "search": search,
    "fuse": fuse,
    "scratch": scratch_backbone,
    "ranker": ranker,
    "teacher": teacher,
    "train": train,
    "rerank": rerank,
    "evaluate": evaluate,
    "choices": choices,
    "represent": represent,
    "probe": probe,
    "conclude": conclude,
    "attribute": attribute,
    "neurons": neurons,
    "change": change,
    "heads": heads,
    "forgetting": forgetting,
    "report": report,
}
