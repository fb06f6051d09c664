"""The model card of a tuned ranker: what it started from, what it learnt from, what guards saw, what was measured of it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from rankscope import __version__
from rankscope.models.location import kind_of
from rankscope.report.summary import Summary, read
from rankscope.report.wording.numbers import between, signed
from rankscope.report.wording.verdicts import marked
from rankscope.store.artifacts import Store, read_json

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


@dataclass(frozen=True)
class CardSettings:
    """What a card says beyond what the results folder has."""

    name: str
    licence: str | None = None
    """The hub's identifier of the licence, such as apache-2.0."""
    base_model: str | None = None
    """The hub id of the model that the first stage started from; the one of the study, if it is a hub id."""
    command: str = ""


def card(folder: Path, settings: CardSettings) -> str:
    """The card of a ranker's folder, in the hub's form: metadata and Markdown.

    The folder of a training step (`results/STUDY/steps/train-.../model`) has everything; of any other folder the card says
    only what it is.
    """
    kind, lineage = kind_of(folder), _lineage(folder)
    hub = (
        lineage[0]["params"]["weights"]["hub"]
        if lineage and lineage[0]["params"].get("weights")
        else None
    )
    base = settings.base_model or (hub and hub[0])
    metadata = ModelCardData(
        license=settings.licence,
        base_model=base,
        library_name="sentence-transformers",
        pipeline_tag=PIPELINES[kind],
        tags=["rankscope", kind.replace("_", "-")],
    )
    sections = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {settings.name}",
        _what_it_is(kind, lineage, base),
        f"```python\n{LOADING[kind].format(name=settings.name)}\n```",
        *_sections(folder, lineage),
        _how_made(settings),
    ]
    return "\n\n".join(sections) + "\n"


def _lineage(folder: Path) -> list[Manifest]:
    """The manifests of the rankers from the first ancestor to the one in a step's folder; none for another folder."""
    step, root = folder.parent, folder.parent.parent.parent
    if (
        folder.name != "model"
        or step.parent.name != "steps"
        or not (step / "manifest.json").is_file()
    ):
        return []
    store, manifests = Store(root), list[Manifest]()
    name: str | None = step.name
    while name is not None:
        store.open(name)
        manifests.append(store.manifest(name))
        name = manifests[-1]["inputs"].get("start")
    return manifests[::-1]


def _what_it_is(kind: str, lineage: Sequence[Manifest], base: str | None) -> str:
    what = {
        "cross_encoder": "A cross-encoder: it reads query and doc together, and its score is a logit."
    }.get(kind, "A bi-encoder: it reads query and doc apart, and its score is a similarity.")
    n_stages = len(lineage) - 1
    if n_stages < 1:
        return what
    stages = "one stage" if n_stages == 1 else f"{n_stages} stages"
    weights = lineage[0]["params"].get("weights") or {}
    digest = weights.get("digests", {}).get("model.safetensors")
    started = f"`{base}`" if base else "a model in a local folder" if weights else "random weights"
    summed = f" (SHA-256 of its weights: `{digest}`)" if digest else ""
    return f"{what} It was tuned in {stages} with rankscope {__version__}, from {started}{summed}."


def _sections(folder: Path, lineage: Sequence[Manifest]) -> Iterator[str]:
    if len(lineage) < 2:
        return
    yield "## Training\n\n" + _markdown(*_stages(lineage[1:]))
    yield (
        "## Data\n\nEvery file that was read, by the sum of the step that read it.\n\n"
        + _markdown(*_data(lineage[1:]))
    )
    yield "## Guards\n\n" + _guards(lineage[1:])
    root, ranker = folder.parent.parent.parent, str(lineage[-1]["summary"]["ranker"])
    if (root / "summary.json").is_file():
        stored = root / "summary.json"
        yield from _results(read(read_json(stored), where=str(stored)), ranker)
    versions = lineage[-1]["versions"]
    yield "## Versions\n\n" + ", ".join(f"{name} {version}" for name, version in versions.items())


def _stages(lineage: Sequence[Manifest]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for manifest in lineage:
        summary, spec = manifest["summary"], manifest["params"]["spec"]
        defaults = manifest["defaults"]
        rate = spec.get("learning_rate", defaults.get("TrainedSpec.learning_rate"))
        rows.append(
            [
                str(summary["ranker"]),
                str(summary["start"]),
                str(summary["loss"]),
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


def _data(lineage: Sequence[Manifest]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [
            str(manifest["summary"]["ranker"]),
            role,
            step.rpartition("-")[0],
            f"`{manifest['rests_on'][role]}`",
        ]
        for manifest in lineage
        for role, step in manifest["inputs"].items()
        if STEP_OF_DATA.fullmatch(role)
    ]
    return ["ranker", "as", "step", "SHA-256"], rows


def _guards(lineage: Sequence[Manifest]) -> str:
    lines = [
        f"- {manifest['summary']['ranker']}, {guard}: {finding}"
        for manifest in lineage
        for guard, finding in manifest["summary"]["guards"].items()
    ]
    lines += [
        f"- {manifest['summary']['ranker']}: {note}"
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
        [result.place.collection, result.place.first_stage, str(result.n_queries)]
        + [f"{result.means[measure]:.4f}" for measure in summary.measures]
        for result in results
    ]
    yield "## Results\n\n" + _markdown(
        ["collection", "first stage", "queries", *summary.measures], means
    )
    compared = [
        [
            f"{row.place.collection} / {row.place.first_stage}" if row.place else "",
            row.measure,
            f"{row.system} - {row.baseline}",
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
            + _markdown(columns, compared)
        )


def _how_made(settings: CardSettings) -> str:
    made = f"\n\nThis card was written by `{settings.command}`." if settings.command else ""
    licence = (
        ""
        if settings.licence
        else " No licence was stated: that of its base and its data may bind it."
    )
    return f"## How it was made\n\nTuned, measured and explained with rankscope.{licence}{made}"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
