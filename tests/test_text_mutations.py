"""Spoilt text files through every verb that takes them: refused in one sentence, or read as they stand.

Two classes. *Structure* (cut short, empty, another header, other types, foreign bytes, packed): exit 1 with one
line, or exit 0 with the result of what stands in the file. *Values* (a score, an id, a grade, an order): exit 0
with pytrec_eval's value of the same file, or exit 1. What stands in a file is read here by readers that know
nothing of ours. 300 files; `RANKSCOPE_MUTATIONS=5000`, or the slow test, for more. Shown by `-s`: seed and counts.
"""

import bz2
import ctypes
import gzip
import io
import json
import lzma
import math
import os
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import pytrec_eval

from support.command import Answer, Command

Table = dict[str, dict[str, float]]

SEED = 22
DOCS = {
    "d1": "red cats sleep on the mat", "d2": "blue birds sing at night", "d3": "a red fox and a hen",
    "d4": "naïve cafés sell tea", "d5": "the night is blue", "d6": "hens and cats",
}  # fmt: skip
QUERIES = {"q1": "red cats", "q2": "blue night", "q3": "hens and tea"}
GRADES = {"q1": {"d1": 2, "d3": 1, "d6": 0}, "q2": {"d2": 1, "d5": 2}, "q3": {"d4": 1, "d6": 3}}
MEASURES = {"RR": "recip_rank", "AP": "map", "nDCG": "ndcg"}


def drawn(rng: Random) -> Table:
    scores = [3.5, 2.0, 2.0, 1.0, 0.0, -1.5, 1e-7, 20.0, 20.0000001, rng.gauss(0, 9)]
    return {query: {doc: rng.choice(scores) for doc in rng.sample([*DOCS], 4)} for query in QUERIES}


def json_lines(entries: list[Any]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


# -- forms: whole files -----------------------------------------------------------------------------


def trec_run(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    return "".join(
        gap.join([query, "Q0", doc, str(rank), str(score), "tag"]) + "\n"
        for query, docs in drawn(rng).items()
        for rank, (doc, score) in enumerate(docs.items(), start=1)
    ).encode()


def json_run(rng: Random) -> bytes:
    return json.dumps(drawn(rng), indent=rng.choice([None, 1])).encode()


def trec_qrels(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    rows = [(q, "0", d, str(g)) for q, docs in GRADES.items() for d, g in docs.items()]
    return "".join(gap.join(row) + "\n" for row in rows).encode()


def beir_qrels(rng: Random) -> bytes:
    rows = [f"{q}\t{d}\t{g}\n" for q, docs in GRADES.items() for d, g in docs.items()]
    return ("query-id\tcorpus-id\tscore\n" + "".join(rows)).encode()


def json_qrels(rng: Random) -> bytes:
    return json.dumps(GRADES, indent=rng.choice([None, 1])).encode()


def json_docs(rng: Random) -> bytes:
    return json_lines(
        [{"_id": doc, "title": rng.choice(["", "a"]), "text": text} for doc, text in DOCS.items()]
    )


def tsv_docs(rng: Random) -> bytes:
    return "".join(f"{doc}\t{text}\n" for doc, text in DOCS.items()).encode()


def json_queries(rng: Random) -> bytes:
    return json_lines([{"_id": query, "text": text} for query, text in QUERIES.items()])


def group_lines(rng: Random) -> bytes:
    gap = rng.choice([" ", "\t"])
    return "".join(
        f"{query}{gap}{group}\n" for query, group in zip(QUERIES, "aab", strict=True)
    ).encode()


def answers(rng: Random) -> bytes:
    def order() -> str:
        return " > ".join(f"[{number}]" for number in rng.sample(range(1, 5), 4))

    return json_lines([{"query_id": query, "response": order()} for query in QUERIES])


def scored_lists(rng: Random) -> bytes:
    return json_lines(
        [
            {"query_id": query, "document_ids": [*docs], "scores": [*docs.values()]}
            for query, docs in drawn(rng).items()
        ]
    )


# -- what spoils them -------------------------------------------------------------------------------

TYPES = [
    b"null", b"NaN", b"[]", b"{}", b"true", b"7.5", b"7", b'"\\ud83d"', b"1e999", b'["liver", "pain"]',
    b'{"en": "lung"}', b'"a b"', b'""', b'"\\u0000"', b"-0", b'"2"', b"2.0", b"9" * 5000,
]  # fmt: skip
HEADS = [
    b"\xef\xbb\xbf", b"# head\n", b"query_id\titer\tdoc_id\trelevance\n", b"id\ttext\n", b"query-id\tcorpus-id\tscore\n",
    b"[", b"{", b"\x00", b"\n \n", b"query_id,doc_id,score\n", b"<html><body>log in</body></html>\n",
]  # fmt: skip
FOREIGN = [
    b"\x89PNG\r\n\x1a\n" + bytes(40), b"%PDF-1.4\n", b"<!DOCTYPE html><html></html>", b"\x80\x04\x95\x0b\0\0\0.",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", b"PAR1" + bytes(20), b"\x28\xb5\x2f\xfd" + bytes(9),
    b"SQLite format 3\0", bytes(range(256)), b"\xff\xfe\x41\0", b"null", b"[]", b"{}", b"7", b'"text"', b"[" * 5000,
]  # fmt: skip
NUMBERS = [
    b"20.0000001", b"20", b"1e39", b"-1e39", b"1e-46", b"2.0", b"0.5", b"-1", b"nan", b"inf", b"1_0", b"1e5", b"+3", b"0x1",
    b"16777217", b"1000001", b"3,5", b"true", b".5", b"1.", b"9" * 400,
]  # fmt: skip


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside", data)
    return file.getvalue()


def tarred(data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo("inside")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def twice(data: bytes) -> bytes:
    return gzip.compress(gzip.compress(data, mtime=0), mtime=0)


PACKED = [gzip.compress, bz2.compress, lzma.compress]
ARCHIVED = [
    zipped,
    tarred,
    twice,
    lambda data: gzip.compress(data)[:-9],
    lambda data: lzma.compress(data)[:50],
]


def of_a_line(change: Callable[[Random, list[bytes]], bytes]) -> Callable[[Random, bytes], bytes]:
    def spoilt(rng: Random, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = rng.randrange(len(lines))
        lines[at] = change(rng, re.split(rb"[ \t]", lines[at]))
        return b"\n".join(lines)

    return spoilt


def column_dropped(rng: Random, columns: list[bytes]) -> bytes:
    del columns[rng.randrange(len(columns))]
    return b"\t".join(columns)


def column_split(rng: Random, columns: list[bytes]) -> bytes:
    at = rng.randrange(len(columns))
    return b"\t".join([*columns[:at], b"annex " + columns[at], *columns[at + 1 :]])


def type_changed(rng: Random, data: bytes) -> bytes:
    found = [*re.finditer(rb'"(?:[^"\\]|\\.)*"(?!\s*:)|(?<=[:\s\[])-?\d[\d.e-]*', data)]
    if not found:
        return data
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(TYPES) + data[chosen.end() :]


STRUCTURE: list[Callable[[Random, bytes], bytes]] = [
    lambda rng, data: data[: rng.randint(0, len(data))],
    lambda rng, data: rng.choice([b"", b"\n\n", b" "]),
    lambda rng, data: rng.choice(HEADS) + data,
    lambda rng, data: rng.choice(FOREIGN) + rng.choice([b"", data]),
    lambda rng, data: rng.choice(PACKED)(data),
    lambda rng, data: rng.choice(ARCHIVED)(data),
    lambda rng, data: data.decode().encode(rng.choice(["utf-16", "utf-16-le", "utf-32"])),
    lambda rng, data: data.replace(b"\n", rng.choice([b"\r\n", b"\r", b"", b"\n\n", b"\x0b"])),
    lambda rng, data: data.replace(*rng.choice([(b"\t", b" "), (b" ", b"\t"), (b"\t", b","), (b" ", b"\xc2\xa0")])),
    of_a_line(column_dropped),
    of_a_line(column_split),
    type_changed,
    type_changed,
    lambda rng, data: data + rng.choice([data, b"{}", b"\x1a", b"\x00", b"# end"]),
]  # fmt: skip


def number_changed(rng: Random, data: bytes) -> bytes:
    found = [*re.finditer(rb"(?<=[\s:\[])-?\d[\d.e-]*(?=[\s,\]}])", data)] or [
        *re.finditer(rb"\d", data)
    ]
    chosen = rng.choice(found)
    return data[: chosen.start()] + rng.choice(NUMBERS) + data[chosen.end() :]


def id_changed(rng: Random, data: bytes) -> bytes:
    chosen = rng.choice([*re.finditer(rb"\b[qd]\d\b", data)])
    other = rng.choice(
        [
            b"d9",
            b"q9",
            b"d1",
            b"q1",
            b"\xc3\xa9",
            b"d1 ",
            b"x y",
            b"",
            b"#q",
            b"\xed\xa0\xbd",
            b"D1",
        ]
    )
    return data[: chosen.start()] + other + data[chosen.end() :]


def lines_shuffled(rng: Random, data: bytes) -> bytes:
    head, *lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return head + b"".join(lines)


VALUES: list[Callable[[Random, bytes], bytes]] = [
    number_changed,
    number_changed,
    id_changed,
    lines_shuffled,
]

# -- what stands in a file, read without our code ----------------------------------------------------


def unpacked(data: bytes) -> bytes:
    for magic, way in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
        if data.startswith(magic):
            data = way.decompress(data)  # type: ignore[attr-defined]
            break
    return data.removeprefix(b"\xef\xbb\xbf")


def rows(data: bytes) -> list[list[bytes]]:
    lines = (line.strip(b" \t\r\v\f") for line in unpacked(data).split(b"\n") if line[:1] != b"#")
    return [re.split(rb"[ \t\r\v\f]+", line) for line in lines if line]


def number(text: bytes) -> float:
    assert re.fullmatch(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text), text
    return float(text)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def parsed(text: str) -> Any:
    found = json.loads(text, object_pairs_hook=once)
    json.dumps(found, ensure_ascii=False).encode()  # half a character in it raises
    return found


def as_run(data: bytes) -> Table:
    if unpacked(data).lstrip()[:1] == b"{":
        whole = parsed(unpacked(data).decode())
        return {
            query: {d: float(s) for d, s in docs.items()} for query, docs in whole.items() if docs
        }
    found: Table = {}
    for columns in rows(data):
        doc, score = (2, 4) if len(columns) >= 6 else (1, 2)
        of_query = found.setdefault(columns[0].decode(), {})
        assert columns[doc].decode() not in of_query
        of_query[columns[doc].decode()] = number(columns[score])
    return found


def as_qrels(data: bytes) -> dict[str, dict[str, int]]:
    if unpacked(data).lstrip()[:1] == b"{":
        whole = parsed(unpacked(data).decode())
        pairs = [(q, d, g) for q, docs in whole.items() for d, g in docs.items()]
        assert not any(isinstance(grade, bool | str) for *_, grade in pairs)
    else:
        lines = rows(data)
        is_beir = lines[0] == [b"query-id", b"corpus-id", b"score"]
        lines = lines[1:] if is_beir else lines
        assert {len(columns) for columns in lines} == {3 if is_beir else 4}
        pairs = [(c[0].decode(), c[-2].decode(), number(c[-1])) for c in lines]
    found: dict[str, dict[str, int]] = {}
    for query, doc, grade in pairs:
        assert float(grade).is_integer()
        found.setdefault(query, {})[doc] = int(grade)
    return found


def entries(data: bytes) -> list[Any]:
    text = unpacked(data).decode()
    if text.lstrip().startswith("["):
        return list(parsed(text))
    return [parsed(line) for line in text.split("\n") if line.strip()]


def an_id(value: Any) -> str:
    assert type(value) in (str, int)
    assert str(value).encode().split() == [str(value).encode()]
    return str(value)


def a_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    assert isinstance(value, str)
    return value


def as_texts(data: bytes) -> dict[str, str]:
    first = unpacked(data).lstrip().split(b"\n")[0]
    if first[:1] not in (b"{", b"[") or (b"\t" in first and not first.endswith((b"}", b"}\r"))):
        lines = [
            line
            for line in unpacked(data).decode().replace("\r\n", "\n").split("\n")
            if line.strip()
        ]
        pairs = [line.split("\t", 1) for line in lines]
        pairs = pairs[1:] if pairs[0] == ["id", "text"] else pairs
        return {an_id(record.strip(" ")): text for record, text in pairs}
    found = {}
    for entry in entries(data):
        assert isinstance(a_text(entry["text"]), str)
        assert entry["text"] == entry["text"], "no NaN"
        found[an_id(entry["_id"])] = f"{a_text(entry.get('title'))} {entry['text']}".strip()
    assert len(found) == len(entries(data))
    return found


def as_lists(data: bytes) -> Table:
    return {
        an_id(entry["query_id"]): dict(
            zip(map(an_id, entry["document_ids"]), entry["scores"], strict=True)
        )
        for entry in entries(data)
    }


def in_order(docs: Mapping[str, float]) -> list[str]:
    """By the score as a C float, then by the id's bytes, both descending: trec_eval's order."""
    return sorted(
        docs, key=lambda doc: (ctypes.c_float(docs[doc]).value, doc.encode()), reverse=True
    )


# -- verbs and what they must answer -----------------------------------------------------------------


class Case(NamedTuple):
    """A verb over the folder's files, of which one is spoilt, and what it must have answered with 0."""

    file: str
    made: Callable[[Random], bytes]
    words: tuple[str, ...]
    check: Callable[[Path, Answer, bytes, "Again"], None]


Again = Callable[[bytes], Answer]
"""The same command over another file in the place of the spoilt one."""


def measured(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    run, qrels = as_run((folder / "a.run").read_bytes()), as_qrels((folder / "qrels").read_bytes())
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(MEASURES.values())).evaluate(run)
    (ours,) = json.loads(answer.out)["runs"]
    assert ours["per_query"].keys() == qrels.keys()
    for query, values in ours["per_query"].items():
        for name, its_name in MEASURES.items():
            expected = theirs.get(query, {}).get(its_name, 0.0)
            assert values[name] == pytest.approx(expected, abs=1e-5), (query, name)


def converted(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    found: dict[str, list[str]] = {}
    scores: dict[str, list[float]] = {}
    for columns in rows((folder / "out").read_bytes()):
        found.setdefault(columns[0].decode(), []).append(columns[2].decode())
        scores.setdefault(columns[0].decode(), []).append(ctypes.c_float(float(columns[4])).value)
    assert found == {query: in_order(docs) for query, docs in as_run(data).items()}
    assert all(each == sorted(set(each), reverse=True) for each in scores.values())


def compared(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    groups = {}
    for line in unpacked(data).decode().replace("\r\n", "\n").split("\n"):
        if line.strip():
            columns = line.split("\t") if "\t" in line else line.split()
            groups[an_id(columns[0].strip())] = columns[1].strip()
    plain = "".join(f"{query}\t{group}\n" for query, group in groups.items()).encode()
    assert json.loads(answer.out) == json.loads(again(plain).out)


def searched(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    written = (folder / "out").read_bytes()
    plain = json_lines([{"_id": name, "text": text} for name, text in as_texts(data).items()])
    (folder / "out").unlink()
    again(plain)
    assert written == (folder / "out").read_bytes()


def ordered(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    shown = {  # ties by rank, which goes down the file
        query: sorted(docs, key=lambda doc: -docs[doc])
        for query, docs in as_run((folder / "a.run").read_bytes()).items()
    }
    found: dict[str, list[str]] = {}
    for columns in rows((folder / "out").read_bytes()):
        found.setdefault(columns[0].decode(), []).append(columns[2].decode())
    n_clean = 0
    for entry in entries(data):
        query, response = str(entry["query_id"]), entry["response"]
        n = len(shown.get(query, ()))
        ids = re.findall(r"\d+", response) if isinstance(response, str) else []
        is_clean = response == " > ".join(f"[{number}]" for number in ids)
        if n and is_clean and {*map(int, ids)} == {*range(1, n + 1)}:
            n_clean += 1
            assert found[query] == [shown[query][int(number) - 1] for number in dict.fromkeys(ids)]
    told = json.loads(answer.out)
    assert n_clean == len(entries(data)) or told["n_repaired_answers"] or told["dropped_lists"]


def listed(folder: Path, answer: Answer, data: bytes, again: Again) -> None:
    found: dict[str, list[str]] = {}
    for columns in rows((folder / "out").read_bytes()):
        found.setdefault(columns[0].decode(), []).append(columns[2].decode())
    assert found == {query: in_order(docs) for query, docs in as_lists(data).items()}


EVALUATE = ("evaluate", "a.run", "--qrels", "qrels", "--measures", " ".join(MEASURES), "--json")
COMPARE = (
    "compare",
    "a=a.run",
    "b=b.run",
    "--qrels",
    "qrels",
    "--groups",
    "groups",
    "--resamples",
    "0",
    "--json",
)
SEARCH = ("search", "bm25", "--collection", "beir", "--out", "out", "--depth", "5")
CASES: dict[str, Case] = {
    "TREC run": Case("a.run", trec_run, EVALUATE, measured),
    "JSON run": Case("a.run", json_run, EVALUATE, measured),
    "TREC run, converted": Case("a.run", trec_run, ("convert", "a.run", "--out", "out"), converted),
    "JSON run, converted": Case("a.run", json_run, ("convert", "a.run", "--out", "out"), converted),
    "TREC qrels": Case("qrels", trec_qrels, EVALUATE, measured),
    "BEIR qrels": Case("qrels", beir_qrels, EVALUATE, measured),
    "JSON qrels": Case("qrels", json_qrels, EVALUATE, measured),
    "groups": Case("groups", group_lines, COMPARE, compared),
    "JSON docs": Case("beir/corpus.jsonl", json_docs, SEARCH, searched),
    "TSV docs": Case("beir/corpus.jsonl", tsv_docs, SEARCH, searched),
    "JSON queries": Case("beir/queries.jsonl", json_queries, SEARCH, searched),
    "answers": Case("answers", answers, ("teacher", "answers", "--candidates", "a.run", "--out", "out", "--format", "permutations", "--json"), ordered),
    "scored lists": Case("lists", scored_lists, ("teacher", "lists", "--out", "out", "--format", "kd", "--json"), listed),
}  # fmt: skip


def whole_files(rng: Random) -> dict[str, bytes]:
    return {
        "a.run": trec_run(rng), "b.run": trec_run(rng), "qrels": trec_qrels(rng), "groups": group_lines(rng),
        "beir/corpus.jsonl": json_docs(rng), "beir/queries.jsonl": json_queries(rng),
        "beir/qrels/test.tsv": beir_qrels(rng),
    }  # fmt: skip


def is_refusal(answer: Answer) -> bool:
    """Whether it is exit 1 with one line that names something; BadInput's, never a traceback."""
    if answer.code == 0:
        return False
    lines = answer.err.splitlines()
    assert (answer.code, answer.out) == (1, ""), answer
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("rankscope: "), answer.err
    assert len(lines[0]) < 900, "a sentence, not the file"
    return True


def spoil_and_ask(rankscope: Command, n: int) -> Counter[tuple[str, str, str]]:
    """Counts by form, class and outcome of so many spoilt files."""
    found: Counter[tuple[str, str, str]] = Counter()
    names = [*CASES]
    for at in range(n):
        rng, name = Random(f"{SEED} {at}"), names[at % len(names)]
        case = CASES[name]
        files = whole_files(rng)
        kind, ways = rng.choice([("structure", STRUCTURE), ("value", VALUES)])
        data = rng.choice(ways)(rng, case.made(rng))
        for path, content in (files | {case.file: data}).items():
            Path(path).write_bytes(content)
        Path("out").unlink(missing_ok=True)

        def again(content: bytes, case: Case = case) -> Answer:
            Path(case.file).write_bytes(content)
            return rankscope(*case.words)

        try:
            answer = rankscope(*case.words)
            refused = is_refusal(answer)
            if refused:
                assert not Path("out").exists(), "nothing half-written is left"
            else:
                case.check(Path(), answer, data, again)
        except Exception as error:
            error.add_note(f"seed {SEED}, file {at}, {name}, {kind}: {data[:600]!r}")
            raise
        found[name, kind, "refused" if refused else "read"] += 1
    return found


@pytest.mark.parametrize(
    "n",
    [
        int(os.environ.get("RANKSCOPE_MUTATIONS", "300")),
        pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_a_spoilt_text_file_is_refused_in_one_sentence_or_read_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rankscope: Command, n: int
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    found = spoil_and_ask(rankscope, n)
    print(f"\nseed {SEED}, {n} files")  # noqa: T201
    for kind in ("structure", "value"):
        for outcome in ("refused", "read"):
            each = {name: found[name, kind, outcome] for name in CASES}
            print(f"{kind}, {outcome}: {sum(each.values())} ({each})")  # noqa: T201
            assert sum(each.values()) > n / 40
