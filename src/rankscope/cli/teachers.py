"""The commands `rankscope teacher ...`: read a teacher's file, ask an LLM, write its prompts, take its answers."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli import arguments, printing
from rankscope.cli.options import JUDGEMENTS, Out, TableOrJson
from rankscope.cli.program import command, group
from rankscope.cli.teacher_options import (
    AskedDocs,
    AskedModel,
    Ordering,
    Paying,
    Priced,
    Prompting,
    Serving,
    about_of,
    choices_of,
)
from rankscope.options import Split, source

group("teacher", "Rankings of a teacher: read from files, or asked of an LLM.")

Answers = Annotated[
    Path,
    typer.Option(
        "--out",
        help="The file of answers (JSON lines): begun, or gone on with. `teacher read` makes a run of it.",
    ),
]
Requests = Annotated[
    Path, typer.Option("--requests", help="The file of the next requests, for a batch.")
]


@command(of="teacher")
def read(
    file: Annotated[Path, typer.Argument(help="The teacher's file.", show_default=False)],
    out: Out,
    output: TableOrJson,
    priced: Priced,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            help="The docs that the teacher was shown, in their order: a run, or RankGPT's JSON lines. An LLM's answers "
            "need it; for other files it adds to the report.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="permutations, run, kd, flag_embedding, tevatron or dpr; recognised from the file, if left out.",
        ),
    ] = None,
    malformed: Annotated[
        str,
        typer.Option(
            "--malformed",
            help="What to do with an answer that is no order of the docs shown: repair, repair_as_published (as RankGPT: every "
            "number is an id), or drop (as study B).",
        ),
    ] = "repair",
    window: Annotated[
        int,
        typer.Option(
            "--window",
            min=1,
            help="Docs shown at once, where the answers do not say which they were.",
        ),
    ] = 20,
    step: Annotated[
        int, typer.Option("--step", min=1, help="Number of docs by which such a window moves up.")
    ] = 10,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout or an ir_datasets id, in which texts are looked up and ids checked.",
        ),
    ] = None,
    qrels: Annotated[
        str | None,
        typer.Option(
            "--qrels",
            help="Judgements that the order is compared with: a file, a folder or an id.",
            rich_help_panel=JUDGEMENTS,
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            "--beside",
            help="Another teacher's run, for how far the two agree; may be repeated.",
        ),
    ] = None,
    split: Split = "test",
    tag: Annotated[
        str | None,
        typer.Option("--tag", help="The run's tag; the file's own tag or name, if left out."),
    ] = None,
) -> None:
    """Make a run from a teacher's file, and report how good the teacher is."""
    from rankscope.verbs import judgements, teacher

    settings = teacher.TeacherSettings(
        kind=form,
        candidates=candidates,
        collection=None if collection is None else source(collection, split),
        malformed=teacher.known_malformed(malformed),
        window=window,
        step=step,
        tag=tag,
        beside=tuple(beside or ()),
        prices=priced.prices,
        about=collection or "",
        command=arguments.typed(),
    )
    judged = None if qrels is None else judgements.judged(qrels, split)
    printing.show(output.form, None, teacher.answer(file, out, settings, judged))


@command(of="teacher")
def ask(
    model: AskedModel,
    asked: AskedDocs,
    prompting: Prompting,
    ordering: Ordering,
    serving: Serving,
    paying: Paying,
    out: Answers,
    output: TableOrJson,
) -> None:
    """Ask an LLM on a server for its ranking of each query's docs; the same command goes on where it stopped."""
    from rankscope.terminal import progress
    from rankscope.verbs.asking import ask

    choices, about = choices_of(model, asked, prompting, ordering), about_of(asked, prompting)
    settings = ask.AskSettings(choices, about, out, serving.served, paying.paid, paying.dry_run)
    printing.show(output.form, None, ask.ask(settings, progress()))


@command(of="teacher")
def prompts(
    model: AskedModel,
    asked: AskedDocs,
    prompting: Prompting,
    ordering: Ordering,
    out: Answers,
    requests: Requests,
    output: TableOrJson,
) -> None:
    """Write the next requests to an LLM as a batch, in the form of OpenAI's batch interface."""
    from rankscope.verbs.asking import batch

    choices, about = choices_of(model, asked, prompting, ordering), about_of(asked, prompting)
    result = batch.prompts(choices, about, batch.BatchFiles(out, requests))
    printing.show(output.form, None, result)


@command(of="teacher")
def answers(
    results: Annotated[Path, typer.Argument(help="The results of a batch.", show_default=False)],
    out: Answers,
    requests: Requests,
    priced: Priced,
    output: TableOrJson,
) -> None:
    """Take the results of a batch into the file of answers, and write the requests of the next one."""
    from rankscope.verbs.asking import batch

    result = batch.results(results, batch.BatchFiles(out, requests), priced.prices)
    printing.show(output.form, None, result)
