"""Commands that make or read run files."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import arguments, printing
from rankscope.cli.options import (
    COMPARED,
    MEASURED,
    Bm25Parameters,
    Family,
    Judging,
    Measures,
    ModelScoring,
    Out,
    OutputOrPage,
    RunFiles,
    TableOrJson,
)
from rankscope.cli.program import command
from rankscope.options import (
    FIRST_STAGE,
    OUTPUT,
    STATISTICS,
    TABLE,
    Bm25Options,
    Collection,
    Depth,
)


@command()
def search(
    model: Annotated[str, typer.Argument(help="bm25, or a bi-encoder: folder or hub id.")],
    collection: Collection,
    out: Out,
    first_stage: Bm25Options,
    weights: Bm25Parameters,
    scoring: ModelScoring,
) -> None:
    """Search a collection for its judged queries and write the run.

    What made it stands beside it, in RUN.ir_metadata.yml.
    """
    from rankscope.terminal import progress
    from rankscope.verbs import search

    settings = search.SearchSettings(
        model,
        collection.source,
        out,
        depth=first_stage.depth,
        language=first_stage.language,
        weights=search.Bm25Weights(weights.k1, weights.b),
        revision=scoring.revision,
        how=scoring.how,
        collection=f"{collection.collection}/{collection.split}",
        command=arguments.typed(),
    )
    result = search.search(settings, progress(), tell=printing.print_note)
    printing.show(TABLE, None, result)


@command()
def rerank(
    model: Annotated[str, typer.Argument(help="A cross-encoder or bi-encoder: folder or hub id.")],
    collection: Collection,
    run_file: Annotated[
        Path, typer.Option("--run", help="The run to re-rank.", rich_help_panel=FIRST_STAGE)
    ],
    out: Out,
    scoring: ModelScoring,
    depth: Depth = 100,
) -> None:
    """Re-rank the top of a run; the docs below keep their order.

    What made it stands beside it, in RUN.ir_metadata.yml.
    """
    from rankscope.terminal import progress
    from rankscope.verbs import rerank

    settings = rerank.RerankSettings(
        model,
        collection.source,
        run_file,
        out,
        depth=depth,
        revision=scoring.revision,
        how=scoring.how,
        collection=f"{collection.collection}/{collection.split}",
        command=arguments.typed(),
    )
    result = rerank.rerank(settings, progress(), tell=printing.print_note)
    printing.show(TABLE, None, result)


@command()
def evaluate(
    runs: RunFiles,
    judging: Judging,
    output: OutputOrPage,
    measures: Measures = MEASURED,
    per_query: Annotated[
        bool, typer.Option("--per-query", help="A row for each query, not only the means.")
    ] = False,
) -> None:
    """Measure run files against judgements; count ties, missing and unjudged queries."""
    from rankscope.terminal import progress
    from rankscope.verbs import evaluate

    judged = judging.judgements()
    settings = evaluate.EvaluateSettings(
        arguments.named_runs(runs),
        measures,
        per_query=per_query,
        processes=arguments.processes(runs),
        command=arguments.typed(),
    )
    printing.show(output.form, output.out, evaluate.answer(judged, settings, progress()))


@command()
def compare(
    runs: RunFiles,
    judging: Judging,
    family: Family,
    output: OutputOrPage,
    measures: Measures = COMPARED,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline",
            help="A system that all are compared with; may be repeated. All pairs, if left out.",
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups",
            help="File with lines `query_id group`; queries of one group may depend on each other.",
            rich_help_panel=STATISTICS,
        ),
    ] = None,
    lineage: Annotated[
        list[str] | None,
        typer.Option(
            "--lineage",
            help="C,C-D,C-C: a system of several runs, and systems whose k-th runs were tuned from its k-th run in one "
            "stage, so that their runs are paired by seed; may be repeated.",
            rich_help_panel=STATISTICS,
        ),
    ] = None,
    tests: Annotated[
        str,
        typer.Option(
            "--tests",
            help="sound, or as_published (study B's, uncorrected).",
            rich_help_panel=STATISTICS,
        ),
    ] = "sound",
    resamples: Annotated[
        int,
        typer.Option(
            "--resamples",
            min=0,
            help="Resamples of the bootstrap and the randomisation test (0 turns both off).",
            rich_help_panel=STATISTICS,
        ),
    ] = 9_999,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, help="Seed of the resamples.", rich_help_panel=STATISTICS),
    ] = 0,
    first_stage: Annotated[
        str | None,
        typer.Option(
            "--first-stage",
            help="The system whose docs the others re-rank, for the page.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Compare run files: differences, intervals, tests over the whole family, and verdicts."""
    from rankscope.terminal import progress
    from rankscope.verbs import compare

    judged = judging.judgements()
    settings = compare.CompareSettings(
        runs=arguments.named_runs(runs),
        measures=measures,
        baselines=baseline or (),
        margins=family.margins,
        terms={
            **family.terms,
            **arguments.groups_in(groups),
            "tests": tests,
            "resamples": resamples,
            "seed": seed,
            "lineages": [names.split(",") for names in lineage or ()],
            "progress": progress(),
        },
        first_stage=first_stage,
        processes=arguments.processes(runs),
        command=arguments.typed(),
    )
    printing.show(output.form, output.out, compare.answer(judged, settings))


@command()
def reproduce(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="The run that reproduces; for --published, several runs are one system's training seeds.",
            show_default=False,
        ),
    ],
    judging: Judging,
    output: TableOrJson,
    original: Annotated[
        Path | None, typer.Option("--original", help="The run that is reproduced.")
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(
            "--published",
            help="A published mean on these queries with its published digits, nDCG@10=0.7234; may be repeated.",
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="A difference from a published mean that matters, nDCG@10=0.02 or nDCG@10=5%; may be repeated.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", help="Your own run of the baseline, for the gain."),
    ] = None,
    original_baseline: Annotated[
        Path | None, typer.Option("--original-baseline", help="The original run of the baseline.")
    ] = None,
    measures: Measures = COMPARED,
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="Docs whose order is compared.")
    ] = 100,
) -> None:
    """Compare a run with the one it reproduces, or with means published on the same queries."""
    from rankscope.verbs import reproduce

    settings = reproduce.ReproduceSettings(
        runs,
        measures,
        original=original,
        baselines=reproduce.both_or_neither(baseline, original_baseline),
        published=reproduce.PublishedMeans(
            arguments.table_of_numbers(published or ()), arguments.table_of_margins(margin or ())
        ),
        depth=depth,
    )
    printing.show(output.form, None, reproduce.answer(judging.judgements(), settings))


@command()
def pool(
    cells: Annotated[
        Path,
        typer.Argument(
            metavar="CELLS",
            help="CSV of published means: test,first_stage,system,measure,mean, with their published digits.",
            show_default=False,
        ),
    ],
    baseline: Annotated[
        str, typer.Option("--baseline", help="The system that all are compared with.")
    ],
    family: Family,
    output: TableOrJson,
) -> None:
    """Judge systems over several tests from published means, without values for single queries."""
    from rankscope.verbs import pool

    settings = pool.PoolSettings(baseline=baseline, margins=family.margins, **family.terms)
    printing.show(output.form, None, pool.answer(cells, settings))


@command()
def convert(
    run: Annotated[Path, typer.Argument(help="A run file, in any form.", show_default=False)],
    out: Out,
    tag: Annotated[
        str | None, typer.Option("--tag", help="The new tag; the run's own, if left out.")
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata",
            help="YAML file in ir_metadata's format, which is written beside the run as RUN.ir_metadata.yml.",
        ),
    ] = None,
) -> None:
    """Write a run as canonical TREC, or as JSON where --out ends in .json: sorted, ranks from 1, no ties."""
    from rankscope.verbs import convert

    result = convert.answer(run, out, tag=tag, metadata=metadata)
    printing.show(TABLE, None, result)
