"""Commands that make run files, or read them."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from rankscope.cli.options import (
    COMPARED,
    MEASURED,
    AsCsv,
    AsHtml,
    AsJson,
    AsLatex,
    Collection,
    Depth,
    DropOwn,
    Language,
    Level,
    Measures,
    Out,
    QrelsOption,
    Revision,
    RunFiles,
    Split,
    Written,
    names_in,
)
from rankscope.cli.printing import form_of, print_json, print_note, print_notes, print_text, say
from rankscope.cli.program import app
from rankscope.core.errors import BadInput

if TYPE_CHECKING:
    from rankscope.data.conventions import Convention


@app.command()
def search(
    model: Annotated[str, typer.Argument(help="bm25, or a bi-encoder: folder or hub id.")],
    collection: Collection,
    out: Out,
    split: Split = "test",
    depth: Depth = 100,
    revision: Revision = None,
    language: Language = None,
) -> None:
    """Search a collection for its judged queries and write the run."""
    from rankscope.data import collections
    from rankscope.models.location import located
    from rankscope.retrieve.analyzer import ENGLISH
    from rankscope.terminal import progress
    from rankscope.verbs import search

    if language is not None and model != "bm25":
        raise BadInput(f"--language is for bm25, and {model} has words of its own. Drop it.")
    source = collections.source(collection, split)
    where = None if model == "bm25" else located(model, revision=revision)
    written = search.search(
        where,
        source,
        depth=depth,
        out=out,
        progress=progress(),
        tell=print_note,
        language=language or ENGLISH,
    )
    say(f"{out}: {len(written.rankings)} queries by {written.tag}.")


@app.command()
def rerank(
    model: Annotated[str, typer.Argument(help="A cross-encoder or bi-encoder: folder or hub id.")],
    collection: Collection,
    run_file: Annotated[Path, typer.Option("--run", help="The run to re-rank.")],
    out: Out,
    split: Split = "test",
    depth: Depth = 100,
    revision: Revision = None,
) -> None:
    """Re-rank the top of a run; the docs below keep their order."""
    from rankscope.data import collections
    from rankscope.models.location import located
    from rankscope.terminal import progress
    from rankscope.verbs import search

    source = collections.source(collection, split)
    where = located(model, revision=revision)
    written = search.rerank(
        where, source, run_file, depth=depth, out=out, progress=progress(), tell=print_note
    )
    say(f"{out}: {len(written.rankings)} queries by {written.tag}.")


# -- measured -------------------------------------------------------------------------------------


class _Reading(TypedDict):
    relevance_level: int | None
    drop_own_docs: bool


def _reading(level: int | None, drop: bool | None, usual: "Convention") -> _Reading:
    """What the user said, else what the field does on this collection."""
    usual_level = usual.relevance_level if usual.relevance_level > 1 else None
    return {
        "relevance_level": level or usual_level,
        "drop_own_docs": usual.drop_own_docs if drop is None else drop,
    }


@app.command()
def evaluate(
    runs: RunFiles,
    qrels: QrelsOption,
    split: Split = "test",
    measures: Measures = MEASURED,
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    per_query: Annotated[
        bool, typer.Option("--per-query", help="A row for each query, not only the means.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    as_html: AsHtml = False,
    out: Written = None,
) -> None:
    """Measure run files against judgements; count ties, missing and unjudged queries."""
    from rankscope import terminal
    from rankscope.cli import arguments
    from rankscope.evaluate.evaluation import measure
    from rankscope.verbs import compare, judgements, page

    form = form_of(out, json=as_json, csv=as_csv, latex=as_latex, html=as_html)
    judged = judgements.judged(qrels, split)
    reading = _reading(relevance_level, drop_own_docs, judged.convention)
    judged = judged.read_as(**reading)
    found = measure(
        arguments.named_runs(runs),
        judged.qrels,
        names_in(measures),
        processes=arguments.processes(runs),
        **reading,
    )
    columns, rows = terminal.means_rows(found, per_query=per_query)
    if form == "json":
        print_text(json.dumps(compare.as_json(found), allow_nan=False), out)
    elif form == "html":
        print_text(page.page_of_means(found, judged, command=_command()), out)
    elif form == "csv":
        full = terminal.means_rows(found, per_query=per_query, digits=None)
        from rankscope.report.tables.as_csv import plain_csv

        print_text(plain_csv(*full), out)
    elif form == "latex":
        from rankscope.report.tables.as_latex import plain_tex

        print_text(plain_tex(columns, rows), out)
    else:
        terminal.show_table(f"{judged.name}, {found.n_queries} queries", columns, rows)
    print_notes([*found.notes, *(f"{run.tag}: {note}" for run in found.runs for note in run.notes)])


def _command() -> str:
    return shlex.join(["rankscope", *sys.argv[1:]])


@app.command()
def compare(
    runs: RunFiles,
    qrels: QrelsOption,
    split: Split = "test",
    measures: Measures = COMPARED,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline", help="A system all are compared with; may be repeated. Else all pairs."
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="The difference below which two systems are equivalent: nDCG@10=0.02, or nDCG@10=5% of the "
            "baseline's mean; may be repeated.",
        ),
    ] = None,
    correction: Annotated[
        str, typer.Option("--correction", help="holm, benjamini_hochberg, bonferroni or none.")
    ] = "holm",
    level: Annotated[
        float,
        typer.Option("--level", min=1e-6, max=0.5, help="Significance level of the whole family."),
    ] = 0.05,
    family_size: Annotated[
        int | None,
        typer.Option(
            "--family-size", min=1, help="Comparisons declared beforehand, if more than are made."
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            "--groups", help="File of `query_id group`: queries that may depend on each other."
        ),
    ] = None,
    lineage: Annotated[
        list[str] | None,
        typer.Option(
            "--lineage",
            help="C,C-D,C-C: a system of several runs, and those whose k-th runs were tuned from its k-th run in one "
            "stage, so that they are paired by seed; may be repeated.",
        ),
    ] = None,
    tests: Annotated[
        str, typer.Option("--tests", help="sound, or as_published (study B's, uncorrected).")
    ] = "sound",
    resamples: Annotated[
        int,
        typer.Option("--resamples", min=0, help="Of bootstrap and randomisation test; 0: neither."),
    ] = 9_999,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the resamples.")] = 0,
    first_stage: Annotated[
        str | None,
        typer.Option(
            "--first-stage", help="The system whose docs the others re-rank, for the page."
        ),
    ] = None,
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_latex: AsLatex = False,
    as_html: AsHtml = False,
    out: Written = None,
) -> None:
    """Compare run files: differences, intervals, tests over the whole family, and verdicts."""
    from rankscope import terminal
    from rankscope.cli import arguments
    from rankscope.core.errors import choose
    from rankscope.evaluate import comparing
    from rankscope.verbs import compare, judgements, page

    form = form_of(out, json=as_json, csv=as_csv, latex=as_latex, html=as_html)
    judged = judgements.judged(qrels, split)
    terms: comparing.Terms = {
        "correction": correction,
        "significance_level": level,
        "tests": tests,
        "resamples": resamples,
        "seed": seed,
        "lineages": [names.split(",") for names in lineage or ()],
    }
    reading = _reading(relevance_level, drop_own_docs, judged.convention)
    judged = judged.read_as(**reading)
    if family_size is not None:
        terms["family_size"] = family_size
    if groups is not None:
        terms["groups"] = arguments.read_groups(groups)
    found = comparing.compare(
        arguments.named_runs(runs),
        judged.qrels,
        names_in(measures),
        baseline=baseline or None,
        margin=arguments.table_of_margins(margin or ()),
        processes=arguments.processes(runs),
        **terms,
        **reading,
    )
    if first_stage is not None:
        choose(found.evaluation.systems(), first_stage, what="first stage")
    measured = found.evaluation
    if form == "json":
        print_text(json.dumps(compare.as_json(measured, found), allow_nan=False), out)
    elif form == "html":
        whole = page.page(found, judged, command=_command(), first_stage=first_stage)
        print_text(whole, out)
    elif form == "csv":
        print_text(page.comparisons_csv(found, judged), out)
    elif form == "latex":
        print_text(page.latex(found, judged), out)
    else:
        title = f"{judged.name}, {measured.n_queries} queries"
        terminal.show_table(title, *terminal.systems_rows(found))
        terminal.show_table("", *terminal.comparison_rows(found), n_names=2)
        say("\n".join([terminal.caption(found), *terminal.unseen(found)]))
    notes = [f"{run.tag}: {note}" for run in measured.runs for note in run.notes]
    print_notes([*measured.notes, *found.notes, *page.seed_notes(found), *notes])


@app.command()
def reproduce(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="The run that reproduces; several are those of one system's training seeds, for --published.",
            show_default=False,
        ),
    ],
    qrels: QrelsOption,
    split: Split = "test",
    original: Annotated[
        Path | None, typer.Option("--original", help="The run that it reproduces.")
    ] = None,
    published: Annotated[
        list[str] | None,
        typer.Option(
            "--published",
            help="A published mean on these queries with the digits it has, nDCG@10=0.7234; may be repeated.",
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
        typer.Option("--baseline", help="This study's run of the baseline, for the gain."),
    ] = None,
    original_baseline: Annotated[
        Path | None, typer.Option("--original-baseline", help="The original's run of the baseline.")
    ] = None,
    measures: Measures = COMPARED,
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="Docs whose order is compared.")
    ] = 100,
    relevance_level: Level = None,
    drop_own_docs: DropOwn = None,
    as_json: AsJson = False,
) -> None:
    """Hold a run against the one it reproduces, or against means published on the same queries."""
    from rankscope import terminal
    from rankscope.cli import arguments
    from rankscope.verbs import judgements, reproduce

    if (baseline is None) != (original_baseline is None):
        raise BadInput(
            "A gain needs both runs of the baseline: --baseline and --original-baseline."
        )
    baselines = (baseline, original_baseline) if baseline and original_baseline else None
    judged = judgements.judged(qrels, split)
    judged = judged.read_as(**_reading(relevance_level, drop_own_docs, judged.convention))
    found = reproduce.reproduce(
        runs,
        judged,
        names_in(measures),
        original=original,
        baselines=baselines,
        published=reproduce.Published(
            arguments.table_of_numbers(published or ()), arguments.table_of_margins(margin or ())
        ),
        depth=depth,
    )
    if as_json:
        print_json(reproduce.reproduced_as_json(found))
    else:
        terminal.show_table("", *terminal.reproduction_rows(found))
    print_notes(list(found.notes))


@app.command()
def pool(
    cells: Annotated[
        Path,
        typer.Argument(
            metavar="CELLS",
            help="CSV of published means: test,first_stage,system,measure,mean, with the digits they have.",
            show_default=False,
        ),
    ],
    baseline: Annotated[str, typer.Option("--baseline", help="The system all are compared with.")],
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="The difference below which two systems are equivalent: nDCG@10=0.02, or nDCG@10=5% of the "
            "baseline's mean; may be repeated.",
        ),
    ] = None,
    correction: Annotated[
        str, typer.Option("--correction", help="holm, benjamini_hochberg, bonferroni or none.")
    ] = "holm",
    level: Annotated[
        float,
        typer.Option("--level", min=1e-6, max=0.5, help="Significance level of the whole family."),
    ] = 0.05,
    family_size: Annotated[
        int | None,
        typer.Option(
            "--family-size", min=1, help="Comparisons declared beforehand, if more than are made."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """One verdict over several tests from published means, where nothing is known of single queries."""
    from rankscope import terminal
    from rankscope.cli import arguments
    from rankscope.core.judged.plain import as_plain
    from rankscope.report.pooled import table
    from rankscope.report.wording.verdicts import interval_name
    from rankscope.verbs import pool

    found = pool.pool(
        cells,
        pool.Asked(
            baseline=baseline,
            margins=arguments.table_of_margins(margin or ()),
            correction=correction,
            significance_level=level,
            family_size=family_size,
        ),
    )
    if as_json:
        print_json(as_plain(found))
        return
    interval = interval_name(level, correction).replace("\u00a0", " ")
    rows = table(found.pooled, interval=interval)
    terminal.show_table("Over all tests", *rows, n_names=3)
    print_notes(list(found.notes))


@app.command()
def convert(
    run: Annotated[Path, typer.Argument(help="A run file, in any form.", show_default=False)],
    out: Out,
    tag: Annotated[str | None, typer.Option("--tag", help="The run's tag; else its own.")] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            "--metadata", help="YAML that becomes the head of the file, as ir_metadata has it."
        ),
    ] = None,
) -> None:
    """Write a run as canonical TREC: sorted, ranks from 1, no ties."""
    from rankscope.verbs import convert

    written, notes = convert.convert(run, out, tag=tag, metadata=metadata)
    say(f"{out}: {len(written.rankings)} queries by {written.tag}.")
    print_notes(notes)


@app.command()
def teacher(
    file: Annotated[Path, typer.Argument(help="The teacher's file.", show_default=False)],
    out: Out,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="The docs it was shown, in their order: a run, or RankGPT's JSON lines. Needed where the "
            "file holds an LLM's answers; else for the report.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="permutations, run, kd, flag_embedding, tevatron or dpr; else by what the file holds.",
        ),
    ] = None,
    malformed: Annotated[
        str,
        typer.Option(
            "--malformed",
            help="An answer that is no order of the docs shown: repair, repair_as_published (as RankGPT: every number "
            "is an id), or drop (as study B).",
        ),
    ] = "repair",
    window: Annotated[
        int,
        typer.Option(
            "--window", min=1, help="Docs shown at once, where the answers do not say which."
        ),
    ] = 20,
    step: Annotated[
        int, typer.Option("--step", min=1, help="Docs by which such a window moves up.")
    ] = 10,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout or an ir_datasets id: looks texts up, and checks ids.",
        ),
    ] = None,
    qrels: Annotated[
        str | None,
        typer.Option(
            "--qrels", help="Judgements the order is held against: a file, a folder or an id."
        ),
    ] = None,
    split: Split = "test",
    tag: Annotated[
        str | None, typer.Option("--tag", help="The run's tag; else its own, else the file's name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a run of a teacher's file, and say how good the teacher is."""
    from rankscope import terminal
    from rankscope.data import collections
    from rankscope.verbs import judgements, teacher

    asked = teacher.Asked(
        kind=form,
        candidates=candidates,
        collection=None if collection is None else collections.source(collection, split),
        malformed=teacher.known_malformed(malformed),
        window=window,
        step=step,
        tag=tag,
    )
    judged = None if qrels is None else judgements.judged(qrels, split).qrels
    run, found = teacher.to_run(file, out, asked, judged)
    notes = found.pop("notes", [])
    if as_json:
        print_json(found | {"notes": notes})
    else:
        terminal.show_table(f"{file.name}", *terminal.teacher_rows(found))
        say(f"{out}: {len(run.rankings)} queries by {run.tag}.")
    print_notes(notes)
