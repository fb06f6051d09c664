"""Means and comparisons as LaTeX tables, with booktabs."""

from collections.abc import Iterable, Mapping, Sequence

from rankscope.core.judged.comparisons import JudgedComparison
from rankscope.core.judged.evaluation import EvaluationRecord
from rankscope.report.means import MeanCell, MeansRow, means
from rankscope.report.stored import place_name
from rankscope.report.tables.columns import in_latex, terms_of
from rankscope.report.wording import cautions
from rankscope.report.wording.numbers import letters
from rankscope.report.wording.verdicts import VERDICTS, caption, interval

LINES_ON_A_PAGE = 40
"""The number of lines above which a LaTeX table runs over several pages."""

TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{letter: rf"\{letter}" for letter in "{}$&#%_"},
        "<": "$<$",
        ">": "$>$",
        "\u2212": "$-$",
        "\u00a0": "~",
        "±": r"$\pm$",
        "\N{GREEK SMALL LETTER TAU}": r"$\tau$",
        "²": "$^2$",
        "\u2013": "--",
        "“": "``",
        "”": "''",
        "…": r"\ldots{}",
        **{mark.symbol: f"${mark.tex}$" for mark in VERDICTS.values() if mark.symbol != "?"},
    }
)


def tex(text: str) -> str:
    """Text with the characters that LaTeX treats specially escaped."""
    return text.translate(TEX)


def means_tex(evaluation: EvaluationRecord) -> str:
    """The table of means: the best in bold, verdicts as marks with the baseline's letter."""
    table = means(evaluation)
    is_all_pairs = any(row.letter for row in table.rows)
    letter_of = {} if is_all_pairs else dict(zip(table.baselines, letters(), strict=False))
    n_measures = len(table.measures)
    spans = [
        rf"\multicolumn{{{n_measures}}}{{c}}{{{tex(place_name(place, evaluation))} ({n})}}"
        for place, n in table.places
    ]
    ends = [(2 + n_measures * at, 1 + n_measures * (at + 1)) for at in range(len(spans))]
    lines = [
        _row(["", *spans]),
        " ".join(rf"\cmidrule(lr){{{first}-{last}}}" for first, last in ends),
        _row(["System", *(tex(measure) for measure in table.measures * len(spans))]),
        r"\midrule",
        *(
            _row([_system(row), *(_mean(cell, letter_of) for cell in row.cells)])
            for row in table.rows
        ),
    ]
    baselines = ", ".join(f"{letter}: {tex(name)}" for name, letter in letter_of.items())
    signs = ", ".join(f"${mark.tex}$ {word}" for word, mark in VERDICTS.items())
    legend = f"Best in bold. Against {baselines}: {signs}. " if letter_of else "Best in bold. "
    legend += "Letters name the systems that a system is better than. " if is_all_pairs else ""
    legend += f"{tex(table.seeds)} " if table.seeds else ""
    return _table("l" + "r" * len(table.rows[0].cells), lines, legend + tex(caption(evaluation)))


def _system(row: MeansRow) -> str:
    return rf"$^{{\mathrm{{{row.letter}}}}}$ {tex(row.system)}" if row.letter else tex(row.system)


def _mean(cell: MeanCell | None, letter_of: Mapping[str, str]) -> str:
    if cell is None:
        return "--"
    mean = rf"\textbf{{{cell.mean:.3f}}}" if cell.is_best else f"{cell.mean:.3f}"
    if cell.seed_sd is not None:
        mean += rf"{{\scriptsize$\pm${cell.seed_sd:.3f}}}"
    marks = "\\,".join(
        rf"\mathrm{{{letter_of.get(row.baseline, '')}}}{VERDICTS[row.judged.verdict].tex}"
        for row in cell.comparisons
    )
    if cell.beats:
        marks = rf"\mathrm{{{cell.beats}}}"
    return f"{mean}$^{{{marks}}}$" if marks else mean


def comparisons_tex(evaluation: EvaluationRecord) -> str:
    """Every comparison with its difference, interval, effect size, p-values and verdict."""
    columns, terms = in_latex(), terms_of(evaluation)
    names = ["Collection", "Measure", "System", "Baseline"]
    head = [*names, *(terms.heading(column) for column in columns)]
    rows = (_comparison(row, evaluation) for row in evaluation.comparisons)
    explained = (
        f"System minus baseline with its {interval(evaluation)}; d: mean difference over its "
        "standard deviation; the last two p-values are corrected; detectable: the minimum detectable effect, the true "
        "difference that is detectable with 80\u00a0% power at the level left for one comparison. "
        f"{cautions.FRAGILITY} "
    )
    aligned = "".join("l" if column.heading == "Verdict" else "r" for column in columns)
    lines = [_row(head), r"\midrule", *rows]
    return _table("l" * len(names) + aligned, lines, tex(explained + caption(evaluation)))


def _comparison(row: JudgedComparison, evaluation: EvaluationRecord) -> str:
    names = [place_name(row.place, evaluation), row.measure, row.system, row.baseline]
    numbers = (column.text(row.judged) for column in in_latex())
    return _row([tex(text) for text in [*names, *numbers]])


def plain_tex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as LaTeX: the first column is text, the others are numbers."""
    head, *body = (_row(map(tex, row)) for row in (columns, *rows))
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(columns) - 1)}}}",
            *[r"\toprule", head, r"\midrule", *body, r"\bottomrule"],
            r"\end{tabular}",
            "",
        ]
    )


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _table(columns: str, lines: Sequence[str], caption_tex: str) -> str:
    """A floating table, or one that runs over several pages where it is too long for one."""
    if len(lines) > LINES_ON_A_PAGE:
        head, rule, *body = lines
        return "\n".join(
            [
                r"% needs \usepackage{booktabs,longtable}",
                r"\begingroup\small\setlength{\tabcolsep}{4pt}",
                rf"\begin{{longtable}}{{{columns}}}",
                rf"\caption{{{caption_tex}}}\\",
                *[r"\toprule", head, rule, r"\endhead"],
                *body,
                r"\bottomrule",
                r"\end{longtable}",
                r"\endgroup",
                "",
            ]
        )
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{caption_tex}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
