"""Options that several commands of `cli` have, and the groups in which they are given, beside those of `rankscope.options`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict

import typer

from rankscope.cli.arguments import table_of_margins
from rankscope.options import (
    FIRST_STAGE,
    MODEL,
    OUTPUT,
    STATISTICS,
    AsCsv,
    AsJson,
    AsLatex,
    InFull,
    Revision,
    Written,
    above_zero,
    form_of,
)

if TYPE_CHECKING:
    from rankscope.models.inference import Inference
    from rankscope.study.command import StudySettings
    from rankscope.verbs.judgements import Judgements

JUDGEMENTS = "Judgements"
"""A heading of `--help`."""

Results = Annotated[Path, typer.Option("--results", help="The folder of results.")]
Retry = Annotated[bool, typer.Option("--retry", help="Compute damaged results again.")]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        help="The run file to write (.gz packs it, .json makes it JSON).",
        rich_help_panel=OUTPUT,
    ),
]
Measures = Annotated[
    list[str],
    typer.Option(
        "--measures",
        "-m",
        help="Measures, separated by commas or spaces, by their names in ir_measures (nDCG@10), trec_eval (ndcg_cut_10) "
        "or MTEB (ndcg_at_10); may be repeated.",
    ),
]
RunFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Run files, in any form; NAME=RUN names a system, NAME=RUN,RUN gives the runs of its "
        "training seeds.",
        show_default=False,
    ),
]
MEASURED, COMPARED = ["nDCG@10 RR@10 AP R@100 Judged@10"], ["nDCG@10"]
"""The default measures of `evaluate`, and of `compare` and `reproduce`."""


# -- studies ---------------------------------------------------------------------------------------

RESULTS = Path("results")


@dataclass(frozen=True)
class StudyFile:
    """A study file with changes to it, and the folder of its results."""

    study: Annotated[
        Path,
        typer.Argument(
            help="The study file (YAML), or studies:NAME of `rankscope studies`.",
            show_default=False,
        ),
    ]
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Changes to the study file, such as seed=7 or rankers.C.max_updates=100."
        ),
    ] = None
    results: Results = RESULTS

    def settings(self, *, retry: bool = False, energy: bool = False) -> "StudySettings":
        """The settings of the commands that take a study file."""
        from rankscope.study.command import StudySettings
        from rankscope.study.starting.ready_made import located

        return StudySettings(
            located(self.study), self.overrides or (), self.results, retry=retry, energy=energy
        )


# -- models ----------------------------------------------------------------------------------------


def _saturation(k1: float | None) -> float | None:
    """The value, if above 0."""
    return None if k1 is None else above_zero(k1)


@dataclass(frozen=True)
class Bm25Parameters:
    """BM25's own parameters."""

    k1: Annotated[
        float | None,
        typer.Option(
            "--k1",
            callback=_saturation,
            help="Saturation of BM25's term frequency (0.9, if left out).",
            rich_help_panel=FIRST_STAGE,
        ),
    ] = None
    b: Annotated[
        float | None,
        typer.Option(
            "--b",
            min=0,
            max=1,
            help="Normalisation of BM25 by doc length (0.4, if left out).",
            rich_help_panel=FIRST_STAGE,
        ),
    ] = None


@dataclass(frozen=True)
class ModelScoring:
    """Which revision of a model, and how it scores."""

    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu, cuda, cuda:1, mps, ...; an accelerator if there is one, if left out.",
            rich_help_panel=MODEL,
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            help="Texts, or pairs, in one forward pass; as many as suit the device, if left out.",
            rich_help_panel=MODEL,
        ),
    ] = None
    max_length: Annotated[
        int | None,
        typer.Option(
            "--max-length",
            min=1,
            help="Tokens that are read of query and doc together, or of a doc by a bi-encoder; the model's own, if left "
            "out.",
            rich_help_panel=MODEL,
        ),
    ] = None
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            help="Number type of the model's dense layers: float32, bfloat16 or int8.",
            rich_help_panel=MODEL,
        ),
    ] = "float32"
    revision: Revision = None

    @property
    def how(self) -> "Inference":
        """How the model scores."""
        from rankscope.models.inference import Inference

        return Inference(self.device, self.precision, self.batch_size, self.max_length)


# -- forms ----------------------------------------------------------------------------------------

AsHtml = Annotated[
    bool,
    typer.Option("--html", help="Print a self-contained page; use --out.", rich_help_panel=OUTPUT),
]


@dataclass(frozen=True)
class TableOrJson:
    """A result on the terminal: as tables, or as JSON."""

    json: AsJson = False
    wide: InFull = False

    @property
    def form(self) -> str:
        """The form: table, wide or json."""
        return form_of(None, json=self.json, wide=self.wide)


@dataclass(frozen=True)
class OutputOrPage:
    """The same as `Output`, or a page."""

    json: AsJson = False
    csv: AsCsv = False
    latex: AsLatex = False
    html: AsHtml = False
    wide: InFull = False
    out: Written = None

    def __post_init__(self) -> None:
        _ = self.form  # refused here, before any work

    @property
    def form(self) -> str:
        """The one form of the options."""
        forms = {"json": self.json, "csv": self.csv, "latex": self.latex, "html": self.html}
        return form_of(self.out, **forms, wide=self.wide)


# -- judgements --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judging:
    """Judgements, and the conventions by which they are read."""

    qrels: Annotated[
        str,
        typer.Option(
            "--qrels",
            help="A qrels file, a folder in BEIR layout, public:NAME of `rankscope data`, or an ir_datasets id.",
            rich_help_panel=JUDGEMENTS,
        ),
    ]
    split: Annotated[
        str, typer.Option("--split", help="Which qrels of a folder.", rich_help_panel=JUDGEMENTS)
    ] = "test"
    relevance_level: Annotated[
        int | None,
        typer.Option(
            "--relevance-level",
            min=1,
            help="Lowest grade that counts as relevant in binary measures whose names do not say. If left out, 2 for the "
            "ids of TREC's passage tracks, and 1 for all others.",
            rich_help_panel=JUDGEMENTS,
        ),
    ] = None
    drop_own_docs: Annotated[
        bool | None,
        typer.Option(
            "--drop-own-docs/--keep-own-docs",
            help="Whether docs with their query's id are left out. If left out, yes for the ids of ArguAna and Quora.",
            rich_help_panel=JUDGEMENTS,
        ),
    ] = None

    def judgements(self) -> "Judgements":
        """The judgements, read as the user says, or by the field's convention for the collection."""
        from rankscope.verbs import judgements

        return judgements.judged(self.qrels, self.split).read_as(
            relevance_level=self.relevance_level, drop_own_docs=self.drop_own_docs
        )


class FamilyTerms(TypedDict):
    """The terms on which a family of comparisons is judged."""

    correction: str
    significance_level: float
    family_size: NotRequired[int]


@dataclass(frozen=True)
class Family:
    """How a family of comparisons is judged."""

    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="The difference below which two systems are equivalent: nDCG@10=0.02, or nDCG@10=5% of the "
            "baseline's mean; may be repeated.",
            rich_help_panel=STATISTICS,
        ),
    ] = None
    correction: Annotated[
        str,
        typer.Option(
            "--correction",
            help="holm, benjamini_hochberg, bonferroni or none.",
            rich_help_panel=STATISTICS,
        ),
    ] = "holm"
    level: Annotated[
        float,
        typer.Option(
            "--level",
            min=1e-6,
            max=0.5,
            help="Significance level of the whole family.",
            rich_help_panel=STATISTICS,
        ),
    ] = 0.05
    family_size: Annotated[
        int | None,
        typer.Option(
            "--family-size",
            min=1,
            help="Number of comparisons declared beforehand, if larger than the number made.",
            rich_help_panel=STATISTICS,
        ),
    ] = None

    @property
    def margins(self) -> dict[str, str]:
        """Measure to margin."""
        return table_of_margins(self.margin or ())

    @property
    def terms(self) -> "FamilyTerms":
        """All but the margins, as keyword arguments."""
        terms: FamilyTerms = {"correction": self.correction, "significance_level": self.level}
        return terms if self.family_size is None else {**terms, "family_size": self.family_size}
