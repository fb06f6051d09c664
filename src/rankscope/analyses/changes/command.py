"""The command `rankscope diff`."""

from typing import Annotated

import typer

from rankscope.core.judged.margins import DEFAULT_MARGIN
from rankscope.options import (
    FIRST_STAGE,
    STATISTICS,
    Collection,
    Language,
    ModelReading,
    Output,
    Seed,
    Shown,
    above_zero,
)


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
            metavar="AFTER",
            help="A ranker of the same lineage, e.g. tuned from BEFORE.",
            show_default=False,
        ),
    ],
    collection: Collection,
    reading: ModelReading,
    output: Output,
    queries: Annotated[
        int, typer.Option("--queries", min=2, help="Most judged queries that are drawn.")
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
            "--texts",
            min=20,
            help="Most texts whose states are compared: of queries and docs, or pairs.",
        ),
    ] = 500,
    neighbours: Annotated[
        int,
        typer.Option("--neighbours", min=1, help="Nearest neighbours of a text that are compared."),
    ] = 10,
    heads: Annotated[
        bool,
        typer.Option(
            "--heads", help="Also refit heads on both encoders: does a loss lie in encoder or head?"
        ),
    ] = False,
    train_collection: Annotated[
        str | None,
        typer.Option(
            "--train-collection",
            help="The collection whose queries heads are fitted on, over the same docs; --collection, if left out.",
        ),
    ] = None,
    train_split: Annotated[
        str, typer.Option("--train-split", help="Which qrels heads are fitted on.")
    ] = "train",
    measure: Annotated[
        str,
        typer.Option("--measure", "-m", help="Measure of the heads' runs, as `evaluate` reads it."),
    ] = "nDCG@10",
    margin: Annotated[
        float,
        typer.Option(
            "--margin",
            callback=above_zero,
            help="The difference in the measure below which two runs are equivalent.",
            rich_help_panel=STATISTICS,
        ),
    ] = DEFAULT_MARGIN,
    seed: Seed = 42,
) -> Shown:
    """Show what changed between two rankers, layer by layer: weights, states, neighbours, rankings."""
    from rankscope.analyses.changes import answer as changes

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
    return Shown(
        output,
        lambda progress: changes.answer(
            [before, after],
            settings,
            revision=reading.revision,
            pooling=reading.pooling,
            progress=progress,
        ),
    )
