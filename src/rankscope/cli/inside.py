"""Commands that look inside models."""

from typing import Annotated

import typer

from rankscope.cli import printing
from rankscope.cli.options import (
    FIRST_STAGE,
    STATISTICS,
    BaselineModels,
    Collection,
    FirstStage,
    Language,
    ModelReading,
    Models,
    Output,
    Seed,
    above_zero,
    source,
)
from rankscope.cli.program import command
from rankscope.core.judged.margins import DEFAULT_MARGIN

SEED = 42
"""Of the examples of probes, and of what they are held against."""


@command()
def probe(
    models: Models,
    collection: Collection,
    first_stage: FirstStage,
    reading: ModelReading,
    output: Output,
    baseline: BaselineModels = None,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection",
            help="Whose queries the probes are trained on, if others'; same docs.",
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels the probes are trained on.")
    ] = "train",
    at_random: Annotated[
        bool,
        typer.Option("--random", help="Also the first model's architecture with random weights."),
    ] = False,
    mlp: Annotated[
        bool, typer.Option("--mlp", help="Also a small MLP, as an upper bound.")
    ] = False,
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Study A's linear probe and test, with a control."),
    ] = False,
    candidates: Annotated[
        str, typer.Option("--candidates", help="Docs among which the relevant one is to be found.")
    ] = "2 3 4 5",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of every probe.")] = 3,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the bilinear form.")] = 32,
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in accuracy below which layers are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
) -> None:
    """Probe what each layer of rankers knows of relevance, with controls and verdicts."""
    from rankscope.analyses.probes import answer as probes
    from rankscope.terminal import progress

    learnt_from = train_collection or collection.collection
    choices, params = probes.params_of(
        learnt_from,
        collection.collection,
        first_stage.depth,
        candidates=candidates,
        mlp=mlp,
        as_published=as_published,
        fits=seeds,
        rank=rank,
        margin=margin,
    )
    settings = probes.ProbeSettings(
        train=source(learnt_from, train_split),
        test=collection.source,
        choices=choices,
        probes=params,
        at_random=at_random,
        baselines=baseline or (),
        language=first_stage.language,
    )
    result = probes.answer(reading.opened(models), settings, progress())
    printing.show(output.form, output.out, result)


@command()
def diff(
    before: Annotated[
        str,
        typer.Argument(
            metavar="BEFORE",
            help="A ranker: a folder or hub id; NAME=MODEL names it.",
            show_default=False,
        ),
    ],
    after: Annotated[
        str,
        typer.Argument(
            metavar="AFTER", help="One of the same lineage, as tuned from it.", show_default=False
        ),
    ],
    collection: Collection,
    reading: ModelReading,
    output: Output,
    queries: Annotated[
        int, typer.Option("--queries", min=2, help="Judged queries drawn at most.")
    ] = 100,
    depth: Annotated[
        int,
        typer.Option(
            "--depth", min=2, help="Docs of BM25 that both re-rank.", rich_help_panel=FIRST_STAGE
        ),
    ] = 20,
    language: Language = None,
    texts: Annotated[
        int,
        typer.Option(
            "--texts", min=20, help="States compared at most: of queries and docs, or pairs."
        ),
    ] = 500,
    neighbours: Annotated[
        int, typer.Option("--neighbours", min=1, help="Nearest texts that may be shared.")
    ] = 10,
    heads: Annotated[
        bool,
        typer.Option("--heads", help="Also fit heads anew on both encoders: who lost what."),
    ] = False,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection", help="Whose queries heads are fitted on, if others'; same docs."
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels heads are fitted on.")
    ] = "train",
    measure: Annotated[
        str, typer.Option("--measure", help="Of the heads' runs; a name of ir_measures.")
    ] = "nDCG@10",
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in it below which two are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
    seed: Seed = 42,
) -> None:
    """Show what moved between two rankers, layer by layer: weights, states, neighbours, rankings."""
    from rankscope.analyses.changes import answer as changes
    from rankscope.terminal import progress

    settings = changes.DiffSettings(
        collection.collection,
        collection.split,
        train_collection=train_collection,
        train_split=train_split,
        queries=queries,
        depth=depth,
        texts=texts,
        neighbours=neighbours,
        heads=heads,
        measure=measure,
        margin=margin,
        language=language,
        seed=seed,
    )
    result = changes.answer(
        [before, after],
        settings,
        revision=reading.revision,
        pooling=reading.pooling,
        progress=progress(),
    )
    printing.show(output.form, output.out, result)


@command()
def attribute(
    models: Models,
    collection: Collection,
    first_stage: FirstStage,
    reading: ModelReading,
    output: Output,
    baseline: BaselineModels = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Study A's target and sums, with warnings.")
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
        typer.Option(help="Whether to switch neurons off, as a check (yes, if left out)."),
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
            help="The difference in Gini coefficients below which two are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
    memory: Annotated[
        float, typer.Option("--memory", min=0.01, help="Gigabytes for gradients.")
    ] = 2.0,
    seed: Seed = 42,
) -> None:
    """Show through which neurons rankers prefer a relevant doc, with what the numbers miss."""
    from rankscope.analyses.attribution import answer as attribution
    from rankscope.terminal import progress

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
    )
    result = attribution.answer(reading.opened(models), settings, progress())
    printing.show(output.form, output.out, result)
