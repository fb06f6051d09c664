"""The command `rankscope probe`."""

from typing import Annotated

import typer

from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.options import (
    STATISTICS,
    BaselineModels,
    Bm25Options,
    Collection,
    ModelReading,
    Models,
    Output,
    Shown,
    above_zero,
    source,
)


def probe(
    models: Models,
    collection: Collection,
    first_stage: Bm25Options,
    reading: ModelReading,
    output: Output,
    baseline: BaselineModels = None,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection",
            help="The collection whose queries probes are trained on, over the same docs; --collection, if left out.",
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels the probes are trained on.")
    ] = "train",
    at_random: Annotated[
        bool,
        typer.Option(
            "--random", help="Also probe the first model's architecture with random weights."
        ),
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            help="A further probe, with its control; may be repeated: mlp, a small network, as an upper bound.",
        ),
    ] = None,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Use study A's linear probe and test, with a control."),
    ] = False,
    candidates: Annotated[
        str,
        typer.Option(
            "--candidates", help="Numbers of docs from which a probe chooses the relevant one."
        ),
    ] = "2 3 4 5",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of every probe.")] = 3,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of the bilinear probe.")] = 32,
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in accuracy below which layers are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
) -> Shown:
    """Probe what each layer of rankers knows of relevance, with controls and verdicts."""
    from rankscope.analyses.probes import answer as probes
    from rankscope.data.conventions import convention

    learnt_from = train_collection or collection.collection
    choices, params = probes.params_of(
        learnt_from,
        collection.collection,
        first_stage.depth,
        candidates=candidates,
        also=also or (),
        as_published=as_published,
        fits=seeds,
        rank=rank,
        margin=margin,
    )
    settings = probes.ProbeSettings(
        train=source(learnt_from, train_split, option="--train-split"),
        test=collection.source,
        choices=choices,
        probes=params,
        at_random=at_random,
        baselines=baseline or (),
        language=first_stage.language,
        drop_own_docs=probes.OwnDocsLeftOut(
            train=convention(learnt_from).drop_own_docs,
            test=convention(collection.collection).drop_own_docs,
        ),
    )
    return Shown(output, lambda progress: probes.answer(reading.opened(models), settings, progress))
