"""Sections and a template to one self-contained HTML file; tables to LaTeX and CSV.

The page fetches nothing: scripts, styles, charts and data stand inside it, and its content
security policy lets a browser refuse the rest. The same results give the same bytes.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vl_convert
from markupsafe import Markup

from rankscope.core.tables import safe_cell
from rankscope.report import cautions, charts, claims, pooled, queries, sections, steps
from rankscope.report.rendering import rendered
from rankscope.report.section import Drawing
from rankscope.report.sections import VERDICTS, Compared, StoredResults

COMPARISON_COLUMNS = (
    "collection",
    "first_stage",
    "measure",
    "system",
    "baseline",
    "n_queries",
    "n_differing",
    "system_seeds",
    "baseline_seeds",
    "difference",
    "interval_low",
    "interval_high",
    "bootstrap_low",
    "bootstrap_high",
    "effect_size",
    "effect_low",
    "effect_high",
    "intervals",
    "p_value",
    "corrected_p",
    "wilcoxon_p",
    "randomisation_p",
    "mcnemar_p",
    "margin",
    "equivalence_p",
    "corrected_equivalence_p",
    "non_inferiority_p",
    "corrected_non_inferiority_p",
    "beyond_margin_p",
    "corrected_beyond_margin_p",
    "smallest_detectable",
    "queries_needed",
    "verdict",
    "fragility",
    "unseen_share",
)

MEAN_COLUMNS = (
    "collection",
    "first_stage",
    "system",
    "measure",
    "mean",
    "n_seeds",
    "seed_sd",
    "n_queries",
    "n_missing",
    "tied_share",
    "run",
)

SEED_COLUMNS = (
    "collection",
    "first_stage",
    "system",
    "ranker",
    "measure",
    "mean",
    "n_missing",
    "tied_share",
    "run",
)

LINES_ON_A_PAGE = 40
"""Of a LaTeX table; a longer one runs over several pages."""

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


def write(folder: Path, results: StoredResults, *, runs_at: str = "") -> None:
    """Write report.html, summary.json and tables/ into `folder`; tables of seeds and of analyses where there are such.

    `runs_at` is the way from the page to the folder that run paths start from, such as `../../`.
    """
    tables = folder / "tables"
    tables.mkdir()
    more = {tables / "seeds.csv": seeds_csv(results)} if sections.has_seeds(results) else {}
    for section in results.sections:
        more |= {tables / name: text for name, text in section.tables.items()}
    over_tests = results.evaluation.get("pooled", ())
    if over_tests:
        more[tables / "pooled.csv"] = plain_csv(*pooled.full_rows(over_tests))
        more[tables / "pooled.tex"] = plain_tex(*pooled.table(pooled.rows(results)))
    for path, text in {
        **more,
        folder / "report.html": html(results, runs_at=runs_at),
        folder / "summary.json": summary(results),
        tables / "means.csv": means_csv(results),
        tables / "means.tex": means_tex(results),
        tables / "comparisons.csv": comparisons_csv(results),
        tables / "comparisons.tex": comparisons_tex(results),
    }.items():
        path.write_text(text, encoding="utf-8", newline="\n")


def html(results: StoredResults, *, runs_at: str = "") -> str:
    """The page."""
    drawing = Drawing()
    found = queries.pairs(results)
    shown = [queries.differences(pair, results) for pair in found[: queries.MAX_PAIRS]]
    return str(
        rendered(
            "report/templates/report.html.j2",
            results=results,
            drawing=drawing,
            headlines=sections.headlines(results),
            claims=claims.claims(results),
            tally=sections.tally(results),
            means=sections.means(results),
            interval=sections.interval(results),
            comparisons=sections.comparisons(results),
            unseen=sections.unseen(results),
            what_fragility_is=cautions.FRAGILITY,
            n_without_interval=sum(
                row.ends == sections.NO_INTERVAL for row in sections.comparisons(results)
            ),
            over_tests=pooled.rows(results),
            over_tests_caption=pooled.caption(results),
            forests=[
                (forest, drawing.chart(charts.forest(forest)))
                for forest in sections.forests(results)
            ],
            differences=[(each, drawing.chart(charts.query_differences(each))) for each in shown],
            trainings=[_curves(training, drawing) for training in steps.trainings(results)],
            cases=[queries.cases(each, results) for each in shown],
            reaches=queries.reaches(results),
            n_left_out=len(found) - len(shown),
            n_drawn=queries.MAX_DRAWN,
            is_thinned=any(len(each.rows) > queries.MAX_DRAWN for each in shown),
            steps=steps.step_rows(results),
            place=lambda group: sections.place(group, results),
            run_link=lambda run: runs_at + quote(run),
            bundle=Markup(_bundle()),  # noqa: S704 - our own dependency's script, not data
            verdicts=VERDICTS,
            has_seeds=sections.has_seeds(results),
        )
    )


def _curves(
    training: steps.Training, drawing: Drawing
) -> tuple[steps.Training, str | None, str | None]:
    loss = drawing.chart(charts.loss_curve(training)) if training.loss else None
    validation = drawing.chart(charts.validation_curve(training)) if training.validation else None
    return training, loss, validation


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which leaves `vegaEmbed` to the page."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def summary(results: StoredResults) -> str:
    """What was found, for other programs."""
    found = {
        "study": results.study,
        "seed": results.seed,
        "notes": results.evaluation["notes"],
        "measures": results.evaluation["measures"],
        "results": results.evaluation["results"],
        "comparisons": results.evaluation["comparisons"],
        "pooled": results.evaluation.get("pooled", []),
        "intervals": sections.interval(results).replace("\u00a0", " "),
        "claims": [asdict(claim) for claim in claims.claims(results)],
        **{section.key: section.data for section in results.sections},
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def means_csv(results: StoredResults) -> str:
    """One mean a line, in full precision."""
    rows = (
        {
            **row,
            "measure": measure,
            "mean": mean,
            "n_seeds": len(row.get("runs", [row])),
            "seed_sd": row.get("seed_sd", {}).get(measure),
            "n_missing": len(row["missing_queries"]),
            "run": "; ".join(of["run"] for of in row.get("runs", [row])),
        }
        for row in results.evaluation["results"]
        for measure, mean in row["means"].items()
    )
    return _csv(MEAN_COLUMNS, rows)


def seeds_csv(results: StoredResults) -> str:
    """One mean of one seed a line, in full precision."""
    rows = (
        {
            **{name: row[name] for name in ("collection", "first_stage", "system")},
            **of,
            "ranker": of["name"],
            "measure": measure,
            "mean": mean,
            "n_missing": len(of["missing_queries"]),
        }
        for row in results.evaluation["results"]
        for of in row.get("runs", ())
        for measure, mean in of["means"].items()
    )
    return _csv(SEED_COLUMNS, rows)


def comparisons_csv(results: StoredResults) -> str:
    """One comparison a line, in full precision; an empty field where nothing was tested."""
    of_all = {"intervals": sections.interval(results).replace("\u00a0", " ")}
    rows = (
        {**row, **_ends(row), **_seeds_of(row), **of_all}
        for row in results.evaluation["comparisons"]
    )
    return _csv(COMPARISON_COLUMNS, rows)


def _seeds_of(row: Mapping[str, Any]) -> dict[str, int]:
    system, baseline = row.get("n_seeds", (1, 1))
    return {"system_seeds": system, "baseline_seeds": baseline}


def _ends(row: Mapping[str, Any]) -> dict[str, float]:
    """The ends of the row's intervals under names of their own."""
    names = {"interval": "interval", "bootstrap_interval": "bootstrap", "effect_interval": "effect"}
    return {
        f"{short}_{end}": at
        for name, short in names.items()
        if row.get(name)
        for end, at in zip(("low", "high"), row[name], strict=True)
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    writer.writerow({name: safe_cell(name) for name in columns})
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def means_tex(results: StoredResults) -> str:
    """The table of measures: best in bold, verdicts as marks with the baseline's letter."""
    means = sections.means(results)
    is_all_pairs = any(row.letter for row in means.rows)
    letters = {} if is_all_pairs else dict(zip(means.baselines, sections.letters(), strict=False))
    n_measures = len(means.measures)
    spans = [
        rf"\multicolumn{{{n_measures}}}{{c}}{{{tex(sections.place(group, results))} ({n})}}"
        for group, n in means.groups
    ]
    ends = [(2 + n_measures * at, 1 + n_measures * (at + 1)) for at in range(len(spans))]
    lines = [
        _row(["", *spans]),
        " ".join(rf"\cmidrule(lr){{{first}-{last}}}" for first, last in ends),
        _row(["System", *(tex(measure) for measure in means.measures * len(spans))]),
        r"\midrule",
        *(
            _row([_tex_system(row), *(_tex_cell(cell, letters) for cell in row.cells)])
            for row in means.rows
        ),
    ]
    baselines = ", ".join(f"{letter}: {tex(name)}" for name, letter in letters.items())
    signs = ", ".join(f"${mark.tex}$ {word}" for word, mark in VERDICTS.items())
    legend = f"Best in bold. Against {baselines}: {signs}. " if letters else "Best in bold. "
    legend += "Letters name the systems that a system is better than. " if is_all_pairs else ""
    legend += f"{tex(means.seeds)} " if means.seeds else ""
    return _table("l" + "r" * len(means.rows[0].cells), lines, legend + tex(means.caption))


def _tex_system(row: sections.MeansRow) -> str:
    return rf"$^{{\mathrm{{{row.letter}}}}}$ {tex(row.system)}" if row.letter else tex(row.system)


def _tex_cell(cell: sections.MeanCell | None, letters: Mapping[str, str]) -> str:
    if cell is None:
        return "--"
    mean = rf"\textbf{{{cell.mean:.3f}}}" if cell.is_best else f"{cell.mean:.3f}"
    if cell.seed_sd is not None:
        mean += rf"{{\scriptsize$\pm${cell.seed_sd:.3f}}}"
    marks = "\\,".join(
        rf"\mathrm{{{letters.get(each.baseline, '')}}}{each.mark.tex}" for each in cell.verdicts
    )
    if cell.beats:
        marks = rf"\mathrm{{{cell.beats}}}"
    return f"{mean}$^{{{marks}}}$" if marks else mean


def comparisons_tex(results: StoredResults) -> str:
    """Every comparison with its difference, interval, effect size, p-values and verdict."""
    head = [
        "Collection", "Measure", "System", "Baseline", "Difference", "Interval", "$d$", "$p$",
        r"$p_{\mathrm{corr}}$", r"$p_{\mathrm{equiv}}$", "Detectable", "Verdict", "Fragility",
    ]  # fmt: skip
    rows = (_tex_comparison(row, results) for row in sections.comparisons(results))
    lines = [_row(head), r"\midrule", *rows]
    explained = (
        f"System minus baseline with its {sections.interval(results)}; d: mean difference over its "
        "standard deviation; both last p-values are corrected; detectable: the smallest "
        "difference shown in 80\u00a0% of cases at the level left for one comparison. "
        f"{cautions.FRAGILITY} "
    )
    return _table("llll" + "r" * 7 + "lr", lines, tex(explained + sections.caption(results)))


def _tex_comparison(row: Compared, results: StoredResults) -> str:
    numbers = [
        sections.signed(row.difference),
        row.ends,
        "\u2013" if row.effect_size is None else sections.signed(row.effect_size, 2),
        sections.p_text(row.p_value),
        sections.p_text(row.corrected_p),
        sections.p_text(row.corrected_equivalence_p),
        cautions.detectable(row.smallest_detectable, row.span, 3),
    ]
    names = [sections.place(row.group, results), row.measure, row.system, row.baseline]
    verdict = [row.verdict, cautions.figure(row.fragility)]
    return _row([tex(text) for text in [*names, *numbers, *verdict]])


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _table(columns: str, lines: Sequence[str], caption: str) -> str:
    """A table that floats, or, too long for a page, one that runs over several."""
    if len(lines) > LINES_ON_A_PAGE:
        head, rule, *body = lines
        return "\n".join(
            [
                r"% needs \usepackage{booktabs,longtable}",
                r"\begingroup\small\setlength{\tabcolsep}{4pt}",
                rf"\begin{{longtable}}{{{columns}}}",
                rf"\caption{{{caption}}}\\",
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
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def plain_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as CSV."""
    return _csv(columns, (dict(zip(columns, row, strict=True)) for row in rows))


def plain_tex(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as LaTeX, with booktabs: the first column is text, the others are numbers."""
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


def tex(text: str) -> str:
    """Text as LaTeX shows it letter by letter."""
    return text.translate(TEX)
