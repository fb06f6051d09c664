"""A stage of fine-tuning for a notebook: the stage of a study file, carried out alone."""

from collections.abc import Mapping
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from rankscope.core.errors import BadInput
from rankscope.core.fields import given_path, shown
from rankscope.core.records import Run
from rankscope.core.trec.writing import write_run
from rankscope.evaluate.runs import RunLike
from rankscope.models.cross_encoder import CrossEncoder
from rankscope.models.location import Location, downloaded
from rankscope.models.opening import open_trainable
from rankscope.notebook.collections import OpenedCollection, opened_collection
from rankscope.notebook.measures import given_run
from rankscope.notebook.rankers import LoadedRanker, RankerLike, loaded
from rankscope.store.artifacts import Store
from rankscope.store.files import write_text, written_whole
from rankscope.store.fingerprint import Digests
from rankscope.study import load, runner
from rankscope.study.plan import plan
from rankscope.terminal import progress

START, TRAIN, HELD_OUT, BM25, GIVEN = "start", "train", "validation", "bm25", "given"
"""Names in the study file of a stage: its ranker, its collections, and the first stages of validation and negatives."""

TAKEN = {
    "start": "the stage starts from the ranker that is given first",
    "kind": "a stage has the kind of the ranker that it starts from",
}
"""Fields of a ranker in a study file that `tune` states itself."""


def tune(
    ranker: RankerLike,
    collection: OpenedCollection,
    *,
    negatives: RunLike | None = None,
    teacher: RunLike | None = None,
    validate: OpenedCollection | Mapping[str, Any] | None = None,
    name: str = "tuned",
    results: str | PathLike[str] = "results",
    **stage: Any,
) -> LoadedRanker:
    """The ranker after one stage of training, with guards, log and checkpoints: called again with the same it is loaded.

    collection: whose judged queries are learnt. negatives: a run over it from which hard negatives are drawn, for losses that
    learn qrels; or teacher: a run over it whose order is learnt. validate: held-out queries, whose BM25 ranking is re-ranked, or
    `{"collection": held_out, "measure": "nDCG@10", "every": 50}` with the fields of `validate` in a study file. `samples`
    (a table) and all other fields are those of a stage in a study file: loss, max_updates or epochs, learning_rate,
    seed, ... The study file of the stage is written to `results/NAME/study.yaml`.

    Raises BadStudy with a line for each mistake, TrainingStopped where a guard stops it.

    >>> train = rs.collection("world", split="train")
    >>> hard = rs.search("bm25", train, depth=20)
    >>> rs.tune(ranker, train, negatives=hard, loss="localized_contrastive", max_updates=2).name
    'tuned'
    """
    learnt = opened_collection(collection)
    root = Path(given_path(results, "folder of results")) / given_path(name, "name of the stage")
    if (negatives is None) == (teacher is None):
        raise BadInput(
            "A stage learns judged docs against `negatives`, or the order of a `teacher`: give one of the two runs."
        )
    if taken := sorted(stage.keys() & TAKEN.keys()):
        raise BadInput(f"{taken[0]}: {TAKEN[taken[0]]}. Leave it out.")
    given = given_run(negatives if teacher is None else teacher)
    stage = _plain(stage)
    for table in {"samples", "guards"} & stage.keys():
        if not isinstance(stage[table], Mapping):
            raise BadInput(
                f"{table}: {shown(stage[table])} is no table. Give one of names and values."
            )
    path = root / f"{GIVEN}.run"
    if (root / "steps").exists() and not path.exists():
        raise BadInput(
            f"{root}: it holds the results of a study of that name. Give the stage another `name`, or other `results`."
        )
    held_out = _validation(validate)
    study = {
        "study": name,
        "collections": {TRAIN: learnt.spec, **_collections(held_out)},
        "first_stages": {
            BM25: {"kind": "bm25"},
            GIVEN: {"kind": "run_files", "paths": {TRAIN: str(path.resolve())}},
        },
        "teachers": {}
        if teacher is None
        else {GIVEN: {"kind": "run", "path": str(path.resolve()), "depth": _depth(given)}},
        "rankers": {
            START: _spec(loaded(ranker)),
            name: {
                "start": START,
                **stage,
                "samples": _samples(
                    given, is_teacher=teacher is not None, more=stage.get("samples", {})
                ),
                **(
                    {"validate": {"from": BM25, **held_out, "collection": HELD_OUT}}
                    if held_out
                    else {}
                ),
                # nothing is measured over the training queries: `evaluate` is what every study has
                "guards": {"test_queries": "off", **stage.get("guards", {})},
            },
        },
        "evaluate": {"over": [TRAIN], "rerank": {"from": [BM25]}},
    }
    stages = load.validated(study, f"the stage {name!r}").rankers  # before anything is written
    if name not in stages:
        raise BadInput(
            f"A list of values or seeds makes several stages ({', '.join(sorted(stages.keys() - {START}))}), and this is one. Give one "
            "value, or carry out a study file."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as aside:
        write_run(aside, given)
    write_text(root / "study.yaml", yaml.safe_dump(study, sort_keys=False, allow_unicode=True))
    return _carried_out(root, name)


def _carried_out(root: Path, name: str) -> LoadedRanker:
    """The ranker of the study file in a folder, trained if it is not stored there."""
    study, store = load.load(root / "study.yaml"), Store(root)
    planned = plan(study, Digests().of)
    step = next(step for step in planned.steps if (step.kind, step.label) == ("train", name))
    with store.locked():
        runner.prepare([step], planned, store, progress=progress())
    folder = store.open(step.name) / "model"
    return LoadedRanker(name, open_trainable(folder), Location(name, folder))


def _plain(value: Any) -> Any:
    """Fields as a study file has them: numpy's numbers as Python's, paths as text."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, PathLike):
        return given_path(value, "path")
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return (int(value) if isinstance(value, Integral) else float(value)) if is_number else value


def _spec(ranker: LoadedRanker) -> dict[str, Any]:
    """What a study file says of a loaded ranker."""
    trainable = ranker.trainable
    folder = str(downloaded(ranker.location).resolve())
    if isinstance(trainable, CrossEncoder):
        return {"kind": "cross_encoder", "backbone": folder, "max_length": trainable.max_length}
    if ranker.pooling is None:
        return {"kind": "bi_encoder", "model": folder}
    return {"kind": "bi_encoder", "backbone": folder, "pooling": ranker.pooling}


def _samples(given: Run, *, is_teacher: bool, more: Mapping[str, Any]) -> dict[str, Any]:
    depth = _depth(given)
    if is_teacher:
        return {"labels": GIVEN, "group_size": depth, **more}
    return {"labels": "qrels", "negatives": {"from": GIVEN, "depth": depth}, **more}


def _depth(run: Run) -> int:
    """Docs of the longest ranking."""
    return max((len(ranking) for ranking in run.rankings.values()), default=0)


def _validation(validate: OpenedCollection | Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of `validate` in a study file, the collection opened; {} where nothing is validated."""
    if not validate and isinstance(validate, Mapping | None):
        return {}
    fields = validate if isinstance(validate, Mapping) else {"collection": validate}
    if "collection" not in fields:
        raise BadInput(
            'validate: a table without the collection whose queries are held out. Give {"collection": rs.collection(...)}.'
        )
    held_out = opened_collection(fields["collection"], "collection of `validate`")
    return {**fields, "collection": held_out}


def _collections(held_out: Mapping[str, Any]) -> dict[str, Any]:
    return {HELD_OUT: held_out["collection"].spec} if held_out else {}
