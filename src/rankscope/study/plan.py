"""A study as an ordered list of steps with inputs. Pure: reads no data, loads no torch.

What a step is called comes from everything that could change its result: its kind and the kind's
version, its own fields, the bytes of the files it reads (through `digest`), and the fingerprints
of the steps before it. So changing stage two renames stage two and what hangs on it, nothing else.
"""

from dataclasses import dataclass

from rankscope.core.errors import BadStudy
from rankscope.core.visible import brief
from rankscope.study import plan_explain
from rankscope.study.load import LoadedStudy
from rankscope.study.planner import Digest, Planner
from rankscope.study.step import Step, docs_role, neurons_role, probes_role, train_role


@dataclass(frozen=True)
class Plan:
    """The steps of a study, every step after its inputs."""

    study: LoadedStudy
    steps: tuple[Step, ...]


def plan(loaded: LoadedStudy, digest: Digest) -> Plan:
    """The steps of a study. `digest` gives the hash of a file; sources that are absent are named."""
    planner = Planner(loaded, digest)
    try:
        _report(planner)
    except OSError as error:
        raise BadStudy(
            f"{brief(str(error.filename))}: cannot be read ({error.strerror}). Mend the path in the study file."
        ) from error
    return Plan(loaded, tuple(planner.steps.values()))


def _report(planner: Planner) -> Step:
    """The page; it reads everything before it."""
    evaluate = planner.evaluate()
    inputs = {"evaluate": evaluate}
    params = {"study": planner.study.model_dump(mode="json", by_alias=True)}
    for collection in planner.study.evaluate.over:
        inputs[docs_role(collection)] = planner.docs(collection)
    for key, asked in planner.study.probes.items():
        inputs[probes_role(key)] = plan_explain.probes(planner, key, asked)
    for key, wanted in planner.study.attribution.items():
        inputs[neurons_role(key)] = plan_explain.attribution(planner, key, wanted)
    for key, changed in planner.study.changes.items():
        inputs |= plan_explain.changes(planner, key, changed)
    if planner.study.explain and planner.study.explain.forgetting:
        inputs["forgetting"] = plan_explain.forgetting(planner, planner.study.explain.forgetting)
    for step in list(planner.steps.values()):
        if step.kind == "train":
            inputs[train_role(step.label)] = step
    return planner.add(Step("report", planner.study.study, params, inputs))
