"""What stands in a file of text, read by readers that know nothing of ours.

`as_...` gives what stands there as plain values, `plain_...` the same as bytes that no reader can err about. Both raise
where nothing can be read: a file that ours reads and these do not is a fault of ours.
"""

import bz2
import csv
import ctypes
import gzip
import io
import json
import lzma
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

import pandas as pd
import yaml

Table = dict[str, dict[str, float]]
"""Query to doc to score or grade."""
MARK = b"\xef\xbb\xbf"


def json_lines(entries: list[Any]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


# -- bytes, lines, cells --------------------------------------------------------------------------


def unpacked(data: bytes) -> bytes:
    for magic, way in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
        if data.startswith(magic):
            data = way.decompress(data)  # type: ignore[attr-defined]
            break
    return data.removeprefix(MARK)


def text_lines(data: bytes) -> list[str]:
    """The lines that are not blank."""
    lines = unpacked(data).decode().replace("\r\n", "\n").split("\n")
    return [line for line in lines if line.strip()]


def rows(data: bytes) -> list[list[bytes]]:
    lines = (line.strip(b" \t\r\v\f") for line in unpacked(data).split(b"\n") if line[:1] != b"#")
    return [re.split(rb"[ \t\r\v\f]+", line) for line in lines if line]


def number(text: bytes) -> float:
    assert re.fullmatch(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text), text
    return float(text)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a name stands there twice"
    return dict(pairs)


def parsed(text: str) -> Any:
    found = json.loads(text, object_pairs_hook=once)
    json.dumps(found, ensure_ascii=False).encode()  # half a character in it raises
    return found


def frame(data: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(unpacked(data)))


def is_parquet(data: bytes) -> bool:
    return unpacked(data)[:4] == b"PAR1"


def plain_values(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, whose lists and numbers are Python's."""
    return [
        {name: value.tolist() if hasattr(value, "tolist") else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def entries(data: bytes) -> list[Any]:
    """Of a JSON list, JSON lines or Parquet."""
    if is_parquet(data):
        return plain_values(frame(data))
    text = unpacked(data).decode()
    if text.lstrip().startswith("["):
        return list(parsed(text))
    return [parsed(line) for line in text.split("\n") if line.strip()]


def an_id(value: Any) -> str:
    assert type(value) in (str, int)
    assert str(value).encode().split() == [str(value).encode()]
    assert "\0" not in str(value)
    return str(value)


def is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def a_text(value: Any) -> str:
    if is_none(value):
        return ""
    assert isinstance(value, str)
    return value


def words(value: Any) -> str:
    assert a_text(value).strip(), "no text"
    return str(value)


def a_score(value: Any) -> float:
    assert type(value) in (int, float)
    assert math.isfinite(value)
    return float(value)


def a_list(value: Any) -> list[Any]:
    assert is_none(value) or isinstance(value, list)
    return [] if is_none(value) else list(value)


def kept(entry: Mapping[str, Any], **read: Callable[[Any], Any]) -> dict[str, Any]:
    """The fields that are there, each as it is read."""
    assert isinstance(entry, dict)
    return {
        name: reader(entry[name]) for name, reader in read.items() if not is_none(entry.get(name))
    }


# -- runs and qrels -------------------------------------------------------------------------------


def as_run(data: bytes) -> Table:
    if is_parquet(data):
        return _of_frame(frame(data), "score")
    if unpacked(data).lstrip()[:1] in (b"{", b"["):
        return _json_run(data)
    found: Table = {}
    for columns in rows(data):
        assert len(columns) >= 6 or len(columns) == 3
        doc, score = (2, 4) if len(columns) >= 6 else (1, 2)
        of_query = found.setdefault(columns[0].decode(), {})
        assert columns[doc].decode() not in of_query
        of_query[columns[doc].decode()] = number(columns[score])
    if {len(columns) for columns in rows(data)} == {3} and all(
        [*docs.values()] == [*range(1, len(docs) + 1)] for docs in found.values()
    ):
        return {query: {doc: -rank for doc, rank in docs.items()} for query, docs in found.items()}
    return found


def _json_run(data: bytes) -> Table:
    text = unpacked(data).decode()
    try:
        whole = parsed(text)
    except json.JSONDecodeError:
        whole = entries(data)
    if isinstance(whole, dict) and "candidates" in whole:
        whole = [whole]
    if isinstance(whole, list):
        pairs = [
            (an_id(entry["query"]["qid"]), [(an_id(d["docid"]), d["score"]) for d in entry["candidates"]])
            for entry in whole
        ]  # fmt: skip
        whole = {query: once(docs) for query, docs in once(pairs).items()}
    return {
        an_id(query): {an_id(doc): a_score(score) for doc, score in docs.items()}
        for query, docs in whole.items()
        if docs
    }


def _of_frame(table: pd.DataFrame, value: str) -> Table:
    found: Table = {}
    for row in table.to_dict("records"):
        of_query, doc = found.setdefault(an_id(row["query_id"]), {}), an_id(row["doc_id"])
        assert doc not in of_query
        of_query[doc] = a_score(row[value])
    return found


def plain_run(data: bytes) -> bytes:
    """In its own form: columns or JSON."""
    found = as_run(data)
    if is_parquet(data) or unpacked(data).lstrip()[:1] in (b"{", b"["):
        return json.dumps(found).encode()
    return b"".join(b" ".join(columns) + b"\n" for columns in rows(data))


def as_qrels(data: bytes) -> dict[str, dict[str, int]]:
    if is_parquet(data):
        table = _of_frame(frame(data), "relevance")
        pairs = [(q, d, g) for q, docs in table.items() for d, g in docs.items()]
    elif unpacked(data).lstrip()[:1] == b"{":
        whole = parsed(unpacked(data).decode())
        pairs = [(an_id(q), an_id(d), g) for q, docs in whole.items() for d, g in docs.items()]
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
        assert found.setdefault(query, {}).setdefault(doc, int(grade)) == int(grade)
    return found


def plain_qrels(data: bytes) -> bytes:
    table = [(q, d, g) for q, docs in as_qrels(data).items() for d, g in docs.items()]
    return "".join(f"{query} 0 {doc} {grade}\n" for query, doc, grade in table).encode()


def in_order(docs: Mapping[str, float]) -> list[str]:
    """By the score as a C float, then by the id's bytes, both descending: trec_eval's order."""
    return sorted(
        docs, key=lambda doc: (ctypes.c_float(docs[doc]).value, doc.encode()), reverse=True
    )


# -- texts, groups --------------------------------------------------------------------------------


def as_texts(data: bytes) -> dict[str, str]:
    first = unpacked(data).lstrip().split(b"\n")[0]
    begins_as_json = first[:1] in (b"{", b"[") and not (
        b"\t" in first and not first.endswith((b"}", b"}\r"))
    )
    if not is_parquet(data) and not begins_as_json:
        pairs = [line.split("\t", 1) for line in text_lines(data)]
        pairs = pairs[1:] if pairs[0] == ["id", "text"] else pairs
        return once([(an_id(record.strip(" ")), text) for record, text in pairs])
    return once([_a_text_by_id(entry) for entry in entries(data)])


def _a_text_by_id(entry: Mapping[str, Any]) -> tuple[str, str]:
    assert isinstance(entry["text"], str)
    return an_id(entry["_id"]), f"{a_text(entry.get('title'))} {entry['text']}".strip()


def plain_texts(data: bytes) -> bytes:
    return json_lines([{"_id": name, "text": text} for name, text in as_texts(data).items()])


def plain_groups(data: bytes) -> bytes:
    pairs = [line.split("\t") if "\t" in line else line.split() for line in text_lines(data)]
    assert {len(columns) for columns in pairs} == {2}
    groups = {an_id(query.strip()): group.strip() for query, group in pairs}
    return "".join(f"{query}\t{group}\n" for query, group in groups.items()).encode()


# -- teachers -------------------------------------------------------------------------------------


def given_lists(data: bytes) -> list[tuple[str, list[tuple[str, float]]]]:
    """Each entry's query and docs with their scores, as often as they stand there."""
    return [
        (
            an_id(entry["query_id"]),
            [*zip(map(an_id, entry["document_ids"]), map(a_score, entry["scores"]), strict=True)],
        )
        for entry in entries(data)
    ]


def as_lists(data: bytes) -> Table:
    """The first list of each query, the first score of each of its docs: what more there is must be told."""
    found: Table = {}
    for query, docs in given_lists(data):
        found.setdefault(query, dict(reversed(docs)))
    return found


def _ids(value: Any) -> list[str]:
    return [an_id(each) for each in a_list(value)]


def _scores(value: Any) -> list[float]:
    return [a_score(each) for each in a_list(value)]


def _words(value: Any) -> list[str]:
    return [words(each) for each in a_list(value)]


def _passages(value: Any) -> list[dict[str, Any]]:
    ids = dict.fromkeys(["docid", "passage_id"], an_id)
    return [kept(each, **ids, title=a_text, text=a_text, score=a_score) for each in a_list(value)]  # type: ignore[arg-type]


def _response(value: Any) -> Any:
    if isinstance(value, list):
        assert all(type(each) is int for each in value)
        return value
    return a_text(value)


def _window(value: Any) -> list[int]:
    start, end = value
    assert (type(start), type(end)) == (int, int)
    return [start, end]


FIELDS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "kd": {"query_id": an_id, "document_ids": _ids, "scores": _scores},
    "flag_embedding": {
        "query": words, "pos": _words, "neg": _words, "pos_scores": _scores, "neg_scores": _scores,
    },
    "tevatron": {
        "query_id": an_id, "query": a_text, "positive_passages": _passages, "negative_passages": _passages,
    },
    "dpr": {"question": words, "positive_ctxs": _passages, "hard_negative_ctxs": _passages},
    "answers": {"query_id": an_id, "response": _response, "window": _window},
    "candidates": {"query_id": an_id, "query": a_text, "retrieved_passages": _passages},
    "sampled": dict.fromkeys(
        ["question", "positive_context", "negative_context_0", "negative_context_1"], words
    ),
}  # fmt: skip
"""What is read of an entry of each kind, and how."""


def plain_entries(kind: str) -> Callable[[bytes], bytes]:
    """The entries of a kind with the fields that are read, one a line."""
    return lambda data: json_lines([kept(entry, **FIELDS[kind]) for entry in entries(data)])


def plain_answers(data: bytes) -> bytes:
    """In one JSON list: some are texts, some name their query."""
    found = [
        kept(entry, **FIELDS["answers"]) | {"response": _response(entry["response"])}
        if isinstance(entry, dict)
        else _response(entry)
        for entry in entries(data)
    ]
    return json.dumps(found).encode()


# -- CSV ------------------------------------------------------------------------------------------


def csv_rows(data: bytes) -> list[dict[str, str]]:
    text = io.StringIO("\n".join(text_lines(data)), newline="")
    found = [*csv.DictReader(text)]
    assert not any(None in row for row in found), "more fields than the first line has"
    return [{name: (value or "").strip() for name, value in row.items()} for row in found]


def plain_csv(
    *columns: str, numbers: Mapping[str, Callable[[str], Any]]
) -> Callable[[bytes], bytes]:
    """The columns that are read; those of numbers must hold finite ones."""

    def plain(data: bytes) -> bytes:
        file = io.StringIO(newline="")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in csv_rows(data):
            for name, read in numbers.items():
                assert math.isfinite(read(row[name]))
            writer.writerow([row[name] for name in columns])
        return file.getvalue().encode()

    return plain


plain_cells = plain_csv(
    "test", "first_stage", "system", "measure", "mean", numbers={"mean": Decimal}
)
plain_curves = plain_csv(
    "dataset", "encoder", "model", "num_passages", "layer", "accuracy",
    numbers={"num_passages": int, "layer": int, "accuracy": float},
)  # fmt: skip

# -- YAML -----------------------------------------------------------------------------------------


class _Plain(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML whose dates and odd numbers are text, and whose names stand once."""

    yaml_implicit_resolvers: ClassVar[Any] = {}


def _table(loader: _Plain, node: Any) -> dict[str, Any]:
    assert isinstance(node, yaml.MappingNode)
    loader.flatten_mapping(node)
    found = once([(loader.construct_object(key), loader.construct_object(value, deep=True)) for key, value in node.value])  # fmt: skip
    assert all(isinstance(name, str) for name in found)
    return found


_Plain.add_constructor("tag:yaml.org,2002:map", _table)
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", "(?i:yes|no|true|false|on|off)", [*"yYnNtTfFoO"]),
    ("int", "[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+|0b[01]+)", [*"-+0123456789"]),
    ("float", r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9]+)([eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+.0123456789"]),
    ("merge", "<<", ["<"]),
):  # fmt: skip
    _Plain.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first
    )  # type: ignore[no-untyped-call]


def as_yaml(data: bytes) -> Any:
    """Packed or not; UTF-16 and UTF-32 by their marks."""
    marks = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), "utf-8")
    return yaml.load(unpacked(data).decode(encoding).removeprefix("\ufeff"), _Plain)


def plain_yaml(data: bytes) -> bytes:
    return yaml.safe_dump(as_yaml(data), sort_keys=False, allow_unicode=True).encode()
