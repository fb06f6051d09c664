"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.core.errors import choose

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to the study file, such as seed=7 or rankers.C.max_updates=100."),
]
Results = Annotated[Path, typer.Option("--results", help="Where results are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
Retry = Annotated[bool, typer.Option("--retry", help="Compute damaged results anew.")]
Collection = Annotated[
    str, typer.Option("--collection", help="A folder in BEIR layout, or an ir_datasets id.")
]
Split = Annotated[str, typer.Option("--split", help="Which qrels of a folder.")]
Depth = Annotated[int, typer.Option("--depth", min=1, help="Docs for each query.")]
Revision = Annotated[str | None, typer.Option("--revision", help="Of a hub's model.")]
Out = Annotated[Path, typer.Option("--out", help="The run file to write (.gz packs it).")]
RunFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Run files, in any form; NAME=RUN names a system, NAME=RUN,RUN gives the runs of its "
        "training seeds.",
        show_default=False,
    ),
]
QrelsOption = Annotated[
    str,
    typer.Option("--qrels", help="A qrels file, a folder in BEIR layout, or an ir_datasets id."),
]
Measures = Annotated[
    list[str],
    typer.Option("--measures", help="Names of ir_measures, separated by spaces; may be repeated."),
]
Level = Annotated[
    int | None,
    typer.Option(
        "--relevance-level",
        min=1,
        help="Lowest grade that counts as relevant in binary measures whose names do not say; 2 for TREC's "
        "passage tracks by their ids, else 1.",
    ),
]
DropOwn = Annotated[
    bool | None,
    typer.Option(
        "--drop-own-docs/--keep-own-docs",
        help="Whether docs with their query's id are left out; ArguAna and Quora by their ids: yes.",
    ),
]
Written = Annotated[
    Path | None, typer.Option("--out", help="Write to this file, not to the terminal.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print a LaTeX table (booktabs).")]
AsHtml = Annotated[bool, typer.Option("--html", help="Print a self-contained page; use --out.")]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Rankers of one kind: folders or hub ids; NAME=MODEL names one.",
    ),
]


def _known_language(name: str | None) -> str | None:
    """UnknownChoice for one that BM25's analyzer does not have, before anything is read."""
    from rankscope.retrieve.analyzer import LANGUAGES

    if name is not None:
        choose(LANGUAGES, name, what="language")
    return name


Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        callback=_known_language,
        help="Of BM25's words: english (if nothing is said), another that PyStemmer has a stemmer for, such as "
        "hindi, or none.",
    ),
]
PoolingOfBare = Annotated[
    str | None, typer.Option("--pooling", help="Of bare encoders: cls, mean or last.")
]


def above_zero(value: float) -> float:
    """A margin: two systems can be equivalent within a width only."""
    if not value > 0:
        raise typer.BadParameter("give a number above 0.")
    return value


BaselineModels = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline", help="A model all are compared with; may be repeated. Else the first."
    ),
]


MEASURED, COMPARED = ["nDCG@10 RR@10 AP R@100 Judged@10"], ["nDCG@10"]
"""What is measured, and what is compared, where nothing is asked for."""


def names_in(given: list[str]) -> list[str]:
    """The names of all `--measures`."""
    return " ".join(given).split()
