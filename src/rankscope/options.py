"""Options that commands have in common, and the groups in which they are given. `cli` and analyses import it.

A group is a frozen dataclass whose fields are options; a command takes it as one parameter
(`cli.program.command`), and `--help` lists it under its heading.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from rankscope.core.errors import BadInput, choose
from rankscope.core.progress import Progress
from rankscope.core.result import Result

if TYPE_CHECKING:
    from rankscope.data.collections import Source
    from rankscope.models.bi_encoder import BiEncoder
    from rankscope.models.cross_encoder import CrossEncoder

OUTPUT, COLLECTION, FIRST_STAGE, MODEL = "Output", "Collection", "First stage", "Model"
STATISTICS = "Statistics"
"""Headings of `--help`."""

Depth = Annotated[
    int,
    typer.Option("--depth", min=1, help="Docs for each query.", rich_help_panel=FIRST_STAGE),
]
Split = Annotated[
    str, typer.Option("--split", help="Which qrels of a folder.", rich_help_panel=COLLECTION)
]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Rankers of one kind: folders or hub ids; NAME=MODEL names one.",
    ),
]
BaselineModels = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        help="A model that all are compared with; may be repeated. The first, if left out.",
        rich_help_panel=MODEL,
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that is drawn.")]


def above_zero(value: float) -> float:
    """The margin, if above 0: no two systems are equivalent within a width of 0."""
    if not value > 0:
        raise typer.BadParameter("give a number above 0.")
    return value


def _known_language(name: str | None) -> str | None:
    """The language, if BM25's analyzer has it; raises UnknownChoice before anything is read."""
    from rankscope.retrieve.analyzer import LANGUAGES

    if name is not None:
        choose(LANGUAGES, name, what="language")
    return name


Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        callback=_known_language,
        help="Language of BM25's analyzer: english (if left out), another for which PyStemmer has a stemmer, such as "
        "hindi, or none.",
        rich_help_panel=FIRST_STAGE,
    ),
]

# -- forms ----------------------------------------------------------------------------------------

TABLE, WIDE = "table", "wide"
"""The forms for a terminal, which every result has: the second with all columns, however narrow it is."""

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for a script.", rich_help_panel=OUTPUT)
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.", rich_help_panel=OUTPUT)]
AsLatex = Annotated[
    bool,
    typer.Option("--latex", help="Print a LaTeX table (booktabs).", rich_help_panel=OUTPUT),
]
InFull = Annotated[
    bool,
    typer.Option(
        "--wide",
        help="Show all columns of tables, those too that the terminal has no room for.",
        rich_help_panel=OUTPUT,
    ),
]
Written = Annotated[
    Path | None,
    typer.Option("--out", help="Write to this file, not to the terminal.", rich_help_panel=OUTPUT),
]


def form_of(out: Path | None, **choices: bool) -> str:
    """The one form that the options choose; the table, which is for the terminal only, if they choose none."""
    forms = [name for name, wanted in choices.items() if wanted]
    if len(forms) > 1:
        raise BadInput(f"Give one form at a time: --{' or --'.join(forms)}, not both.")
    if out is not None and (not forms or forms == [WIDE]):
        files = [name for name in choices if name != WIDE]
        raise BadInput(f"{out}: the form is missing. Give --{', --'.join(files)} beside --out.")
    return forms[0] if forms else TABLE


@dataclass(frozen=True)
class Output:
    """The form in which a result is written, and the file. Raises BadInput before any work for several forms."""

    json: AsJson = False
    csv: AsCsv = False
    latex: AsLatex = False
    wide: InFull = False
    out: Written = None

    def __post_init__(self) -> None:
        _ = self.form  # refused here, before any work

    @property
    def form(self) -> str:
        """The one form of the options."""
        return form_of(self.out, json=self.json, csv=self.csv, latex=self.latex, wide=self.wide)


class Shown(NamedTuple):
    """What a command shows: the form in which it is asked for, and what works it out while a terminal watches."""

    output: Output
    answer: Callable[[Progress], Result]


# -- what is read -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collection:
    """A collection by its name, with the split of its judgements."""

    collection: Annotated[
        str,
        typer.Option(
            "--collection",
            help="A folder in BEIR layout, public:NAME of `rankscope data`, or an ir_datasets id.",
            rich_help_panel=COLLECTION,
        ),
    ]
    split: Split = "test"

    @property
    def source(self) -> "Source":
        """The source of its docs, queries and judgements."""
        return source(self.collection, self.split)


def source(collection: str, split: str, *, option: str = "--split") -> "Source":
    """The source of a folder in BEIR layout, or of an ir_datasets id where there is no such folder."""
    from rankscope.data import collections

    return collections.source(collection, split, option=option)


@dataclass(frozen=True)
class Bm25Options:
    """How BM25 ranks the docs that are re-ranked or serve as negatives."""

    depth: Depth = 100
    language: Language = None


Revision = Annotated[
    str | None,
    typer.Option("--revision", help="Revision of a model on the hub.", rich_help_panel=MODEL),
]


@dataclass(frozen=True)
class ModelReading:
    """How to read models whose files leave something open."""

    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling", help="Pooling of bare encoders: cls, mean or last.", rich_help_panel=MODEL
        ),
    ] = None
    revision: Revision = None

    def opened(self, models: Sequence[str]) -> "dict[str, BiEncoder | CrossEncoder]":
        """The rankers by name, all of one kind."""
        from rankscope.models import opening

        return opening.opened(models, revision=self.revision, pooling=self.pooling)
