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
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rankscope.core.cells import safe_cell
from rankscope.core.visible import visible
from rankscope.report import (
    attribution,
    attribution_charts,
    attribution_examples,
    cautions,
    change_charts,
    changes,
    charts,
    claims,
    forgetting,
    pooled,
    probes,
    queries,
    sections,
    steps,
)
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
    """Write report.html, summary.json and tables/ into `folder`; tables of seeds, probes, neurons and changes where there are such.

    `runs_at` is the way from the page to the folder that run paths start from, such as `../../`.
    """
    tables = folder / "tables"
    tables.mkdir()
    more = {tables / "seeds.csv": seeds_csv(results)} if sections.has_seeds(results) else {}
    for key, found in results.probes.items():
        more[tables / f"probes.{key}.csv"] = plain_csv(*probes.full_rows(found))
        for n in probes.ns(found):
            more[tables / f"probes.{key}.{n}.tex"] = plain_tex(*probes.layer_table(found, n))
    for key, found in results.attribution.items():
        more[tables / f"attribution.{key}.csv"] = plain_csv(*attribution.full_rows(found))
        more[tables / f"attribution.{key}.tex"] = plain_tex(*attribution.layer_table(found))
    over_tests = results.evaluation.get("pooled", ())
    if over_tests:
        more[tables / "pooled.csv"] = plain_csv(*pooled.full_rows(over_tests))
        more[tables / "pooled.tex"] = plain_tex(*pooled.table(pooled.rows(results)))
    more |= _tables_of_changes(tables, results)
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


def _tables_of_changes(tables: Path, results: StoredResults) -> dict[Path, str]:
    """What moved between rankers, and the forgetting matrix, as CSV and LaTeX."""
    found: dict[Path, str] = {}
    for key, pairs in results.changes.items():
        found[tables / f"changes.{key}.csv"] = plain_csv(*changes.full_rows(pairs))
        for each in pairs:
            name = f"changes.{key}.{each['after']}"
            found[tables / f"{name}.tex"] = plain_tex(*changes.layer_table(each))
            if each["heads"]:
                found[tables / f"{name}.heads.tex"] = plain_tex(*changes.head_table(each))
    if results.forgetting:
        found[tables / "forgetting.csv"] = plain_csv(*forgetting.full_rows(results.forgetting))
        found[tables / "forgetting.tex"] = plain_tex(*forgetting.table(results.forgetting))
    return found


def html(results: StoredResults, *, runs_at: str = "") -> str:
    """The page."""
    specs = Charts()
    found = queries.pairs(results)
    shown = [queries.differences(pair, results) for pair in found[: queries.MAX_PAIRS]]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            results=results,
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
                (forest, specs.add(charts.forest(forest))) for forest in sections.forests(results)
            ],
            differences=[(each, specs.add(charts.query_differences(each))) for each in shown],
            trainings=[_curves(training, specs) for training in steps.trainings(results)],
            cases=[queries.cases(each, results) for each in shown],
            reaches=queries.reaches(results),
            probed={key: _probed(found, specs) for key, found in results.probes.items()},
            changed={
                key: [_changed(each, specs) for each in pairs]
                for key, pairs in results.changes.items()
            },
            caveat=changes.CAVEAT,
            forgotten=_forgotten(results.forgetting, specs) if results.forgetting else None,
            attributed={
                key: _attributed(key, found, results, specs)
                for key, found in results.attribution.items()
            },
            n_left_out=len(found) - len(shown),
            n_drawn=queries.MAX_DRAWN,
            is_thinned=any(len(each.rows) > queries.MAX_DRAWN for each in shown),
            steps=steps.step_rows(results),
            place=lambda group: sections.place(group, results),
            run_link=lambda run: runs_at + quote(run),
            specs=specs.by_id,
            bundle=Markup(_bundle()),  # noqa: S704 - our own dependency's script, not data
            verdicts=VERDICTS,
            has_seeds=sections.has_seeds(results),
        )
    )


class Charts:
    """The specifications of a page's charts, each under an id of its own."""

    def __init__(self) -> None:
        self.by_id: dict[str, charts.Spec] = {}

    def add(self, spec: charts.Spec) -> str:
        """Keep the chart and return its id."""
        name = f"chart-{len(self.by_id) + 1}"
        self.by_id[name] = spec
        return name


def _probed(found: probes.Found, specs: Charts) -> Mapping[str, Any]:
    """What the page shows of probes."""
    ns = probes.ns(found)
    return {
        "found": found,
        "ns": ns,
        "compared": [(n, specs.add(_compared_layers(found, n))) for n in ns],
        "rankers": [
            (curve, specs.add(charts.layers_of_probes(curve)))
            for curve in probes.curves(found, max(ns))
        ],
        "tables": [probes.layer_table(found, n) for n in ns],
        "words": probes.in_words(found),
        "has_published": bool(found.get("published")),
    }


def _attributed(
    key: str, found: attribution.Found, results: StoredResults, specs: Charts
) -> Mapping[str, Any]:
    """What the page shows of rankers' neurons."""
    texts = results.queries.get(found.get("collection", ""), {})
    return {
        "found": found,
        "is_published": attribution.is_published(found),
        "thresholds": attribution.thresholds(found),
        "words": attribution.in_words(found),
        "sides": [_maps(found, side, specs) for side in attribution.all_sides(found)],
        "concentration": [
            (title, specs.add(spec)) for title, spec in attribution_charts.concentrations(found)
        ],
        "ablation": [
            (title, specs.add(attribution_charts.ablation(each["ablation"], title)))
            for title, each in attribution.named(found)
            if each["ablation"]
        ],
        "table": attribution.layer_table(found),
        "comparisons": attribution.comparison_table(found),
        "overlaps": attribution.overlap_table(found),
        "examples": attribution_examples.examples(key, found, texts),
    }


def _maps(found: attribution.Found, side: str, specs: Charts) -> Mapping[str, Any]:
    """The heat maps of one side, and the differences, each kind on one scale."""
    return {
        "maps": [
            (name, specs.add(spec)) for name, spec in attribution_charts.heat_maps(found, side)
        ],
        "differences": [
            (names, specs.add(spec))
            for names, spec in attribution_charts.difference_maps(found, side)
        ],
        "name": attribution.SIDES[side],
    }


def _changed(found: changes.Found, specs: Charts) -> Mapping[str, Any]:
    """What the page shows of a pair of rankers."""
    return {
        "found": found,
        "map": specs.add(change_charts.change_map(found)),
        "curves": [
            specs.add(change_charts.likeness(found, what)) for what in changes.drawn_curves(found)
        ],
        "table": changes.layer_table(found),
        "modules": changes.module_table(found),
        "heads": changes.head_table(found) if found["heads"] else None,
        "words": changes.in_words(found),
    }


def _forgotten(found: forgetting.Found, specs: Charts) -> Mapping[str, Any]:
    """What the page shows of the forgetting matrix."""
    return {
        "found": found,
        "matrix": specs.add(change_charts.matrix(found)),
        "table": forgetting.table(found),
        "words": forgetting.in_words(found),
    }


def _compared_layers(found: probes.Found, n: int) -> charts.Spec:
    return charts.layers_of_rankers(
        probes.compared_curves(found, n),
        probes.published_curves(found, n),
        chance=1 / n,
        first_stage=probes.first_stage(found, n),
    )


def _curves(
    training: steps.Training, specs: Charts
) -> tuple[steps.Training, str | None, str | None]:
    loss = specs.add(charts.loss_curve(training)) if training.loss else None
    validation = specs.add(charts.validation_curve(training)) if training.validation else None
    return training, loss, validation


@cache
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, which leaves `vegaEmbed` to the page."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _harmless(value: Any) -> Any:
    """Names and texts of users as they may stand on a page: nothing in them turns the rest around."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return visible(value, keep="\n\t\r") if is_text else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rankscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters |= {
        "signed": sections.signed,
        "p": sections.p_text,
        "significant": attribution.significant,
        "has_numbers": sections.has_numbers,
        "fragility": cautions.figure,
    }
    return environment


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
        **({"probes": results.probes} if results.probes else {}),
        **({"attribution": results.attribution} if results.attribution else {}),
        **({"changes": results.changes} if results.changes else {}),
        **({"forgetting": results.forgetting} if results.forgetting else {}),
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
