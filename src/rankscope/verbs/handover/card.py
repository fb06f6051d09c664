"""The model card of a tuned ranker: what it started from, what it learnt from, what guards saw, what was measured of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from rankscope import __version__
from rankscope.core.errors import DamagedArtifact, MissingArtifact
from rankscope.core.words import counted, of_number
from rankscope.data.public import hub_ids
from rankscope.models.location import kind_of
from rankscope.report.summary import Summary, read
from rankscope.report.wording.numbers import between, signed
from rankscope.report.wording.verdicts import marked
from rankscope.store.artifacts import MANIFEST, Store, read_json
from rankscope.verbs.handover.markdown import code, plain, table

PIPELINES = {
    "cross_encoder": "text-ranking",
    "bi_encoder": "sentence-similarity",
    "late_interaction": "sentence-similarity",
}
"""A kind of ranker to the hub's name for its task."""
LOADING = {
    "cross_encoder": "from sentence_transformers import CrossEncoder\n\nranker = CrossEncoder({name!r})\n"
    "ranker.predict([(query, doc)])",
    "bi_encoder": "from sentence_transformers import SentenceTransformer\n\nranker = SentenceTransformer({name!r})\n"
    "ranker.similarity(ranker.encode_query([query]), ranker.encode_document([doc]))",
    "late_interaction": "from sentence_transformers import MultiVectorEncoder\n\nranker = MultiVectorEncoder({name!r})",
}
"""A kind of ranker to the lines that load it."""
STEP_OF_DATA = re.compile(
    r"samples \d+ (docs|collection|run)|noisy queries' docs|(collection|docs|validation run) .+"
)
"""Roles of a training's inputs that are data."""
Manifest = Mapping[str, Any]
STEPS, SUMMARY = "steps", "summary.json"
"""Names in a folder of results."""


@dataclass(frozen=True)
class CardSettings:
    """What a card says beyond what the results folder has."""

    name: str
    licence: str | None = None
    """The hub's identifier of the licence, such as apache-2.0."""
    base_model: str | None = None
    """The hub id of the model that the first stage started from; the one of the study, if it is a hub id."""
    command: str = ""
    loaded_as: str | None = None
    """The hub id under which it is loaded; its name, if None."""


@dataclass(frozen=True)
class Lineage:
    """What is stored of how a ranker came to be."""

    start: Manifest | None
    """Of the ranker before any stage; None where it is not known."""
    stages: tuple[Manifest, ...]
    """Of its stages, the first one first."""
    lacks: str | None = None
    """The name of a step that it rests on and that is not there, or is not what was written."""
    data: Mapping[str, Manifest] = field(default_factory=dict)
    """Of the steps of data that its stages read, as far as they are there; by name."""


UNKNOWN = Lineage(None, ())


def card(folder: Path, settings: CardSettings) -> str:
    """The card of a ranker's folder, in the hub's form: metadata and Markdown.

    The folder of a training step (`results/STUDY/steps/train-.../model`) has everything. Of one without the steps that it
    rests on the card says what is known and what it lacks, and of any other folder only what it is.
    """
    kind, lineage = kind_of(folder), lineage_of(folder)
    weights = _weights(lineage)
    base = settings.base_model or (weights["hub"][0] if weights.get("hub") else None)
    metadata = ModelCardData(
        license=settings.licence,
        base_model=base,
        datasets=_datasets(lineage) or None,
        library_name="sentence-transformers",
        pipeline_tag=PIPELINES[kind],
        tags=["rankscope", kind.replace("_", "-")],
    )
    sections = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {plain(settings.name)}",
        _what_it_is(kind, lineage, base),
        f"```python\n{LOADING[kind].format(name=settings.loaded_as or settings.name)}\n```",
        *_sections(folder, lineage),
        _how_made(settings),
    ]
    return "\n\n".join(sections) + "\n"


def _weights(lineage: Lineage) -> Mapping[str, Any]:
    """The files or hub's commit of the model that the first stage started from; empty where there is none."""
    return (lineage.start or {"params": {}})["params"].get("weights") or {}


def lineage_of(folder: Path) -> Lineage:
    """What is stored of the rankers from the first ancestor to the one in a step's folder."""
    step = folder.parent
    if folder.name != "model" or not (step / MANIFEST).is_file():
        return UNKNOWN
    if step.parent.name != STEPS:  # a copy of a step, elsewhere
        stored = read_json(step / MANIFEST)
        return _ended([stored], stored["inputs"].get("start"))
    store, manifests = Store(step.parent.parent), list[Manifest]()
    name: str | None = step.name
    while name is not None:
        try:
            store.open(name)
        except (MissingArtifact, DamagedArtifact):
            if not manifests:
                raise  # the ranker itself
            break
        manifests.append(store.manifest(name))
        name = manifests[-1]["inputs"].get("start")
    return replace(_ended(manifests, name), data=_data_of(manifests, store))


def _data_of(manifests: Sequence[Manifest], store: Store) -> dict[str, Manifest]:
    """The manifests of the steps of data, as far as they are there whole; their files are not read."""
    found = dict[str, Manifest]()
    for manifest in manifests:
        for role, step in manifest["inputs"].items():
            if STEP_OF_DATA.fullmatch(role):
                with suppress(DamagedArtifact):  # the card then knows its sum, and no public name
                    found[step] = store.manifest(step)
    return found


def _public(step: str, lineage: Lineage) -> tuple[list[str], list[str]]:
    """The public names of a step of data, and the hub's ids of those that are known there."""
    manifest = lineage.data.get(step, {})
    names = manifest.get("params", {}).get("names") or {}
    of_ours = (manifest.get("summary") or {}).get("public", ())
    told = [f"ir_datasets {name}" for name in names.values()] + [
        f"public:{name}" for name in of_ours
    ]
    ids = [*map(hub_ids.of_ir_datasets, names.values()), *map(hub_ids.of_public, of_ours)]
    return told, [each for each in ids if each]


def _datasets(lineage: Lineage) -> list[str]:
    """The hub's ids of what the stages read, sorted; data that is not known there has none."""
    return sorted({hub_id for step in lineage.data for hub_id in _public(step, lineage)[1]})


def _ended(manifests: Sequence[Manifest], lacks: str | None) -> Lineage:
    """The lineage of manifests, the last one first; `lacks` is the step before them, if there is one."""
    *after, first = manifests
    if "loss" in first["summary"]:
        return Lineage(None, (first, *reversed(after)), lacks)
    return Lineage(first, tuple(reversed(after)), lacks)


def _what_it_is(kind: str, lineage: Lineage, base: str | None) -> str:
    what = {
        "cross_encoder": "A cross-encoder: it reads query and doc together, and its score is a logit."
    }.get(kind, "A bi-encoder: it reads query and doc apart, and its score is a similarity.")
    n_stages = len(lineage.stages)
    if n_stages < 1:
        return what
    stages = "one stage" if n_stages == 1 else f"{n_stages} stages"
    weights = _weights(lineage)
    if lineage.lacks:
        first = plain(str(lineage.stages[0]["summary"]["start"]))
        of_base = f" Its base model is {code(base)}." if base else ""
        return (
            f"{what} It was tuned with rankscope {__version__}. Of its tuning {stages} {of_number(n_stages, 'is', 'are')} "
            f"known; what came before is not, since {code(lineage.lacks)}, the step of the ranker {first} from which it "
            f"starts, was not there whole when this card was written.{of_base}"
        )
    digest = weights.get("digests", {}).get("model.safetensors")
    started = code(base) if base else "a model in a local folder" if weights else "random weights"
    revision = (weights.get("hub") or (None, None))[1]
    commit = f" at {code(revision)}" if revision else ""
    summed = f" (SHA-256 of its weights: `{digest}`)" if digest else ""
    return f"{what} It was tuned in {stages} with rankscope {__version__}, from {started}{commit}{summed}."


def _sections(folder: Path, lineage: Lineage) -> Iterator[str]:
    if not lineage.stages:
        return
    stages = lineage.stages
    yield "## Training\n\n" + table(*_stages(stages))
    yield (
        "## Data\n\nEvery file that was read, by the sum of the step that read it.\n\n"
        + table(*_data(lineage))
    )
    yield "## Guards\n\n" + _guards(stages)
    stored, ranker = folder.parent.parent.parent / SUMMARY, str(stages[-1]["summary"]["ranker"])
    if folder.parent.parent.name == STEPS and stored.is_file():
        yield from _results(read(read_json(stored), where=str(stored)), ranker)
    metered = [made for stage in stages if "kwh" in (made := stage.get("made", {}))]
    if metered:
        total, by = sum(made["kwh"] for made in metered), metered[-1]["energy_by"]
        yield f"## Energy\n\n{total:.3g} kWh in {counted(len(metered), 'stage')}, by {code(by)}."
    versions = stages[-1]["versions"]
    yield "## Versions\n\n" + ", ".join(f"{name} {version}" for name, version in versions.items())


def _stages(lineage: Sequence[Manifest]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for manifest in lineage:
        summary, spec = manifest["summary"], manifest["params"]["spec"]
        defaults = manifest["defaults"]
        rate = spec.get("learning_rate", defaults.get("TrainedSpec.learning_rate"))
        rows.append(
            [
                plain(str(summary["ranker"])),
                plain(str(summary["start"])),
                plain(str(summary["loss"])),
                str(summary["n_samples"]),
                f"{summary['kept_update'] or summary['updates']} of {summary['updates']}",
                f"{rate:g}",
                str(manifest["params"]["seed"]),
                f"{manifest['seconds']:.0f}",
            ]
        )
    columns = [
        "ranker",
        "starts from",
        "loss",
        "queries",
        "updates kept",
        "learning rate",
        "seed",
        "seconds",
    ]
    return columns, rows


def _data(lineage: Lineage) -> tuple[list[str], list[list[str]]]:
    roles: dict[tuple[str, str, str], list[str]] = {}
    for manifest in lineage.stages:
        for role, step in manifest["inputs"].items():
            if STEP_OF_DATA.fullmatch(role):
                ranker, digest = str(manifest["summary"]["ranker"]), manifest["rests_on"][role]
                names = [code(name) for name in _public(step, lineage)[0]]
                known_as = f" ({', '.join(names)})" if names else ""
                label = plain(step.rpartition("-")[0]) + known_as
                roles.setdefault((ranker, label, digest), []).append(role)
    rows = [
        [plain(ranker), plain(", ".join(of_step)), label, code(digest)]
        for (ranker, label, digest), of_step in roles.items()
    ]
    return ["ranker", "as", "step", "SHA-256"], rows


def _guards(lineage: Sequence[Manifest]) -> str:
    lines = [
        f"- {plain(str(manifest['summary']['ranker']))}, {plain(guard)}: {plain(str(finding))}"
        for manifest in lineage
        for guard, finding in manifest["summary"]["guards"].items()
    ]
    lines += [
        f"- {plain(str(manifest['summary']['ranker']))}: {plain(str(note))}"
        for manifest in lineage
        for note in manifest["summary"]["notes"]
    ]
    return "\n".join(lines) or "No guard saw anything."


def _results(summary: Summary, ranker: str) -> Iterator[str]:
    """Means and verdicts of the ranker, or of the system whose seed it is."""
    results = [
        result
        for result in summary.results
        if ranker in (result.system, *(seed.name for seed in result.runs))
    ]
    if not results:
        return
    systems = {result.system for result in results}
    means = [
        [plain(result.place.collection), plain(result.place.first_stage), str(result.n_queries)]
        + [f"{result.means[measure]:.4f}" for measure in summary.measures]
        for result in results
    ]
    yield "## Results\n\n" + table(
        ["collection", "first stage", "queries", *summary.measures], means
    )
    compared = [
        [
            plain(f"{row.place.collection} / {row.place.first_stage}") if row.place else "",
            row.measure,
            plain(f"{row.system} - {row.baseline}"),
            signed(row.judged.difference, 4),
            between(row.judged.interval, 4),
            "" if row.judged.corrected_p is None else f"{row.judged.corrected_p:.2g}",
            marked(row.judged.verdict),
        ]
        for row in summary.comparisons
        if row.system in systems
    ]
    columns = [
        "collection / first stage",
        "measure",
        "difference of",
        "mean",
        summary.intervals,
        "corrected p",
        "verdict",
    ]
    if compared:
        yield (
            "Compared with the study's baselines, corrected together over its whole family:\n\n"
            + table(columns, compared)
        )


def _how_made(settings: CardSettings) -> str:
    made = f"\n\nThis card was written by {code(settings.command)}." if settings.command else ""
    licence = (
        ""
        if settings.licence
        else " No licence was stated: that of its base and its data may bind it."
    )
    return f"## How it was made\n\nTuned, measured and explained with rankscope.{licence}{made}"
