"""Every form a run and qrels may have, and every mistake in them."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels, read_run, read_run_file
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_run

TREC = "q1 Q0 d2 1 3.5 mine\nq1 Q0 d1 2 -0.5 mine\nq2 Q0 d1 1 1e-3 mine\n"
SCORES = {"q1": {"d2": 3.5, "d1": -0.5}, "q2": {"d1": 0.001}}
ENTRIES = [
    {
        "query": {"qid": query, "text": "words"},
        "candidates": [
            {"docid": doc, "score": score, "doc": {"text": "x"}} for doc, score in docs.items()
        ],
    }
    for query, docs in SCORES.items()
]
FRAME = pd.DataFrame(
    [(q, d, s) for q, docs in SCORES.items() for d, s in docs.items()],
    columns=["q_id", "doc_id", "score"],
)


def stored(folder: Path, name: str, content: bytes | str | pd.DataFrame) -> Path:
    path = folder / name
    if isinstance(content, pd.DataFrame):
        content.to_parquet(path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def scores(run: Run) -> dict[str, dict[str, float]]:
    return {query: {doc.doc_id: doc.score for doc in docs} for query, docs in run.rankings.items()}


RUNS: dict[str, tuple[str, bytes | str | pd.DataFrame, str]] = {
    "TREC": ("a.run", TREC, "TREC"),
    "tabs": ("a.tsv", TREC.replace(" ", "\t"), "TREC"),
    "gzip": ("a.run.gz", gzip.compress(TREC.encode()), "TREC"),
    "comments": ("a.run", "# ir_metadata.start\n# x: 1\n" + TREC + "# end\n", "TREC"),
    "byte order mark": ("a.run", b"\xef\xbb\xbf" + TREC.encode(), "TREC"),
    "byte order mark and comment": ("a.run", b"\xef\xbb\xbf# x\n" + TREC.encode(), "TREC"),
    "CRLF": ("a.run", TREC.replace("\n", "\r\n"), "TREC"),
    "blank lines and no last newline": ("a.run", "\n\n" + TREC.replace("\n", "\n \n").strip(), "TREC"),
    "leading spaces": ("a.run", "  " + TREC, "TREC"),
    "ranks all 0": ("a.run", TREC.replace(" 1 ", " 0 ").replace(" 2 ", " 0 "), "TREC"),
    "no ranks": ("a.run", TREC.replace(" 1 ", " - ").replace(" 2 ", " - "), "TREC"),
    "three columns": ("a.tsv", "q1 d2 3.5\nq1 d1 -0.5\nq2 d1 1e-3\n", "three columns"),
    "JSON": ("a.json", json.dumps(SCORES), "JSON"),
    "indented JSON": ("a.txt", "\n" + json.dumps(SCORES, indent=2), "JSON"),
    "JSON after a byte order mark": ("a.json", b"\xef\xbb\xbf" + json.dumps(SCORES).encode(), "JSON"),
    "JSON gzipped": ("a.json.gz", gzip.compress(json.dumps(SCORES).encode()), "JSON"),
    "RankLLM lines": ("a.jsonl", "\n".join(json.dumps(e) for e in ENTRIES), "RankLLM"),
    "RankLLM list": ("a.json", json.dumps(ENTRIES), "RankLLM"),
    "RankLLM one entry over several lines": ("a.json", json.dumps(ENTRIES, indent=1), "RankLLM"),
    "ranx Parquet": ("a.parquet", FRAME, "Parquet"),
    "PyTerrier Parquet": (
        "a.parquet",
        FRAME.rename(columns={"q_id": "qid", "doc_id": "docno"}).assign(rank=0, query="words"),
        "Parquet",
    ),
    "Parquet with queries as its index": ("a.parquet", FRAME.set_index("q_id"), "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("what", RUNS)
def test_the_same_run_comes_out_of_every_form(tmp_path: Path, what: str) -> None:
    name, content, form = RUNS[what]
    found = read_run_file(stored(tmp_path, name, content))
    assert scores(found.run) == SCORES
    assert [doc.doc_id for doc in found.run.rankings["q1"]] == ["d2", "d1"]
    noted = ["its third column was read as the score: the highest is the best"]
    assert (found.form, list(found.notes)) == (form, noted if form == "three columns" else [])
    assert found.run.tag == ("mine" if form == "TREC" else "a")


def test_a_gzipped_parquet_file_is_unpacked(tmp_path: Path) -> None:
    plain = stored(tmp_path, "a.parquet", FRAME)
    packed = stored(tmp_path, "a.parquet.gz", gzip.compress(plain.read_bytes()))
    assert read_run(packed).rankings == read_run(plain).rankings


def test_a_folder_named_as_a_column_adds_none(tmp_path: Path) -> None:
    """pyarrow takes `score=3/` for a column of the data set."""
    (tmp_path / "score=3").mkdir()
    assert scores(read_run(stored(tmp_path / "score=3", "a.parquet", FRAME))) == SCORES


def test_ms_marco_ranks_order_the_docs(tmp_path: Path) -> None:
    found = read_run_file(stored(tmp_path, "a.tsv", "7\t20\t1\n7\t10\t2\n8\t5\t1\n"))
    assert scores(found.run) == {"7": {"20": -1.0, "10": -2.0}, "8": {"5": -1.0}}
    assert found.form == "MS MARCO"
    assert "read as the rank: 1 is the best" in found.notes[0]


@pytest.mark.parametrize("spelt", ["q d2 1.0\nq d1 2.0\nr d1 1.0\n", "q d2 1\nq d1 2\nr d1 1.\n"])
def test_ranks_are_ranks_however_they_are_spelt(tmp_path: Path, spelt: str) -> None:
    """Read as scores, one rank written 1. would turn every query round."""
    found = read_run_file(stored(tmp_path, "a.tsv", spelt))
    assert found.form == "MS MARCO"
    assert scores(found.run) == {"q": {"d2": -1.0, "d1": -2.0}, "r": {"d1": -1.0}}


@pytest.mark.parametrize(
    "text",
    [
        "q d2 2\nq d1 1\n",
        "q d1 0\nq d2 1\n",
        "q d1 1\nq d2 3\nr d1 1\n",
        "q d1 5\nq d2 7\n",
        "q d1 1.0\nq d2 3.0\n",
    ],
    ids=["counts, but not down the file", "from 0", "a gap", "rises", "rises as decimals"],
)
def test_three_columns_that_may_be_ranks_or_scores_are_refused(tmp_path: Path, text: str) -> None:
    """Read as scores, the worst doc of a run of ranks would be its best."""
    path = stored(tmp_path, "a.tsv", text)
    with pytest.raises(BadInput, match=r"a\.tsv: .* may be a rank or a score\. Number the ranks"):
        read_run(path)


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.run", TREC.replace("d2 1 3.5", "d2 2 3.5").replace("d1 2 -0.5", "d1 1 -0.5"),
         "in 1 of 2 queries (first: q1) its ranks and its scores order docs differently"),
        ("a.run", TREC.replace("1e-3 mine", "1e-3 other"), "2 tags (mine, other); the first one counts"),
        ("a.run", TREC.replace("-0.5 mine", "-0.5 mine and more"), "the tag in 1 of its lines was left out"),
        ("a.json", json.dumps([ENTRIES[0] | {"candidates": ENTRIES[0]["candidates"][::-1]}, ENTRIES[1]]),
         "in 1 of 2 queries (first: q1) its candidates stand in another order than their scores'"),
    ],
)  # fmt: skip
def test_what_a_file_says_twice_and_differently_is_noted(
    tmp_path: Path, name: str, text: str, note: str
) -> None:
    found = read_run_file(stored(tmp_path, name, text))
    assert scores(found.run) == SCORES
    (told,) = found.notes
    assert note in told


def test_numbers_as_ids_in_rankllm_are_text(tmp_path: Path) -> None:
    entry = {"query": {"qid": 7}, "candidates": [{"docid": 8, "score": 1}]}
    assert scores(read_run(stored(tmp_path, "a.json", json.dumps([entry])))) == {"7": {"8": 1.0}}


def with_first(**values: object) -> pd.DataFrame:
    """The frame with other values in its first row."""
    frame = FRAME.astype(object)
    for column, value in values.items():
        frame[column] = [value, *frame[column][1:]]
    return frame


BAD_RUNS: dict[str, tuple[str, bytes | str | pd.DataFrame, str]] = {
    "NaN": ("a.run", TREC + "q3 Q0 d1 1 NaN mine\n", r"line 4: the score 'NaN' is not a finite .*drop the line"),
    "infinity": ("a.run", "# x\n\nq Q0 d 1 -inf t\n", r"line 3: the score '-inf'"),
    "too large": ("a.run", "q Q0 d 1 1e999 t\n", r"line 1: the score '1e999'"),
    "underscore": ("a.run", "q Q0 d 1 1_0 t\n", r"line 1: the score '1_0'"),
    "three columns, underscore": ("a.tsv", "q d 1_0\n", r"line 1: the score '1_0'"),
    "doc twice": ("a.run", TREC + "q1 Q0 d3 3 0 mine\nq1 Q0 d1 4 -9 mine\n", r"line 5: query q1 ranks doc d1 twice\. Keep one"),
    "doc twice, three columns": ("a.tsv", "q d 2.5\n# x\nq d 2.5\n", r"line 3: query q ranks doc d twice"),
    "empty query id": ("a.run", TREC + " Q0 d1 1 1 t\n", r"line 4: the query id is empty\. Put it in front"),
    "five columns": ("a.run", TREC + "q1 d9 1 0.5 mine\n", r"line 4: expected 6 columns .* found 5\. Rewrite"),
    "four of three columns": ("a.tsv", "q d 2.5\nq d 0 2.5\n", r"line 2: expected 3 columns .* found 4"),
    "carriage returns alone": ("a.tsv", "1\t100\t1\r1\t101\t2\r", r"line 1: a carriage return .*End lines with"),
    "NUL": ("a.run", "q Q0 d\0a 1 1 t\n", r"line 1: an id holds a NUL.*Take the NUL out"),
    "UTF-16": ("a.run", TREC.encode("utf-16"), r"it is UTF-16\. Convert it to UTF-8"),
    "not UTF-8": ("a.run", b"q Q0 d\xff 1 1 t\n", r"line 1: not readable as UTF-8 text .*Convert it"),
    "empty": ("a.run", "", r"an empty run\. Give a file"),
    "comments only": ("a.run", "# nothing\n", r"an empty run"),
    "half a gzip": ("a.run.gz", gzip.compress(TREC.encode() * 99)[:60], r"Compressed file ended.*unpack it"),
    "not a gzip": ("a.run.gz", TREC, r"Not a gzipped file.*unpack it"),
    "score as text": ("a.json", '{"q": {"d": "1.5"}}', r"query q, doc d: the score '1.5' is not a finite .*drop the doc"),
    "score as bool": ("a.json", '{"q": {"d": true}}', r"query q, doc d: the score True"),
    "score null": ("a.json", '{"q": {"d": null}}', r"query q, doc d: the score None"),
    "JSON NaN": ("a.json", '{"q": {"d": NaN}}', r"query q, doc d: the score nan"),
    "query twice in JSON": ("a.json", '{"q": {"d": 1}, "q": {"e": 1}}', r"'q' stands twice in one table; keep one"),
    "doc twice in JSON": ("a.json", '{"q": {"d": 1, "d": 2}}', r"'d' stands twice in one table; keep one"),
    "id with a space": ("a.json", '{"q": {"d 1": 1}}', r"the doc id 'd 1' .*Give it as text without spaces"),
    "id that begins with a space": ("a.json", '{" q": {"d": 1}}', r"the query id ' q' "),
    "empty query id in JSON": ("a.json", '{"": {"d": 1}}', r"the query id '' "),
    "NUL in JSON": ("a.json", '{"q": {"d\\u0000a": 1}}', r"the doc id 'd\\x00a' "),
    "half a character in JSON": ("a.json", '{"q": {"\\ud800": 1}}', r"the doc id '\\ud800' "),
    "JSON cut off": ("a.json", '{"q": {"d": 1},\n"r"', r"line 2: not JSON .*Mend that line"),
    "JSON nested too deep": ("a.json", "[" * 9999, r"not readable as JSON \(.*recursion.*Mend it"),
    "JSON integer too long": ("a.json", '{"q": {"d": ' + "9" * 5000 + "}}", r"not readable as JSON .*Mend it"),
    "JSON not UTF-8": ("a.json", b'{"q": {"d\xff": 1}}', r"not readable as UTF-8 text .*Convert it"),
    "table without docs": ("a.json", '{"q": 1}', r"expected a table of queries, .*Rewrite it so"),
    "empty JSON": ("a.json", "{}", r"an empty run"),
    "queries without docs": ("a.json", '{"q": {}}', r"an empty run"),
    "two tables": ("a.jsonl", '{"q": {"d": 1}}\n{"r": {"d": 1}}', r"line 1: expected a RankLLM result .*Give one of the two"),
    "lists in lines": ("a.jsonl", json.dumps(ENTRIES) + "\n" + json.dumps(ENTRIES), r"line 1: expected a RankLLM result"),
    "RankLLM without a score": ("a.json", '[{"query": {"qid": "q"}, "candidates": [{"docid": "d"}]}]', r"entry 1: not a RankLLM result \(KeyError\('score'\)\)\. Expected"),
    "RankLLM ranks a query again": ("a.jsonl", "\n".join(json.dumps(e) for e in [*ENTRIES, ENTRIES[0]]), r"line 3: query q1 was ranked before\. Keep one"),
    "RankLLM without an id": ("a.json", '[{"query": {"qid": null}, "candidates": [{"docid": "d", "score": 1}]}]', r"the query id None is not text"),
    "not Parquet": ("a.parquet", b"PAR1 and then nothing", r"not readable as Parquet .*Write it again"),
    "Parquet without docs": ("a.parquet", FRAME[["q_id", "score"]], r"no column doc_id or docno .*only q_id, score\. Rename one"),
    "Parquet, text as score": ("a.parquet", FRAME.astype(str), r"query q1, doc d2: the score '3.5'"),
    "Parquet, NaN": ("a.parquet", FRAME.assign(score=[1.0, float("nan"), 2.0]), r"query q1, doc d1: the score nan"),
    "Parquet, ids that are numbers": ("a.parquet", FRAME.assign(doc_id=1), r"the doc id 1 is not text"),
    "Parquet, lists": ("a.parquet", FRAME.assign(q_id=[["q"]] * 3), r"neither text nor a number .*Give one each"),
    "Parquet, no rows": ("a.parquet", FRAME[:0], r"an empty run"),
    "Parquet, doc twice": ("a.parquet", pd.concat([FRAME, FRAME]), r"query q1 ranks doc d2 twice\. Keep one"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_RUNS)
def test_a_mistake_in_a_run_is_named_with_its_place_and_a_remedy(tmp_path: Path, what: str) -> None:
    name, content, message = BAD_RUNS[what]
    path = stored(tmp_path, name, content)
    with pytest.raises(BadInput, match=message) as caught:
        read_run(path)
    assert str(caught.value).startswith(str(path))


# -- qrels -----------------------------------------------------------------------------------------

GRADES = [Qrel("q1", "d1", 2), Qrel("q1", "d2", 0), Qrel("q2", "d1", -1)]
QRELS_FRAME = pd.DataFrame(GRADES, columns=["qid", "docno", "label"])
QRELS: dict[str, tuple[str, bytes | str | pd.DataFrame]] = {
    "TREC": ("a.qrels", "q1 0 d1 2\nq1\t0\td2\t0\r\n# x\n\nq2 0 d1 -1"),
    "TREC gzipped": ("a.qrels.gz", gzip.compress(b"q1 0 d1 +2\nq1 0 d2 00\nq2 Q0 d1 -1\n")),
    "BEIR": ("a.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t-1\n"),
    "JSON": ("a.json", '{"q1": {"d1": 2, "d2": 0}, "q2": {"d1": -1}}'),
    "PyTerrier Parquet": ("a.parquet", QRELS_FRAME),
    "ranx Parquet": ("a.parquet", QRELS_FRAME.set_axis(["q_id", "doc_id", "score"], axis=1)),
    "ir_measures Parquet": (
        "a.parquet",
        QRELS_FRAME.set_axis(["query_id", "doc_id", "relevance"], axis=1),
    ),
}


@pytest.mark.parametrize("what", QRELS)
def test_the_same_qrels_come_out_of_every_form(tmp_path: Path, what: str) -> None:
    assert read_qrels(stored(tmp_path, *QRELS[what])) == GRADES


BAD_QRELS: dict[str, tuple[str, bytes | str | pd.DataFrame, str]] = {
    "underscore": ("a.qrels", "q 0 d 1_0\n", r"line 1: the relevance '1_0' is not a whole number"),
    "fraction": ("a.qrels", "q 0 d 1\nq 0 e 1.5\n", r"line 2: the relevance '1.5'"),
    "two signs": ("a.qrels", "q 0 d --1\n", r"line 1: the relevance '--1'"),
    "beyond any grade": ("a.qrels", "q 0 d 1000001\n", r"line 1: the relevance 1000001 is beyond 1000000\. Give a grade"),
    "more digits than Python reads": ("a.qrels", "q 0 d " + "9" * 5000, r"line 1: the relevance 9{20} is beyond"),
    "a run": ("a.run", TREC, r"line 1: expected 4 columns .* found 6"),
    "three columns without a head": ("a.tsv", "q d 1\n", r"line 1: expected 4 columns .* found 3\. Qrels are"),
    "judged twice": ("a.qrels", "q 0 d 1\nq 0 d 2\n", r"line 2: query q, doc d was judged 1 before and 2 here\. Keep one"),
    "NUL": ("a.qrels", "q\0 0 d 1\n", r"line 1: an id holds a NUL"),
    "BEIR's head alone": ("a.tsv", "query-id\tcorpus-id\tscore\n", r"no judgement in it\. Give"),
    "JSON, text": ("a.json", '{"q": {"d": "1"}}', r"query q, doc d: the relevance '1' is not a whole number but text\. Give it without quotes"),
    "JSON, bool": ("a.json", '{"q": {"d": true}}', r"query q, doc d: the relevance True"),
    "JSON, fraction": ("a.json", '{"q": {"d": 0.5}}', r"query q, doc d: the relevance 0.5 is not a whole number"),
    "JSON, beyond any grade": ("a.json", '{"q": {"d": 9999999999}}', r"query q, doc d: the relevance is beyond"),
    "JSON, doc twice": ("a.json", '{"q": {"d": 1, "d": 1}}', r"'d' stands twice"),
    "JSON, nothing": ("a.json", "{}", r"no judgement in it\. Give"),
    "JSON, more tables": ("a.jsonl", '{"q": {"d": 1}}\n{"r": {"d": 1}}\n', r"line 2: more follows .*Put all judgements into one"),
    "Parquet without grades": ("a.parquet", QRELS_FRAME[["qid", "docno"]], r"no column relevance or label .*Rename one"),
    "Parquet, NaN": ("a.parquet", QRELS_FRAME.assign(label=[1.0, float("nan"), 2.0]), r"the relevance nan is not a whole number"),
    "Parquet, judged twice": ("a.parquet", pd.concat([QRELS_FRAME, QRELS_FRAME.assign(label=9)]), r"query q1, doc d1 was judged 2 and 9\. Keep one"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_QRELS)
def test_a_mistake_in_qrels_is_named_with_its_place(tmp_path: Path, what: str) -> None:
    name, content, message = BAD_QRELS[what]
    path = stored(tmp_path, name, content)
    with pytest.raises(BadInput, match=message) as caught:
        read_qrels(path)
    assert str(caught.value).startswith(str(path))


# -- writing and reading again ---------------------------------------------------------------------


def test_a_written_run_keeps_its_order_through_ties_and_the_ends_of_float32(tmp_path: Path) -> None:
    given = {"a": 1e300, "b": 1e300, "c": 1.0, "d": 1.0 + 1e-12, "e": 0.0, "f": -0.0, "g": -1e38}
    run = Run.of("r", [ScoredDoc("q", doc, score) for doc, score in given.items()])
    write_run(tmp_path / "a.run", run)
    ranked = [doc.doc_id for doc in read_run(tmp_path / "a.run").rankings["q"]]
    assert (
        ranked == [doc.doc_id for doc in run.rankings["q"]] == ["b", "a", "d", "c", "f", "e", "g"]
    )


def test_metadata_stands_at_the_head_and_is_passed_over(tmp_path: Path) -> None:
    run = Run.of("r", [ScoredDoc("q", "d", 1.0)])
    write_run(tmp_path / "a.run", run, metadata={"platform": {"software": "é\n# x"}})
    head, *_, last = (tmp_path / "a.run").read_text().splitlines()
    assert (head, last) == ("# ir_metadata.start", "q Q0 d 1 1.0 r")
    assert read_run(tmp_path / "a.run") == run


@pytest.mark.parametrize(
    ("query_id", "doc_id", "score", "message"),
    [
        ("#q", "d", 1.0, "'#q' begins as a comment"),
        ("\ufeffq", "d", 1.0, "byte order mark"),
        ("q", "d 1", 1.0, "the doc id 'd 1'"),
        ("", "d", 1.0, "the query id ''"),
        ("q", "d", -1e39, "lower than float32 goes"),
    ],
)
def test_what_would_not_be_read_back_is_not_written(
    tmp_path: Path, query_id: str, doc_id: str, score: float, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        write_run(tmp_path / "a.run", Run.of("r", [ScoredDoc(query_id, doc_id, score)]))
    assert not (tmp_path / "a.run").exists()
