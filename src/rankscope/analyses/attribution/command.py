"""The command `rankscope attribute`."""

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
    Seed,
    Shown,
    above_zero,
)


def attribute(
    models: Models,
    collection: Collection,
    first_stage: Bm25Options,
    reading: ModelReading,
    output: Output,
    baseline: BaselineModels = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Use study A's target and sums, with warnings.")
    ] = False,
    path: Annotated[
        str | None,
        typer.Option("--path", help="What is scaled from 0: activations (if left out) or weights."),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            "--nodes", min=1, help="Points of the path where gradients are taken (8, if left out)."
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=2, help="Queries, each with two docs.")
    ] = 50,
    ablate: Annotated[
        bool | None,
        typer.Option(
            help="Whether to check attributions by ablation of neurons (yes, if left out)."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Between 0 and 1: share of an example's largest value above which a neuron is active (0.1, if left out; as published "
            "0.01 for LLaMA, Mistral and Qwen).",
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in Gini coefficients below which two matrices are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
    memory: Annotated[
        float, typer.Option("--memory", min=0.01, help="Gigabytes for gradients.")
    ] = 2.0,
    seed: Seed = 42,
) -> Shown:
    """Show through which neurons rankers prefer a relevant doc, with checks of the numbers."""
    from rankscope.analyses.attribution import answer as attribution
    from rankscope.data.conventions import convention

    settings = attribution.AttributeSettings(
        collection.source,
        attribution.params_of(
            collection.collection,
            seed,
            as_published=as_published,
            stated={"path": path, "nodes": nodes, "ablate": ablate},
            examples=examples,
            threshold=threshold,
            margin=margin,
            depth=first_stage.depth,
            memory=memory,
        ),
        baselines=baseline or (),
        language=first_stage.language,
        drop_own_docs=convention(collection.collection).drop_own_docs,
    )
    return Shown(
        output, lambda progress: attribution.answer(reading.opened(models), settings, progress)
    )
