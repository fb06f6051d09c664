"""Steps that look inside rankers: probes, attribution, what changed, what was forgotten."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rankscope.core.errors import BadStudy, choose
from rankscope.data.published_curves import published_points
from rankscope.study import lineages
from rankscope.study.planner import Planner
from rankscope.study.spec_changes import ChangesSpec, ForgettingSpec
from rankscope.study.spec_explain import AttributionSpec, FileExamplesSpec, ProbesSpec
from rankscope.study.step import AT_RANDOM, Step, attribute_role, change_role, probe_role


def probes(planner: Planner, key: str, asked: ProbesSpec) -> Step:
    """What the probes found in all rankers, compared."""
    choices = _choices(planner, key, asked)
    made = asked.identity(
        "examples",
        "rankers",
        "baseline",
        "at_random",
        "margin",
        "published",
        "pooling",
        "dtype",
    )
    inputs = {"choices": choices}
    probed = planner.study.probed_rankers(asked)
    for name in probed:
        inputs[probe_role(name)] = _probe(planner, key, name, choices, made)
    if asked.at_random:
        inputs[probe_role(AT_RANDOM)] = _probe(
            planner, key, probed[0], choices, made, at_random=True
        )
    params = {"margin": asked.margin, "baseline": asked.baseline or probed[:1], **made}
    paths = {}
    if asked.published:
        paths = {"published": planner.loaded.path(asked.published.path)}
        known = {p.curve: p for p in published_points(paths["published"], asked.published.dataset)}
        for curve in asked.published.curves.values():
            choose(known, curve, what=f"curve in explain.probes.{key}.published")
        params["published"] = asked.published.identity("path") | {
            "digest": planner.digest(paths["published"])
        }
    return planner.add(Step("conclude", key, params, inputs, spec=asked, paths=paths))


def _choices(planner: Planner, key: str, asked: ProbesSpec) -> Step:
    drawn = asked.examples
    params: dict[str, Any] = {"n_docs": max(asked.candidates), "seed": planner.study.seed}
    if isinstance(drawn, FileExamplesSpec):
        paths = {"train": planner.loaded.path(drawn.train), "test": planner.loaded.path(drawn.test)}
        params |= {"kind": drawn.kind, "method": asked.method}
        params |= {"digests": {part: planner.digest(path) for part, path in paths.items()}}
        return planner.add(Step("choices", key, params, {}, spec=asked, paths=paths))
    if planner.docs(drawn.over) is not planner.docs(drawn.train):
        raise BadStudy(
            f"explain.probes.{key}: {drawn.train} and {drawn.over} have other docs. Train and test probes "
            "over the same."
        )
    inputs = {"docs": planner.docs(drawn.over)}
    for role, name in (("train", drawn.train), ("test", drawn.over)):
        inputs[f"{role} collection"] = planner.collection(name)
        inputs[f"{role} run"] = planner.first_stage_run(drawn.first_stage, name)
    params |= drawn.identity("over", "train", "first_stage", "kind")
    return planner.add(Step("choices", key, params, inputs, spec=asked))


def _probe(
    planner: Planner,
    key: str,
    ranker: str,
    choices: Step,
    made: Mapping[str, Any],
    *,
    at_random: bool = False,
) -> Step:
    inputs = {
        "ranker": planner.ranker(ranker),
        "choices": choices,
        "docs": choices.inputs.get("docs", choices),
    }
    label = f"{ranker}.random.{key}" if at_random else f"{ranker}.{key}"
    of_pairs = not planner.study.is_bi_encoder(ranker)  # then the seed draws others' queries
    params = {
        "at_random": planner.study.seed if at_random else None,
        "seed": planner.study.seed if of_pairs else None,
        "pooling": planner.study.probes[key].pooling,
        "dtype": planner.study.probes[key].dtype,
    }
    states = planner.add(Step("represent", label, params, inputs))
    found = {"states": states, "choices": choices}
    spec = planner.study.probes[key]
    return planner.add(Step("probe", label, {**made, "seed": planner.study.seed}, found, spec=spec))


def attribution(planner: Planner, key: str, asked: AttributionSpec) -> Step:
    """The neurons of all rankers, compared."""
    attributed = planner.study.probed_rankers(asked)
    told = ("threshold", "margin")  # what is said of attributions, not what they are
    made = asked.identity("over", "first_stage", "file", "rankers", "baseline", *told)
    inputs, paths = {}, {}
    if asked.over and asked.first_stage:
        inputs = {
            "docs": planner.docs(asked.over),
            "collection": planner.collection(asked.over),
            "run": planner.first_stage_run(asked.first_stage, asked.over),
        }
    if asked.file:
        paths = {"file": planner.loaded.path(asked.file.path)}
        made["file"] = asked.file.identity("path") | {"digest": planner.digest(paths["file"])}
    by_ranker = {
        attribute_role(name): planner.add(
            Step(
                "attribute",
                f"{name}.{key}",
                {**made, "seed": planner.study.seed},
                {**inputs, "ranker": planner.ranker(name)},
                spec=asked,
                paths=paths,
            )
        )
        for name in attributed
    }
    params = {"baseline": asked.baseline or attributed[:1], **made}
    params |= {name: getattr(asked, name) for name in told} | {"seed": planner.study.seed}
    return planner.add(Step("neurons", key, params, by_ranker, spec=asked))


def changes(planner: Planner, key: str, asked: ChangesSpec) -> dict[str, Step]:
    """What moved between every pair, and the heads fitted anew, by their roles in the report."""
    found: dict[str, Step] = {}
    depth = lineages.changed_depth(planner.study, asked)
    for after, before in lineages.changed_pairs(planner.study, asked).items():
        inputs = {
            "before": planner.ranker(before),
            "after": planner.ranker(after),
            "docs": planner.docs(asked.over),
            "collection": planner.collection(asked.over),
            "run": planner.first_stage_run(asked.first_stage, asked.over),
            "before run": planner.rerank(before, asked.over, asked.first_stage, depth),
            "after run": planner.rerank(after, asked.over, asked.first_stage, depth),
        }
        params = {"names": [before, after], "over": asked.over, "depth": depth}
        params |= {"seed": planner.study.seed, "texts": asked.texts, "k": asked.neighbours}
        params["drop_own_docs"] = planner.study.collections[asked.over].convention().drop_own_docs
        change = Step("change", f"{after}.{key}", params, inputs, spec=asked)
        found[change_role("change", key, after)] = planner.add(change)
        if after in lineages.with_heads(planner.study, asked):
            found[change_role("heads", key, after)] = _heads(planner, key, asked, after, inputs)
    return found


def _heads(
    planner: Planner, key: str, asked: ChangesSpec, after: str, inputs: dict[str, Step]
) -> Step:
    """Heads fitted anew on the encoders of a pair."""
    assert asked.heads is not None
    train, over = asked.heads.train, asked.over
    if planner.docs(train) is not planner.docs(over):
        raise BadStudy(
            f"explain.changes.{key}.heads: {train} and {over} have other docs. Fit heads over the same."
        )
    inputs = inputs | {
        "train collection": planner.collection(train),
        "train run": planner.first_stage_run(asked.first_stage, train),
    }
    evaluate = planner.study.evaluate
    measure = asked.heads.measure or evaluate.measures[0]
    params = asked.heads.identity("train", "rankers", "measure", "margin") | {
        "depth": lineages.changed_depth(planner.study, asked),
        "measure": measure,
        "margin": asked.heads.margin or evaluate.margin.get(measure, lineages.MARGIN),
        "significance_level": evaluate.significance_level,
        "correction": evaluate.correction,
        "convention": asdict(planner.study.collections[over].convention()),
        "train_convention": asdict(planner.study.collections[train].convention()),
        "seed": planner.study.seed,
    }
    return planner.add(Step("heads", f"{after}.{key}", params, inputs, spec=asked))


def forgetting(planner: Planner, asked: ForgettingSpec) -> Step:
    """Rankers x collections, from what the evaluation measured."""
    study = planner.study
    against = lineages.held_against(study, asked)

    def over_docs_of(learnt: list[str]) -> list[str]:
        docs = {planner.docs(name).fingerprint for name in learnt}
        return [name for name in study.evaluate.over if planner.docs(name).fingerprint in docs]

    baselines = list(dict.fromkeys(against.values()))
    params = {
        "against": against,
        "tuned": [name for name, of in against.items() if of in lineages.ancestors(study, name)],
        "taught": {name: over_docs_of(lineages.taught(study, name)) for name in baselines},
        "taught_last": {
            name: over_docs_of(lineages.taught(study, name, since=against.get(name)))
            for name in baselines
        },
        "kinship": {name: lineages.kinship(study, name, of).value for name, of in against.items()},
        "seed_lineage": {
            name: lineages.seed_lineage(study, name)
            for name in dict.fromkeys([*against, *baselines])
        },
        "measure": asked.measure or study.evaluate.measures[0],
    }
    return planner.add(
        Step("forgetting", "all", params, {"evaluate": planner.evaluate()}, spec=asked)
    )
