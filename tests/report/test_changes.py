"""What the page says and draws of changes and of the forgetting matrix: no more than what was stored."""

import json
from typing import Any

import pytest

from rankscope.analyses.changes import chart_data
from rankscope.analyses.changes import charts as change_charts
from rankscope.analyses.changes import section as changes_section
from rankscope.analyses.changes import words as changes
from rankscope.analyses.forgetting import charts as forgetting_charts
from rankscope.analyses.forgetting import words as forgetting
from rankscope.analyses.forgetting.matrix import Matrix
from rankscope.core.errors import DamagedArtifact, UnknownChoice
from rankscope.core.judged.plain import as_plain, from_plain
from rankscope.explain.changes import kendall_tau_b
from support.made_up_changes import CONTROL, found, head, module, state, stored


def test_the_words_say_where_and_how_far() -> None:
    said = changes.sentences(found())
    assert (
        said[0] == "C-D against C: 2 of 3 modules moved, all weights together by 10% of their size."
    )
    assert said[1] == "Weights moved in layer 1 and layer 2 only."
    assert said[2] == "They moved most in layer 2 (20%) and least in layer 1 (10%)."
    (states,) = (sentence for sentence in said if sentence.startswith("The states of queries"))
    assert "differ from layer 1 on" in states
    assert "CKA is 0.800 (0.780 to 0.820)" in states
    assert "0.600 (0.580 to 0.620) are the same, where chance gives 0.050" in states
    assert "overlap of 0.700 (0.680 to 0.720), where two drawn orders have 0.400" in said[-1]
    assert "they order the same docs, up to 20 a query," in said[-1]
    assert "their scores correlate by 0.650 (0.630 to 0.670)" in said[-1]
    assert not any(changes.CAVEAT in sentence for sentence in said)  # it is said once a page


def test_the_same_order_is_told_whatever_the_rounding_of_tau() -> None:
    """Kendall's tau of ten docs with themselves, by other scores, is 0.9999999999999999."""
    tau = kendall_tau_b(range(10), range(1, 11))
    assert 1 - 1e-12 < tau < 1
    rankings = stored()["rankings"] | {"overlap": 1.0, "tau": tau, "depth": 10}
    said = changes.sentences(found(rankings=rankings))
    assert "Both order the same docs, up to 10 a query, alike, for all 40 queries." in said
    assert said[-1] == "So the weights moved, and none of these rankings did."


def test_docs_that_are_ordered_by_their_ids_alone_are_told() -> None:
    rankings = stored()["rankings"] | {"tied": {"before": 0.0, "after": 0.25}}
    said = changes.sentences(found(rankings=rankings))
    told = [sentence for sentence in said if "by doc id" in sentence]
    assert told == [
        "C-D scores 25% of the docs like another of the same query: their order is by doc id, not the ranker's."
    ]
    assert not any("by doc id" in sentence for sentence in changes.sentences(found()))


@pytest.mark.parametrize(("chance", "is_told"), [(0.67, False), (0.69, True)])
def test_orders_no_more_alike_than_by_chance_are_told(chance: float, is_told: bool) -> None:
    """The overlap's interval begins at 0.68."""
    rankings = stored()["rankings"] | {"chance": chance}
    said = " ".join(changes.sentences(found(rankings=rankings)))
    assert ("not shown that they agree more than by chance" in said) == is_told


def test_weights_that_were_all_zero_have_no_share_and_tiny_moves_keep_their_digits() -> None:
    new = {**module(2, "dense", 1.0), "displacement": None}
    layers = [{"tower": "", "layer": 2, "displacement": None}]
    layers += [{"tower": "", "layer": layer, "displacement": 0.0} for layer in (0, 1)]
    said = changes.sentences(found(modules=[new], layers=layers, displacement=None))
    assert said[:2] == ["C-D against C: 1 of 1 module moved.", "Weights moved in layer 2 only."]
    assert "together by 1e-05% of" in changes.sentences(found(displacement=1e-7))[0]


def test_only_the_head_is_blamed_where_the_states_are_the_same() -> None:
    still = [state(layer, 0.0, 1.0) for layer in range(3)]
    said = " ".join(changes.sentences(found(states=still)))
    assert "The states of queries are the same in every layer." in said
    assert "comes from behind them" in said
    assert "comes from behind them" not in " ".join(changes.sentences(found()))


def test_a_tables_cells_are_those_of_the_layer() -> None:
    columns, rows = changes.layer_table(found().changes)
    assert columns == [
        "layer",
        "weights",
        "effective rank",
        "queries: shift",
        "queries: CKA",
        "queries: neighbours",
    ]
    assert rows[0] == ["embeddings", "0", "0.0", "0", "\u2013", "\u2013"]
    assert rows[2] == ["layer 2", "0.2000", "3.0", "0.3000", "0.800", "0.600"]
    columns, rows = changes.module_table(found().changes)
    assert (columns, rows) == (
        ["module", "embeddings", "layer 1", "layer 2"], [["dense", "0", "0.1000", "0.2000"]],
    )  # fmt: skip


def test_a_towers_cells_are_its_own_modules_and_those_of_both() -> None:
    """Moved by 3 of 10 and, for both, by 4 of 10: 5 over the root of 200, 0.3536."""
    modules = [
        module(3, "dense", 3.0, tower="document"),
        module(3, "dense", 0.0, tower="query"),
        module(3, "norm", 4.0),
    ]
    layers = [{"tower": tower, "layer": 3, "displacement": 0.1} for tower in ("document", "query")]
    columns, rows = changes.layer_table(found(modules=modules, layers=layers).changes)
    cells = dict(zip(columns, rows[-1], strict=True))
    assert cells["weights (document)"] == "0.3536"
    assert cells["weights (query)"] == "0.2828"


def test_a_map_has_every_module_and_curves_what_varies() -> None:
    spec = change_charts.change_map(found().changes)
    (cells,) = spec["datasets"].values()
    assert {(cell["layer"], cell["displacement"]) for cell in cells} == {
        ("embeddings", 0.0), ("layer 1", 0.1), ("layer 2", 0.2),
    }  # fmt: skip
    assert chart_data.drawn_curves(found().changes) == ["CKA", "shared neighbours"]
    curve = change_charts.likeness(found().changes, "shared neighbours")
    (points,) = curve["datasets"].values()
    assert [(point["layer"], point["chance"]) for point in points] == [(1, 0.05), (2, 0.05)]


def head_table(control: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    pair = found(heads=control)
    assert pair.heads
    return changes.head_table(pair.changes, pair.heads)


def test_the_stored_results_are_read_as_they_were_written() -> None:
    pair = found(heads=CONTROL)
    assert as_plain(pair.changes) == stored()
    assert pair.heads
    assert as_plain(pair.heads) == CONTROL
    assert changes_section.shown({"scenes": [pair]}).data == {
        "scenes": [stored() | {"heads": CONTROL}]
    }


def test_a_damaged_file_is_refused_with_its_place() -> None:
    cut = {key: value for key, value in state(1, 0.1, 0.9).items() if key != "cka_low"}
    with pytest.raises(
        DamagedArtifact, match=r"change\.json: states: entry 1 lacks the key 'cka_low'"
    ):
        found(states=[cut])
    half = state(1, 0.1, 0.9) | {"neighbours": None}
    with pytest.raises(DamagedArtifact, match=r"entry 1: neighbours is null and not a number"):
        found(states=[half])
    without_control = {name: CONTROL["comparisons"][name] for name in ("loss", "encoder", "head")}
    with pytest.raises(DamagedArtifact, match=r"heads\.json: comparisons lacks the key 'control'"):
        found(heads=CONTROL | {"comparisons": without_control})
    with pytest.raises(UnknownChoice, match="Unknown conclusion 'all is well'"):
        found(heads=CONTROL | {"conclusion": "all is well"})


@pytest.mark.parametrize(
    ("conclusion", "said"),
    [
        (
            "encoder",
            "The encoder forgot: C-D loses with its own head (\u22120.300), and still does where heads are "
            "refitted alike on both encoders (\u22120.100).",
        ),
        (
            "head",
            "the difference is \u22120.100, no loss above the margin of 0.02, so its encoder still has",
        ),
        ("no loss", "No loss above the margin of 0.02 was shown"),
        (
            "heads too weak",
            "on the encoder of C, too, refitted heads rank worse than its own (\u22120.050)",
        ),
        ("cannot tell", "40 queries do not suffice to decide"),
    ],
)
def test_where_a_loss_lies_is_one_sentence(conclusion: str, said: str) -> None:
    rows = {
        "loss": head("worse", -0.3), "encoder": head("worse", -0.1), "head": head("better", 0.2),
        "control": head("worse", -0.05),
    }  # fmt: skip
    control = CONTROL | {"comparisons": rows, "conclusion": conclusion, "n_unconverged": 1}
    told = changes.sentences(found(heads=control))
    assert any(said in sentence for sentence in told)
    assert any("both with refitted heads: \u22120.100 (worse)" in sentence for sentence in told)
    assert told[-1] == "1 of 6 heads was stopped before it had converged."
    columns, table = head_table(control)
    assert table[0][0] == "C-D against C, with their own heads"
    assert table[0][columns.index("verdict")] == "worse"
    assert table[0][columns.index("uncorrected 95 % interval")] == "\u22120.310 to \u22120.290"
    columns, of_file = changes.full_rows([found(heads=control)])
    rows_of_file = [row for row in of_file if "nDCG@10: " in row[columns.index("what")]]
    assert {row[columns.index("intervals")] for row in rows_of_file} == {
        "uncorrected 95 % interval"
    }
    assert [row[columns.index("verdict")] for row in rows_of_file] == [
        "worse",
        "worse",
        "better",
        "worse",
    ]


def cell(system: str, baseline: str, collection: str, verdict: str, **more: Any) -> dict[str, Any]:
    difference = {"better": 0.1, "worse": -0.1, "equivalent": 0.0, "cannot tell": -0.01}[verdict]
    return {
        "system": system, "baseline": baseline, "collection": collection, "first_stage": "bm25",
        "is_tuned_from": True, "is_taught": False, "is_taught_last": more.get("is_taught", False), **head(verdict, difference), **more,
    }  # fmt: skip


MATRIX: dict[str, Any] = {
    "measure": "nDCG@10",
    "margin": 0.02,
    "significance_level": 0.05,
    "correction": "holm",
    "cells": [
        cell("C", "plain", "dev", "better"),
        cell("C-D", "C", "dev", "worse", is_taught=True),
        cell("C", "plain", "scifact", "cannot tell"),
        cell("C-D", "C", "scifact", "worse"),
        cell("C-D", "C", "cranfield", "equivalent"),
    ],
    "references": [
        {"system": "plain", "collection": "dev", "first_stage": "bm25", "mean": 0.4321},
    ],
}


def matrix_of(**changes: Any) -> Matrix:
    return from_plain(Matrix, MATRIX | changes, where="made up")


def test_a_loss_is_forgetting_only_where_something_had_been_learnt() -> None:
    said = forgetting.sentences(matrix_of())
    assert said[0].startswith(
        "C-D lost on dev against C: \u22120.100 (uncorrected 95\u00a0% interval \u22120.110 to \u22120.090)"
    )
    assert said[0].endswith(
        "in this study the line of C had learnt queries over these docs, and C gained there, so this was forgotten."
    )
    assert said[1].startswith("C-D lost on scifact")
    assert "in this study the line of C had learnt no query over these docs" in said[1]
    assert "so what was lost was not learnt from such queries" in said[1]
    assert "C gained on dev against plain" in said[2]
    assert said[3] == "Shown to be kept, within \u00b10.02: C-D on cranfield."
    assert "no proof that nothing was lost: C on scifact. A loss of 0.030" in said[4]
    kept = matrix_of(cells=[cell("C", "plain", "dev", "better")])
    assert (
        forgetting.sentences(kept)[0]
        == "No stage was shown to have lost nDCG@10 on any collection."
    )


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ([cell("C", "plain", "dev", "cannot tell")], "that C gained there was not shown"),
        ([cell("C", "plain", "scifact", "better")], "whether C gained there was not tested"),
        (
            [cell("C", "bm25", "dev", "better", is_tuned_from=False)],
            "whether C gained there was not tested",
        ),
    ],
)
def test_without_a_gain_shown_before_a_loss_may_have_been_forgotten(
    own: list[dict[str, Any]], said: str
) -> None:
    lost = cell("C-D", "C", "dev", "worse", is_taught=True)
    told = forgetting.sentences(matrix_of(cells=[*own, lost]))[0]
    assert f"{said}, so this may have been forgotten." in told


def test_what_an_earlier_stage_learnt_may_have_been_forgotten() -> None:
    lost = cell("C-D", "C", "dev", "worse", is_taught=True, is_taught_last=False)
    told = forgetting.sentences(matrix_of(cells=[cell("C", "plain", "dev", "better"), lost]))[0]
    assert "but not since plain, so this may have been forgotten." in told


def test_what_was_not_tuned_from_the_baseline_neither_loses_nor_gains() -> None:
    verdicts = ("worse", "better", "equivalent", "cannot tell")
    cells = [
        cell("plain", "C", name, name, is_tuned_from=False, is_taught=True) for name in verdicts
    ]
    said = forgetting.sentences(matrix_of(cells=cells))
    assert said == [
        "plain is worse than C, from which it was not tuned, on worse: \u22120.100 (uncorrected 95\u00a0% interval \u22120.110 to \u22120.090).",
        "plain is better than C, from which it was not tuned, on better: +0.100 (uncorrected 95\u00a0% interval +0.090 to +0.110).",
        "Shown to be equivalent, within \u00b10.02: plain and C on equivalent.",
        "Neither shown to differ nor shown to be equivalent: plain and C on cannot tell.",
    ]
    assert {each["taught"] for each in forgetting.cells(matrix_of(cells=cells, references=[]))} == {
        "of another line"
    }


def test_a_matrix_has_the_number_and_the_mark_in_every_cell() -> None:
    columns, rows = forgetting.table(matrix_of())
    assert columns == ["ranker", "dev", "scifact", "cranfield"]
    assert rows == [
        ["plain", "0.432", "\u2013", "\u2013"],
        ["C \u2212 plain", "+0.100 \u25b2", "\u22120.010 ?", "\u2013"],
        ["C-D \u2212 C", "\u22120.100 \u25bc", "\u22120.100 \u25bc", "0.000 \u2248"],
    ]
    columns, rows = forgetting.full_rows(matrix_of())
    assert {row[columns.index("intervals")] for row in rows} == {"uncorrected 95 % interval"}
    shown = json.dumps(forgetting_charts.matrix(matrix_of()), ensure_ascii=False)
    assert '"title": "uncorrected 95\u00a0% interval"' in shown
    for text in ("\u22120.100 \u25bc", "0.432", "mean itself"):
        assert text in shown
    full_columns, full = forgetting.full_rows(matrix_of())
    assert [row[full_columns.index("verdict")] for row in full] == [
        "better", "worse", "cannot tell", "worse", "equivalent",
    ]  # fmt: skip


def test_a_cell_says_how_few_queries_carry_it_and_where_it_has_no_interval() -> None:
    """A measure without bounds has no interval where all queries differ by the same."""
    lost = cell("C-D", "C", "dev", "worse", fragility=1)
    kept = cell("C", "plain", "dev", "equivalent", fragility=12)
    other = cell("D", "C", "dev", "equivalent", is_tuned_from=False, fragility=1234)
    endless = cell("C", "plain", "scifact", "better", fragility=None, interval=[None, None])
    matrix = matrix_of(cells=[lost, kept, other, endless])
    said = " ".join(forgetting.sentences(matrix))
    assert "a single query with the worst possible difference would take the verdict away)" in said
    assert "within \u00b10.02: C on dev (fragility 12)." in said
    assert "D and C on dev (fragility 1,234)." in said
    assert "C gained on scifact against plain: +0.100 (no interval)." in said
    columns, rows = forgetting.full_rows(matrix)
    assert [row[columns.index("fragility")] for row in rows] == ["1", "12", "1234", ""]
    assert [row[columns.index("low")] for row in rows][-1] == ""
    shown = json.dumps(forgetting_charts.matrix(matrix), ensure_ascii=False)
    assert '"interval": "no interval"' in shown
    assert '"fragility": "1,234"' in shown


def test_heads_say_how_few_queries_carry_their_verdicts() -> None:
    row = head("worse", -0.1) | {"fragility": 2}
    rows = dict.fromkeys(("loss", "encoder", "head"), row)
    rows |= {"control": row | {"interval": [None, None], "fragility": None}}
    control = CONTROL | {"measure": "NumRet", "comparisons": rows}
    columns, table = head_table(control)
    assert [line[columns.index("fragility")] for line in table] == ["2", "2", "2", "\u2013"]
    assert [line[4] for line in table][-1] == "no interval"
    columns, of_file = changes.full_rows([found(heads=control)])
    assert [line[columns.index("fragility")] for line in of_file][-4:] == ["2", "2", "2", ""]
