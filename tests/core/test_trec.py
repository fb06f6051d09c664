import gzip
from pathlib import Path

import numpy as np
import pytest

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels, read_run
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import with_ties, write_qrels, write_run

RUN = "q1 Q0 d1 1 3.5 mine\nq1 Q0 d2 2 3.5 mine\nq2\tQ0\td1\t1\t-1e-3\tmine\n"


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run.of(
        "my run", [ScoredDoc("q2", "b", 1.0), ScoredDoc("q1", "a", 0.1), ScoredDoc("q1", "c", 2)]
    )
    for name in ("plain.run", "packed.run.gz"):
        write_run(tmp_path / name, run)
        again = read_run(tmp_path / name)
        assert again.tag == "my_run"
        assert [doc.doc_id for doc in again.rankings["q1"]] == ["c", "a"]
        assert again.rankings["q1"][1].score == pytest.approx(0.1, rel=1e-7)


def test_a_tag_that_is_no_utf_8_is_written_with_marks_in_its_place(tmp_path: Path) -> None:
    """As where it is the name of a file whose bytes are no UTF-8."""
    write_run(tmp_path / "a.run", Run.of("a\udcff\0b", [ScoredDoc("q", "d", 1.0)]))
    assert read_run(tmp_path / "a.run").tag == "a?_b"


def test_gzip_holds_no_time(tmp_path: Path) -> None:
    run = Run.of("r", [ScoredDoc("q", "d", 1.0)])
    write_run(tmp_path / "a.run.gz", run)
    write_run(tmp_path / "b.run.gz", run)
    assert (tmp_path / "a.run.gz").read_bytes() == (tmp_path / "b.run.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.run.gz").read_bytes()) == b"q Q0 d 1 1.0 r\n"


def test_ties_are_ordered_by_doc_id_and_written_strictly_decreasing(tmp_path: Path) -> None:
    """Three docs with 0.5: the file has 0.5 and the next two float32 below it."""
    run = Run.of("r", [ScoredDoc("q", doc_id, 0.5) for doc_id in ("c", "a", "b")])
    write_run(tmp_path / "r.run", run)
    lines = [line.split() for line in (tmp_path / "r.run").read_text().splitlines()]
    assert [line[2] for line in lines] == ["c", "b", "a"]
    below = np.nextafter(np.float32(0.5), np.float32(0))
    assert [np.float32(line[4]) for line in lines] == [
        0.5,
        below,
        np.nextafter(below, np.float32(0)),
    ]
    assert [doc.doc_id for doc in read_run(tmp_path / "r.run").rankings["q"]] == ["c", "b", "a"]


def test_ties_that_writing_broke_are_found_again(tmp_path: Path) -> None:
    run = Run.of(
        "r",
        [ScoredDoc("q", d, s) for d, s in zip("abcde", (0.5, 0.5, 0.5, 0.3, -1e-3), strict=True)],
    )
    write_run(tmp_path / "r.run", run)
    restored = with_ties(read_run(tmp_path / "r.run").rankings["q"])
    assert restored == with_ties(run.rankings["q"]) == with_ties(restored)
    assert [doc.doc_id for doc in restored] == ["c", "b", "a", "d", "e"]
    assert [doc.score for doc in restored[:3]] == [0.5] * 3
    assert len({doc.score for doc in restored}) == 3
    assert with_ties([]) == []


def test_a_run_may_have_tabs_and_any_rank(tmp_path: Path) -> None:
    (tmp_path / "r.run").write_text(RUN)
    run = read_run(tmp_path / "r.run", tag="other")
    assert run.tag == "other"
    assert [doc.doc_id for doc in run.rankings["q1"]] == ["d2", "d1"]
    assert run.rankings["q2"][0].score == -1e-3
    assert run.tied_share() == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 3.5\n", "line 1: expected 6 columns"),
        (
            "q1 Q0 d1 1 3.5 t\n\nq1 Q0 d2 1 nan t\n",
            "line 3: the score 'nan' is not a finite number",
        ),
        ("q1 Q0 d1 1 high t\n", "the score 'high'"),
        ("q1 Q0 d1 1 2 t\nq1 Q0 d1 2 1 t\n", "ranks doc d1 twice"),
        ("", "an empty run"),
    ],
)
def test_a_bad_run_is_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.run").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_run(tmp_path / "bad.run")


def test_infinite_scores_never_enter_a_run() -> None:
    with pytest.raises(BadInput, match="finite"):
        Run.of("r", [ScoredDoc("q", "d", float("inf"))])


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "binary.run").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "half.run.gz").write_bytes(gzip.compress(RUN.encode())[:20])
    for path in (
        tmp_path / "none.run",
        tmp_path / "binary.run",
        tmp_path / "half.run.gz",
        tmp_path,
    ):
        with pytest.raises(BadInput, match=path.name):
            read_run(path)


def test_qrels_in_both_forms(tmp_path: Path) -> None:
    expected = [Qrel("q1", "d1", 2), Qrel("q1", "d2", 0)]
    write_qrels(tmp_path / "trec.qrels.gz", expected)
    (tmp_path / "beir.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    assert read_qrels(tmp_path / "trec.qrels.gz") == expected
    assert read_qrels(tmp_path / "beir.tsv") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 0 d1 1\nq1 0 d2\n", "line 2: expected 4 columns"),
        ("q1\td1\t1\n", "expected 4 columns"),
        ("q1 0 d1 yes\n", "'yes' is not a whole number"),
        ("q1 0 d1 1\nq1 0 d1 2\n", "was judged 1 before and 2 here"),
        ("\n", "no judgement"),
    ],
)
def test_bad_qrels_are_named_by_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.qrels").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_qrels(tmp_path / "bad.qrels")


def test_the_same_judgement_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "twice.qrels").write_text("q1 0 d1 1\nq1 0 d1 1\n")
    assert len(read_qrels(tmp_path / "twice.qrels")) == 1


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_byte_order_mark_where_files_were_joined_is_refused(tmp_path: Path, end: str) -> None:
    """It made another query of the second file's first, `\\ufeffq2`, which nothing judges."""
    path = tmp_path / "joined.run"
    path.write_text(f"q1 Q0 d1 1 2.0 t\n\ufeffq2 Q0 d1 1 2.0 t{end}", "utf-8")
    with pytest.raises(BadInput, match="line 2: a byte order mark begins it"):
        read_run(path)


@pytest.mark.parametrize(
    "line", ["q1 Q0 annex 7 1 0.5 t", "q 1 Q0 d1 1 0.5 t", "q1 Q0 a b 7 1 0.5 t"]
)
def test_an_id_with_a_space_is_no_rank_and_score(tmp_path: Path, line: str) -> None:
    """`annex 7` was doc annex with the score 1, its rank; what follows the tag is left out as before."""
    path = tmp_path / "spaced.run"
    path.write_text(f"{line}\n")
    with pytest.raises(BadInput, match=r"line 1: \d columns|the score .* is not a finite number"):
        read_run(path)
    path.write_text("q1 Q0 d1 1 0.5 my tag\nq1 Q0 d2 2 0.4 my 2nd tag\n")
    assert [doc.score for doc in read_run(path).rankings["q1"]] == [0.5, 0.4]
