"""10,000 spoilt files: reading one gives a run (or qrels) or a RankscopeError, never anything else.

What is accepted is held against readers written here that know nothing of ours.
"""

import ctypes
import gzip
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.core.errors import RankscopeError
from rankscope.core.formats import read_qrels, read_run, read_run_file
from rankscope.core.records import Run, ScoredDoc
from rankscope.core.trec.writing import write_run

Spoiler = Callable[[Random, bytes], bytes]
Table = dict[str, dict[str, float]]
T = TypeVar("T")

NUMBERS = [
    b"nan", b"-nan", b"inf", b"-Infinity", b"1e999", b"1e-999", b"1e308", b"-1e308", b"1_0", b"0x1p3",
    b"9" * 30, b"9" * 5000, b"1e", b"-0", b"+1", b"--1", b"", b"true", b"null", b"1,5", b"0.1e1", b".5",
]  # fmt: skip
ODDITIES = [
    "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\ufeff", "\u200b", "\x00", "\x0b", "\x0c", "\x1a",
    "\x1c", "\x1f", "\x7f", "\r", "\n", "\t", " ", "#", '"', "\\", "\\ud800", "é", "٣", "\U0001d4b3",
]  # fmt: skip
BYTES = [b"\xff", b"\xc3", b"\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80"]
JSON_PARTS = [
    b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b'"d1"', b"{}", b"[]", b'""', b'" "', b"NaN",
    b'"q1": {}', b'"score": 1', b'"qid": 7', b"[" * 3000,
]  # fmt: skip


# -- what is spoilt ------------------------------------------------------------------------------


def drawn(rng: Random) -> Table:
    """Three queries and their scored docs, with ties, signs and exponents."""
    scores = [3.5, 2.0, 2.0, 1.0, 0.0, -1.5, 1e-7, 12345.678, rng.random(), rng.gauss(0, 9)]
    return {
        f"q{query}": {
            f"d{doc}": rng.choice(scores) for doc in rng.sample(range(40), rng.randint(1, 4))
        }
        for query in range(1, 4)
    }


def trec(rng: Random) -> bytes:
    return "".join(
        f"{query} Q0 {doc} {rank} {score} tag\n"
        for query, docs in drawn(rng).items()
        for rank, (doc, score) in enumerate(docs.items(), 1)
    ).encode()


def three_columns(rng: Random) -> bytes:
    is_ranks = rng.random() < 0.5
    return "".join(
        f"{query}\t{doc}\t{rank if is_ranks else score}\n"
        for query, docs in drawn(rng).items()
        for rank, (doc, score) in enumerate(docs.items(), 1)
    ).encode()


def table(rng: Random) -> bytes:
    return json.dumps(drawn(rng), indent=rng.choice([None, 1])).encode()


def rankllm(rng: Random) -> bytes:
    entries = [
        {
            "query": {"text": "words", "qid": rng.choice([query, int(query[1:])])},
            "candidates": [
                {"docid": doc, "score": score, "doc": {}} for doc, score in docs.items()
            ],
        }
        for query, docs in drawn(rng).items()
    ]
    if rng.random() < 0.5:
        return json.dumps(entries).encode()
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def trec_qrels(rng: Random) -> bytes:
    return "".join(
        f"{query} 0 {doc} {rng.randint(-1, 3)}\n"
        for query, docs in drawn(rng).items()
        for doc in docs
    ).encode()


def beir_qrels(rng: Random) -> bytes:
    lines = (line.split() for line in trec_qrels(rng).splitlines())
    return b"query-id\tcorpus-id\tscore\n" + b"".join(
        b"\t".join([q, d, r]) + b"\n" for q, _, d, r in lines
    )


def json_qrels(rng: Random) -> bytes:
    return json.dumps(
        {q: dict.fromkeys(docs, rng.randint(0, 3)) for q, docs in drawn(rng).items()}
    ).encode()


# -- how it is spoilt ----------------------------------------------------------------------------


def at(rng: Random, data: bytes, put: bytes, *, over: int = 0) -> bytes:
    """`put` at some place, over so many bytes."""
    place = rng.randint(0, len(data))
    return data[:place] + put + data[place + over :]


def joined(columns: list[bytes]) -> bytes:
    return b" ".join(columns)


def of_lines(change: Callable[[Random, list[bytes]], None]) -> Spoiler:
    def spoilt(rng: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        change(rng, lines)
        return b"\n".join(lines)

    return spoilt


def columns_swapped(rng: Random, lines: list[bytes]) -> None:
    number = rng.randrange(len(lines))
    columns = lines[number].split()
    rng.shuffle(columns)
    lines[number] = joined(columns)


def column_dropped(rng: Random, lines: list[bytes]) -> None:
    place = rng.randint(0, 5)
    for number in range(len(lines) if rng.random() < 0.5 else 1):
        columns = lines[number].split()
        del columns[place : place + 1]
        lines[number] = joined(columns)


def line_twice(rng: Random, lines: list[bytes]) -> None:
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))


def line_dropped(rng: Random, lines: list[bytes]) -> None:
    del lines[rng.randrange(len(lines))]


def lines_shuffled(rng: Random, lines: list[bytes]) -> None:
    rng.shuffle(lines)


def ends_changed(rng: Random, data: bytes) -> bytes:
    return data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"\n\n", b" \n", b"", b"\x0b"]))


def number_changed(rng: Random, data: bytes) -> bytes:
    found = [*re.finditer(rb"-?\d[\d.e-]*", data)]
    if not found:
        return data
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(NUMBERS) + data[chosen.end() :]


SPOILERS: list[Spoiler] = [
    lambda rng, data: at(rng, data, b"", over=rng.randint(1, 9)),
    lambda rng, data: at(rng, data, rng.randbytes(rng.randint(1, 3)), over=rng.randint(0, 2)),
    lambda rng, data: at(rng, data, bytes([rng.randrange(32, 127)]), over=1),
    lambda rng, data: at(rng, data, rng.choice(ODDITIES).encode(), over=rng.randint(0, 1)),
    lambda rng, data: at(rng, data, rng.choice(BYTES)),
    lambda rng, data: at(rng, data, rng.choice(JSON_PARTS), over=rng.randint(0, 4)),
    lambda rng, data: data[: rng.randint(0, len(data))],
    lambda rng, data: data[rng.randint(0, len(data)) :],
    lambda rng, data: rng.choice([b"\xef\xbb\xbf", b"# head\n", b" ", b"\n\n", b"\xff\xfe"]) + data,
    lambda rng, data: data + rng.choice([data, b"\x1a", b"\x00", b"# end", b"{}", b"\r"]),
    lambda rng, data: data.decode(errors="ignore").encode("utf-16") if rng.random() < 0.1 else data,
    of_lines(columns_swapped),
    of_lines(column_dropped),
    of_lines(line_twice),
    of_lines(line_dropped),
    of_lines(lines_shuffled),
    ends_changed,
    number_changed,
    number_changed,
]  # fmt: skip


def spoilt(rng: Random, data: bytes) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 4])):
        data = rng.choice(SPOILERS)(rng, data)
    return data


def stored(rng: Random, data: bytes, folder: Path) -> Path:
    """The spoilt file; one in twenty is gzipped, and half of these are cut or not gzip at all."""
    is_packed = rng.random() < 0.05
    path = folder / ("spoilt.gz" if is_packed else "spoilt.txt")
    path.unlink(missing_ok=True)  # a new file is written several times as fast as an old one anew
    if not is_packed:
        path.write_bytes(data)
        return path
    packed = gzip.compress(data, 1, mtime=0)
    path.write_bytes(rng.choice([packed, packed, packed[: rng.randint(0, len(packed))], data]))
    return path


# -- what an accepted file holds, read without our code --------------------------------------------


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def rows(data: bytes) -> list[list[bytes]]:
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    kept = (
        re.split(rb"[ \t\r\v\f]+", line.strip(b" \t\r\v\f")) for line in lines if line[:1] != b"#"
    )
    return [line for line in kept if line != [b""]]


def as_c_reads(number: bytes) -> float:
    """A number as C has it: Python's would take 1_0 for 10."""
    assert re.fullmatch(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", number), number
    return float(number)


def as_trec_eval_keeps(score: float) -> float:
    """The score as a C float; ctypes, which numpy has no part in, gives infinity beyond its ends."""
    return ctypes.c_float(score).value


def expected(data: bytes, form: str) -> Table:
    found: Table = {}
    if form == "JSON":
        whole = json.loads(data.decode("utf-8-sig"))
        return {
            query: {d: float(s) for d, s in docs.items()} for query, docs in whole.items() if docs
        }
    if form == "RankLLM":
        text = data.decode("utf-8-sig")
        entries = json.loads(text) if text.lstrip().startswith("[") else None
        entries = entries or [json.loads(line) for line in text.split("\n") if line.strip()]
        tables = {
            str(e["query"]["qid"]): {str(d["docid"]): float(d["score"]) for d in e["candidates"]}
            for e in entries
        }
        return {query: docs for query, docs in tables.items() if docs}
    doc, score = (2, 4) if form == "TREC" else (1, 2)
    for columns in rows(data):
        of_query = found.setdefault(columns[0].decode(), {})
        assert columns[doc].decode() not in of_query
        value = as_c_reads(columns[score])
        of_query[columns[doc].decode()] = -value if form == "MS MARCO" else value
    return found


def read_or_refused(read: Callable[[Path], T], path: Path) -> T | None:
    """What is read; None where it is refused with the file's name."""
    try:
        return read(path)
    except RankscopeError as error:
        if path.name not in str(error):
            raise
    return None


def plain(run: Run) -> Table:
    return {query: {doc.doc_id: doc.score for doc in docs} for query, docs in run.rankings.items()}


def order(run: Run) -> dict[str, list[str]]:
    return {query: [doc.doc_id for doc in docs] for query, docs in run.rankings.items()}


@pytest.mark.parametrize(
    ("made", "n"),
    [
        (trec, 1500),
        pytest.param(trec, 4000, marks=pytest.mark.slow),
        (three_columns, 800),
        pytest.param(three_columns, 1500, marks=pytest.mark.slow),
        (table, 1200),
        (rankllm, 1000),
    ],
)
def test_a_spoilt_run_is_refused_or_read_as_it_stands(
    tmp_path: Path, made: Callable[[Random], bytes], n: int
) -> None:
    rng, n_accepted = Random(1), 0
    for number in range(n):
        path = stored(rng, spoilt(rng, made(rng)), tmp_path)
        found = read_or_refused(read_run_file, path)
        if found is None:
            continue
        n_accepted += 1
        told = expected(unpacked(path), found.form)
        assert plain(found.run) == told, (number, path.read_bytes())
        for query, docs in order(found.run).items():
            kept = {doc: as_trec_eval_keeps(told[query][doc]) for doc in docs}
            assert docs == sorted(docs, key=lambda d: (kept[d], d), reverse=True), number
        if number % 10 == 0:
            _written_and_read(found.run, tmp_path / "again.run")
    assert 0.05 * n < n_accepted < 0.95 * n


def _written_and_read(run: Run, path: Path) -> None:
    try:
        write_run(path, run)
    except RankscopeError:
        return
    assert order(read_run(path)) == order(run)


@pytest.mark.parametrize(("made", "n"), [(trec_qrels, 1200), (beir_qrels, 500), (json_qrels, 500)])
def test_spoilt_qrels_are_refused_or_read_as_they_stand(
    tmp_path: Path, made: Callable[[Random], bytes], n: int
) -> None:
    rng, n_accepted = Random(2), 0
    for number in range(n):
        path = stored(rng, spoilt(rng, made(rng)), tmp_path)
        found = read_or_refused(read_qrels, path)
        if found is None:
            continue
        n_accepted += 1
        data = unpacked(path)
        if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            whole = json.loads(data.decode("utf-8-sig"))
            told = {(query, doc): grade for query, of in whole.items() for doc, grade in of.items()}
        else:
            lines = [columns for columns in rows(data) if columns[0] != b"query-id"]
            told = {
                (columns[0].decode(), columns[-2].decode()): as_c_reads(columns[-1])
                for columns in lines
            }
        assert {(q, d): grade for q, d, grade in found} == told, (number, data)
    assert 0.05 * n < n_accepted < 0.95 * n


def test_a_spoilt_parquet_file_is_refused_or_read(tmp_path: Path) -> None:
    rng, path = Random(3), tmp_path / "spoilt.parquet"
    pd.DataFrame(
        [(q, d, s) for q, docs in drawn(rng).items() for d, s in docs.items()],
        columns=["q_id", "doc_id", "score"],
    ).to_parquet(path)
    whole, n_accepted = path.read_bytes(), 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice([1, 2, 8])):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        path.write_bytes(
            bytes(data[: rng.choice([len(data), len(data), rng.randrange(len(data))])])
        )
        found = read_or_refused(read_run, path)
        if found is None:
            continue
        n_accepted += 1
        assert all(math.isfinite(doc.score) for docs in found.rankings.values() for doc in docs)
    assert 0 < n_accepted < 300


# -- what is whole is read as it was written -------------------------------------------------------

IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\v\f\0"),
    min_size=1,
    max_size=8,
)
TABLES = st.dictionaries(
    IDS.filter(lambda name: name[0] not in "#\ufeff{["),
    st.dictionaries(IDS, st.floats(-1e30, 1e30), min_size=1, max_size=5),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(TABLES)
def test_any_run_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, table: Table
) -> None:
    folder = tmp_path_factory.mktemp("whole")
    run = Run.of("r", (ScoredDoc(q, d, s) for q, docs in table.items() for d, s in docs.items()))
    write_run(folder / "r.run", run)
    assert order(read_run(folder / "r.run")) == order(run)
    lines = [f"{q} Q0 {d} 0 {s!r} t" for q, docs in table.items() for d, s in docs.items()]
    (folder / "exact.run").write_bytes("\n".join(lines).encode())
    (folder / "r.json").write_text(json.dumps(table))
    for name in ("exact.run", "r.json"):
        assert plain(read_run(folder / name)) == table
