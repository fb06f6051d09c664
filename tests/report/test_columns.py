"""The columns of comparisons, which CSV, LaTeX, the page and the terminal have in common."""

from dataclasses import fields

from rankscope.core.judged.comparisons import JudgedDifference
from rankscope.core.judged.plain import from_plain
from rankscope.report.tables import as_csv
from rankscope.report.tables.columns import (
    COLUMNS,
    SharedTerms,
    in_latex,
    on_page,
    on_terminal,
)
from support.made_up_study import comparison, per_query

IN_PARTS = {"n_seeds", "interval", "bootstrap_interval", "effect_interval"}
"""Written as two columns each."""
WITHOUT = {"n_groups", "system_mean", "baseline_mean", "margin_is_relative", "span"}
"""In JSON alone."""

CSV = [
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
]
"""An interface: what other programs read."""

TERMS = SharedTerms(0.05, "holm")


def test_the_columns_of_csv_are_an_interface() -> None:
    assert as_csv.comparison_columns() == CSV


def test_every_statistic_has_a_column() -> None:
    names = {field.name for field in fields(JudgedDifference)}
    assert names - IN_PARTS - WITHOUT <= {column.name for column in COLUMNS}


def test_every_medium_has_its_columns_in_its_own_order() -> None:
    """The page begins with the verdict, a terminal has it before what could have been shown, files end with it."""
    page = [TERMS.heading(shown) for _, shown in on_page(TERMS)]
    assert page == [
        "Verdict", "Fragility", "Difference", "Uncorrected 95\u00a0% interval", "Effect<br>size", "<i>p</i>",
        "<i>p</i>,<br>corrected", "Equivalence<br><i>p</i>, corrected", "Detectable", "Queries",
    ]  # fmt: skip
    assert [name for name, _ in on_page(TERMS._replace(has_seeds=True))][-1] == "system_seeds"
    assert [TERMS.heading(shown) for shown in in_latex()] == [
        "Difference", "Interval", "$d$", "$p$", r"$p_{\mathrm{corr}}$", r"$p_{\mathrm{equiv}}$", "Detectable",
        "Verdict", "Fragility",
    ]  # fmt: skip
    heads, rows = on_terminal([], TERMS)
    assert (heads, rows) == ([
        "measure", "systems", "difference", "uncorrected 95 % interval", "effect", "corrected p",
        "corrected p equivalent", "verdict", "fragility", "detectable", "queries needed",
    ], [])  # fmt: skip
    alone, _ = on_terminal([], SharedTerms(0.01, "none"))
    assert alone[3:7] == ["99 % interval", "effect", "p", "p equivalent"]


def test_a_number_that_is_not_there_is_a_dash_or_empty() -> None:
    """Each medium has its own; the terminal's is one that every font has."""
    stored = comparison("C", "bm25", "RR@10", per_query())
    nothing = {
        key: value
        for key, value in stored.items()
        if key not in {"collection", "first_stage", "measure", "system", "baseline"}
    } | {"effect_size": None, "interval": [None, None], "smallest_detectable": None}
    judged = from_plain(JudgedDifference, nothing, where="made up")
    by_name = {column.name: column for column in COLUMNS}
    effect = by_name["effect_size"]
    assert effect.value is not None
    assert effect.value(judged) is None
    assert [shown and shown.text(judged) for shown in (effect.latex, effect.page, effect.terminal)] == [
        "\u2013", "\u2013", "-",
    ]  # fmt: skip
    ends = by_name["interval"]
    assert [shown and shown.text(judged) for shown in (ends.latex, ends.page, ends.terminal)] == (
        ["no interval"] * 3
    )
    low = by_name["interval_low"].value
    assert low is not None
    assert low(judged) is None
