"""`rankscope pool`: published means to verdicts over tests, and what it refuses."""

import json
from pathlib import Path

import pytest

from support.command import Command

HEAD = "test,first_stage,system,measure,mean\n"


def table(**means: str) -> str:
    """System to its means on tests a, b, c and d."""
    return HEAD + "".join(
        f"{test},bm25,{system},nDCG@10,{mean}\n"
        for system, of in means.items()
        for test, mean in zip("abcd", of.split(), strict=False)
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "cells.csv"
    path.write_text(text, "utf-8")
    return path


FOUR = table(
    C="0.700 0.500 0.400 0.300", D="0.760 0.565 0.458 0.362", same="0.701 0.500 0.399 0.301"
)


def test_four_tests_have_one_verdict(rankscope: Command, tmp_path: Path) -> None:
    path = written(tmp_path, FOUR)
    answer = rankscope("pool", path, "--baseline", "C", "--margin", "nDCG@10=0.02")
    head, better, same = answer.out.splitlines()
    assert head.split("\t")[5:9] == [
        "difference", "uncorrected 95 % interval", "sd of tests", "corrected p"
    ]  # fmt: skip
    assert better.startswith("nDCG@10\tD\tC\t4\t1\t+0.0612\t")
    assert better.endswith("▲ better")
    assert same.endswith("≈ equivalent")
    assert "a test counts as one number" in answer.err
    assert "Two tests" not in answer.err
    rows = json.loads(rankscope("pool", path, "--baseline", "C", "--json").out)["pooled"]
    assert [row["verdict"] for row in rows] == ["better", "cannot tell"]
    assert rows[0]["margin"] is rows[0]["tau"] is None
    alone = rankscope("pool", path, "--baseline", "C", "--correction", "none", "--level", 0.1).out
    assert "difference\t90 % interval\t" in alone
    many = json.loads(
        rankscope("pool", path, "--baseline", "C", "--family-size", 100, "--json").out
    )
    assert many["pooled"][0]["corrected_p"] == pytest.approx(100 * rows[0]["p_value"])


def test_measures_of_other_tools_are_read_and_a_publications_own_are_labels(
    rankscope: Command, tmp_path: Path
) -> None:
    path = written(tmp_path, FOUR.replace("nDCG@10", "NDCG@10"))
    words = ("pool", path, "--baseline", "C")
    table = rankscope(*words, "--margin", "ndcg_cut_10=0.02").out
    assert "\nnDCG@10\tD\t" in table
    written(tmp_path, FOUR.replace("nDCG@10", "hits@5"))
    assert "\nhits@5\tD\t" in rankscope(*words).out


def test_two_tests_and_fewer_cells_are_told(rankscope: Command, tmp_path: Path) -> None:
    path = written(tmp_path, table(C="0.7 0.5 0.4", D="0.8 0.6", E="0.8 0.6 0.5"))
    notes = rankscope("pool", path, "--baseline", "C").err
    assert "Two tests leave one degree of freedom" in notes
    assert "Compared on fewer cells than the others: D (nDCG@10)." in notes


def test_other_columns_blank_lines_and_quotes_do_not_matter(
    rankscope: Command, tmp_path: Path
) -> None:
    """From a spreadsheet: a mark at the start, columns in another order, one more, a comma in a name."""
    rows = [line.split(",") for line in table(C="0.7 0.5", D="0.8 0.7").splitlines()[1:]]
    lines = [
        f'{mean},x,"{test}, 2019",{stage},{system},{measure}\n'
        for test, stage, system, measure, mean in rows
    ]
    head = "\ufeffmean,note,test,first_stage,system,measure\n\n"
    path = written(tmp_path, head + "".join(lines))
    (found,) = json.loads(rankscope("pool", path, "--baseline", "C", "--json").out)["pooled"]
    assert found["difference"] == pytest.approx(0.15)
    assert found["cells"][0]["test"] == "a, 2019"


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("", (), "there is no column test, first_stage, system, measure, mean. Give CSV with a first line of"),
        ("test,system,measure,mean\n", (), "cells.csv: there is no column first_stage. Give CSV"),
        (HEAD + "a,x,C,AP,many\n", (), "cells.csv, line 2: the mean 'many' is not a number."),
        (HEAD + "\na,x,C,AP,nan\n", (), "cells.csv, line 3: the mean 'nan' is not a number."),
        (HEAD + "a,x,C,AP\n", (), "cells.csv, line 2: the mean '' is not a number."),
        (HEAD + "a,x,,AP,0.5\n", (), "cells.csv, line 2: system is empty. Name it."),
        (HEAD + "a,x,C,AP,0.5,0.6\n", (), "cells.csv, line 2: more fields than the first line has."),
        (HEAD, (), "cells.csv: there are no means below the first line. Give one a line."),
        (table(D="0.5 0.6"), (), "Unknown baseline 'C'. There are: D."),
        (table(C="0.5 0.6"), (), "There is nothing to compare with 'C'. Give means of another system"),
        (table(C="0.5", D="0.6"), (), "D and C share 1 test of nDCG@10, and one verdict over tests needs at least 2."),
        (FOUR + "a,bm25,C,nDCG@10,0.7\n", (), "C has two means of nDCG@10 on a from bm25. Keep one."),
        (FOUR, ("--margin", "nDCG=0.02"), "Unknown measure in `margin` 'nDCG'. Did you mean 'nDCG@10'?"),
        (FOUR, ("--margin", "nDCG@10=-1"), "The margin '-1' is not a positive number."),
        (FOUR, ("--correction", "hol"), "Unknown correction 'hol'. Did you mean 'holm'?"),
        (FOUR, ("--family-size", "1"), "The family is declared to have 1 comparisons, but 2 are made."),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    rankscope: Command, tmp_path: Path, text: str, words: tuple[str, ...], sentence: str
) -> None:
    answer = rankscope("pool", written(tmp_path, text), "--baseline", "C", *words)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("rankscope: ")
    assert sentence in answer.err
    assert answer.err.count("\n") == 1


def test_a_file_that_is_not_there(rankscope: Command, tmp_path: Path) -> None:
    answer = rankscope("pool", tmp_path / "none.csv", "--baseline", "C")
    assert answer.code == 1
    assert "there is no such file" in answer.err


def test_the_guides_way_from_study_bs_tables(rankscope: Command, real_data: Path, tmp_path: Path) -> None:  # fmt: skip
    """The cells of the first published table, as anybody would write them down."""
    tables = json.loads(
        (real_data / "published" / "cross_encoder_tables.json").read_text("utf-8"), parse_float=str
    )
    lines = [
        f"{place.split('-')[1]},{place.split('-')[0]},{system},nDCG@10,{means[3]:0<6}\n"
        for system, run in (("C", "monoElectra-CL100"), ("C-D", "monoElectra-CLKD"), ("D-C", "monoElectra-KDCL"))
        for place, means in tables[run].items()
    ]  # fmt: skip
    path = written(tmp_path, HEAD + "".join(lines))
    words = ("pool", path, "--baseline", "C", "--margin", "nDCG@10=0.02", "--json")
    one, both = json.loads(rankscope(*words).out)["pooled"]
    assert (one["n_tests"], one["n_first_stages"], len(one["cells"])) == (4, 3, 12)
    assert one["difference"] == pytest.approx(0.0008, abs=5e-5)
    assert one["verdict"] == "equivalent"
    assert all(cell["difference"] > 0 for cell in both["cells"])
    assert both["difference"] == pytest.approx(0.0082, abs=5e-5)
    assert both["corrected_p"] > 0.05
