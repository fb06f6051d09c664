"""Docs, queries and qrels from an ir_datasets id, a BEIR folder or other local files.

A *source* knows where a collection comes from and reads it, docs one at a time. A study writes the
docs once into a folder of its own (`write_docs`) and reads single docs from there by position in
the file (`StoredDocs`): nothing holds all texts in memory.

One file: a source and a study's own store read their records by the same reader.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from rankscope.core.errors import BadInput
from rankscope.core.fields import as_grade, as_text, check_id
from rankscope.core.formats import read_qrels
from rankscope.core.input_files import (
    ENDINGS,
    PARQUET_MAGIC,
    explained_reading,
    head_of,
    home_filled_in,
)
from rankscope.core.lines import read_lines
from rankscope.core.plain_json import json_value
from rankscope.core.records import Doc, Qrel, Query
from rankscope.core.rng import stream
from rankscope.core.trec.writing import write_qrels
from rankscope.core.words import counted, of_number, words
from rankscope.data.entries import Entry, entries
from rankscope.data.public import places

ID_FIELDS = ("_id", "doc_id", "query_id", "id")
ID_FIELD_OF_THE_OTHER = {"doc": "query_id", "query": "doc_id"}
"""The field that names something else where another names the thing."""
TEXT_FIELDS = ("text", "contents", "body")
HEAD_IDS = frozenset(
    {
        *ID_FIELDS,
        "docid",
        "docno",
        "pid",
        "qid",
        "query-id",
        "corpus-id",
        "doc-id",
        "doc",
        "document",
        "query",
        "topic",
        "number",
        "num",
        "identifier",
        "document_id",
        "passage_id",
        "topic_id",
        "question_id",
        "docs_id",
    }
)
HEAD_TEXTS = frozenset(
    {
        *TEXT_FIELDS,
        "title",
        "url",
        "passage",
        "doc",
        "document",
        "query",
        "question",
        "content",
        "abstract",
        "description",
        "paragraph",
        "sentence",
        "segment",
    }
)
"""Names of columns in the first line of a file that names them."""


class Source(Protocol):
    """A source of a collection: its docs, queries and qrels."""

    def docs(self) -> Iterator[Doc]:
        """All docs, one at a time."""
        ...

    def queries(self) -> Iterator[Query]:
        """All queries, judged or not."""
        ...

    def qrels(self) -> list[Qrel]:
        """The judgements."""
        ...

    def doc_names(self) -> dict[str, str]:
        """Names of the docs' content, for a source without files."""
        ...

    def topic_names(self) -> dict[str, str]:
        """Names of the queries' and qrels' content, for a source without files."""
        ...

    def doc_files(self) -> tuple[Path, ...]:
        """The files the docs are read from; none for a source that names its content."""
        ...

    def topic_files(self) -> tuple[Path, ...]:
        """The files that queries and qrels are read from."""
        ...


@final
@dataclass(frozen=True)
class LocalFiles:
    """Docs and queries as JSON (lines or a list), TSV or Parquet, packed or not; qrels in any form."""

    docs_path: Path
    queries_path: Path
    qrels_path: Path

    def docs(self) -> Iterator[Doc]:
        """All docs, one at a time."""
        return (Doc(*record) for record in _records(self.docs_path, "doc"))

    def queries(self) -> Iterator[Query]:
        """All queries, judged or not."""
        return (Query(*record) for record in _records(self.queries_path, "query"))

    def qrels(self) -> list[Qrel]:
        """The judgements."""
        return read_qrels(self.qrels_path)

    def doc_names(self) -> dict[str, str]:
        """Nothing: the file's bytes say what it holds."""
        return {}

    def topic_names(self) -> dict[str, str]:
        """Nothing: the files' bytes say what they hold."""
        return {}

    def doc_files(self) -> tuple[Path, ...]:
        """The one file of the docs."""
        return (self.docs_path,)

    def topic_files(self) -> tuple[Path, ...]:
        """The files of queries and qrels."""
        return (self.queries_path, self.qrels_path)


def beir_folder(folder: Path, split: str, *, option: str = "") -> LocalFiles:
    """The files of a folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/<split>.tsv.

    `option` is the command's option that names the split, which an error then names.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: there is no such folder. Give one in BEIR layout.")

    def one(name: str) -> Path:
        there = [path for path in _forms(folder / name) if path.is_file()]
        if len(there) > 1:
            raise BadInput(
                f"{folder}: {' and '.join(path.name for path in there)} are both there. Keep the one that is meant."
            )
        return there[0] if there else folder / name

    endings = [f".tsv{ending}" for ending in ("", *ENDINGS)]
    qrels = folder / "qrels"
    with explained_reading(qrels):  # `glob` would find nothing where nothing may be read
        names = [path.name for path in qrels.iterdir()] if qrels.is_dir() else []
    splits = sorted(
        {name.removesuffix(end) for name in names for end in endings if name.endswith(end)}
    )
    if split not in splits:
        known = ", ".join(splits) or "none: is this a folder in BEIR layout?"
        remedy = f" Name one by {option}." if option and splits else ""
        raise BadInput(
            f"{folder}: there is no split {split!r} in qrels/. There are: {known}.{remedy}"
        )
    return LocalFiles(one("corpus.jsonl"), one("queries.jsonl"), one(f"qrels/{split}.tsv"))


def _forms(path: Path) -> list[Path]:
    """The path of the file itself, and of its packed forms."""
    return [path.with_name(path.name + ending) for ending in ("", *ENDINGS)]


def source(collection: str, split: str, *, option: str = "--split") -> Source:
    """The source of a folder in BEIR layout, of a fetched collection (`public:NAME`), or of an ir_datasets id."""
    if places.named_in(collection) is not None:
        return beir_folder(places.path_of(collection), split, option=option)
    folder = home_filled_in(collection)
    return beir_folder(folder, split, option=option) if folder.is_dir() else IrDataset(collection)


def _records(path: Path, what: str) -> Iterator[tuple[str, str]]:
    """(id, text) of every entry of a file: JSON lines, one JSON list, Parquet, or id, tab, text."""
    seen: set[str] = set()
    for place, record_id, text in (
        _from_columns(path, what) if _is_tsv(path) else _from_json(path, what)
    ):
        if record_id in seen:
            raise BadInput(f"{place}: the {what} {record_id!r} stands here twice. Keep one.")
        seen.add(record_id)
        yield record_id, text
    if not seen:
        raise BadInput(f"{path}: no {what} in it. Give a file with at least one.")


def _is_tsv(path: Path) -> bool:
    """Whether a file's first line is id, tab, text, and neither JSON nor Parquet."""
    head = head_of(path)
    if head == PARQUET_MAGIC:
        return False
    if head[:1] not in (b"{", b"["):
        return True
    _, line = next(read_lines(path))
    if "\t" not in line:
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _from_columns(path: Path, what: str) -> Iterator[tuple[str, str, str]]:
    """(place, id, text) of every line; a line that names the two columns is no entry."""
    is_first = True
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        record_id, tab, text = line.partition("\t")
        if not tab:
            raise BadInput(_no_entry(place, what))
        names = [name.strip().casefold() for name in line.split("\t")]
        is_head = is_first and names[0] in HEAD_IDS and set(names[1:]) <= HEAD_TEXTS
        is_first = False
        if is_head and len(names) > 2:
            raise BadInput(
                f"{place}: it names {len(names)} columns ({', '.join(names)}), and two are read. Give id, tab, "
                "text, or JSON lines with `_id`, `title` and `text`."
            )
        if is_head:
            continue
        record_id = record_id.strip(" ")
        if len(record_id) > 1 and record_id[0] == record_id[-1] == '"':
            raise BadInput(
                f"{place}: the id {record_id} stands in quotes, which would be a part of it. Write the columns without "
                "quotes, or give JSON lines."
            )
        yield place, check_id(record_id, "", place), text


def _from_json(path: Path, what: str) -> Iterator[tuple[str, str, str]]:
    """(place, id, text) of every entry; the text is the title and the body."""
    for entry in _json_entries(path, what):
        if not isinstance(entry.value, dict):
            raise BadInput(_no_entry(entry.place, what))
        record_id, text = _id(entry, what), _body(entry)
        if record_id is None or text is None:
            raise BadInput(_no_entry(entry.place, what))
        yield entry.place, record_id, f"{entry.text('title') or ''} {text}".strip()


def _id(entry: Entry, what: str) -> str | None:
    """The id; that of a query is no doc's where there is one of the doc too, and the other way round."""
    own = (name for name in ID_FIELDS if name != ID_FIELD_OF_THE_OTHER[what])
    return entry.name("", *own) or entry.name("", ID_FIELD_OF_THE_OTHER[what])


def _body(entry: Entry) -> str | None:
    """The text; of several fields the one that is not blank, and BadInput where two have different texts."""
    texts = {name: entry.text(name) for name in TEXT_FIELDS if entry.first(name)}
    written = {name: text for name, text in texts.items() if text and text.strip()}
    if len(set(written.values())) > 1:
        raise entry.wrong(
            f"two texts, {' and '.join(f'`{name}`' for name in written)}",
            "Keep the one that is meant.",
        )
    return next(iter(written.values()), None) or next(iter(texts.values()), None)


def _json_entries(path: Path, what: str) -> Iterator[Entry]:
    if head_of(path)[:1] != b"{":
        yield from entries(path)
        return
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            yield Entry(place, json_value(line, place))
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{_no_entry(place, what)} ({error})") from error


def _no_entry(place: str, what: str) -> str:
    return (
        f"{place}: not a {what}. Expected JSON with an id ({', '.join(ID_FIELDS)}) "
        f"and a text ({', '.join(TEXT_FIELDS)}), or id, tab, text in a .tsv file."
    )


@final
class IrDataset:
    """A collection by its ir_datasets id, such as msmarco-passage/trec-dl-2019/judged."""

    def __init__(self, dataset_id: str) -> None:
        import ir_datasets

        self._id = dataset_id.removeprefix("irds:")
        try:
            self._dataset = ir_datasets.load(self._id)
        except KeyError as error:
            raise BadInput(
                f"{dataset_id!r} is neither a folder here nor an id that ir_datasets knows. "
                "Give a folder in BEIR layout or an id such as beir/scifact/test."
            ) from error

    def docs(self) -> Iterator[Doc]:
        """All docs, one at a time."""
        for doc in self._part("docs"):
            yield Doc(check_id(doc.doc_id, "doc", self._id), self._text(doc))

    def queries(self) -> Iterator[Query]:
        """All queries, judged or not."""
        for query in self._part("queries"):
            yield Query(check_id(query.query_id, "query", self._id), self._text(query))

    def _text(self, record: Any) -> str:
        return as_text(record.default_text(), "text", f"{self._id}, {record[0]}") or ""

    def qrels(self) -> list[Qrel]:
        """The judgements."""
        return [
            Qrel(
                check_id(qrel.query_id, "query", self._id),
                check_id(qrel.doc_id, "doc", self._id),
                as_grade(qrel.relevance, f"{self._id}, query {qrel.query_id}, doc {qrel.doc_id}"),
            )
            for qrel in self._part("qrels")
        ]

    def _part(self, part: str) -> Iterable[Any]:
        if not getattr(self._dataset, f"has_{part}")():
            raise BadInput(f"ir_datasets has no {part} for {self._id!r}. Use an id that has them.")
        try:
            yield from getattr(self._dataset, f"{part}_iter")()
        except (OSError, RuntimeError) as error:
            raise BadInput(
                f"ir_datasets cannot get the {part} of {self._id!r} ({str(error).splitlines()[0]}). Check the "
                "network, or give a local folder or file."
            ) from error

    def doc_names(self) -> dict[str, str]:
        """The id whose docs these are; collections over the same docs share it."""
        import ir_datasets

        return {"ir_datasets": ir_datasets.docs_parent_id(self._id)}

    def topic_names(self) -> dict[str, str]:
        """The id."""
        return {"ir_datasets": self._id}

    def doc_files(self) -> tuple[Path, ...]:
        """None: the id names the content, and ir_datasets checks what it downloads."""
        return ()

    def topic_files(self) -> tuple[Path, ...]:
        """None: the id names the content, and ir_datasets checks what it downloads."""
        return ()


@dataclass(frozen=True)
class Topics:
    """Judged queries and their judgements."""

    queries: list[Query]
    qrels: list[Qrel]


def judged_topics(
    source: Source, *, part: tuple[float, float] = (0, 1), limit: int | None = None, seed: int = 0
) -> Topics:
    """The judged queries of a source, sorted by id, or a part of them.

    `part` is an interval of the queries in an order shuffled by the seed: (0, 0.9) and (0.9, 1)
    never share a query. `limit` keeps the first so many of the part.
    """
    qrels = source.qrels()
    judged = {qrel.query_id for qrel in qrels}
    texts = {query.query_id: query for query in source.queries() if query.query_id in judged}
    without_text = sorted(judged - texts.keys())
    if without_text:
        raise BadInput(
            f"{len(without_text)} of {counted(len(judged), 'judged query', 'judged queries')} {of_number(len(without_text), 'has', 'have')} no text "
            f"(first: {without_text[0]}). Give the queries that belong to these qrels."
        )
    order = sorted(texts)
    stream(seed, "part").shuffle(order)
    kept = order[round(part[0] * len(order)) : round(part[1] * len(order))][:limit]
    if not kept:
        raise BadInput(
            f"The part {list(part)} of {counted(len(order), 'judged query', 'judged queries')} is empty. Widen it."
        )
    chosen = set(kept)
    return Topics(
        [texts[query_id] for query_id in sorted(chosen)],
        [qrel for qrel in qrels if qrel.query_id in chosen],
    )


def n_shared(topics: Topics, others: Topics) -> int:
    """The number of queries of `topics` that are among the others: of the same words, whatever their ids."""
    known = {words(query.text) for query in others.queries}
    return sum(words(query.text) in known for query in topics.queries)


def write_topics(topics: Topics, folder: Path) -> None:
    """Write queries and judgements into a folder for `read_topics`."""
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for query in topics.queries:
            file.write(json.dumps(query._asdict(), ensure_ascii=False) + "\n")
    write_qrels(folder / "qrels.trec", topics.qrels)


def read_topics(folder: Path) -> Topics:
    """Read the queries and judgements that `write_topics` wrote."""
    queries = [Query(*record) for record in _records(folder / "queries.jsonl", "query")]
    return Topics(queries, read_qrels(folder / "qrels.trec"))


def write_docs(docs: Iterable[Doc], folder: Path) -> int:
    """Write docs into a folder for `StoredDocs`; the number of docs."""
    offsets, ids = [0], []
    with (folder / "docs.jsonl").open("wb") as file:
        for doc in docs:
            line = json.dumps({"doc_id": doc.doc_id, "text": doc.text}, ensure_ascii=False)
            offsets.append(offsets[-1] + file.write(line.encode() + b"\n"))
            ids.append(doc.doc_id)
    np.save(folder / "offsets.npy", np.array(offsets, dtype=np.int64))
    (folder / "doc_ids.json").write_text(json.dumps(ids), "utf-8")
    return len(ids)


@final
class StoredDocs:
    """Docs in a folder, read singly: memory holds the ids, the disk the texts."""

    def __init__(self, folder: Path) -> None:
        ids = json.loads((folder / "doc_ids.json").read_text("utf-8"))
        self._file: mmap.mmap | bytes
        self._places = {doc_id: place for place, doc_id in enumerate(ids)}
        self._offsets = np.load(folder / "offsets.npy", mmap_mode="r")
        with (folder / "docs.jsonl").open("rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if ids else b""

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Doc]:
        return (Doc(doc_id, self.text(doc_id)) for doc_id in self._places)

    @property
    def doc_ids(self) -> list[str]:
        """The ids of all docs, by place."""
        return list(self._places)

    def key(self, doc_id: str) -> int | str:
        """A key that is equal for docs of the same words (a 64-bit digest); for a doc that is not here, its id."""
        place = self._places.get(doc_id)
        if place is None:
            return doc_id
        if not self._keys[place]:
            of_words = words(self.text_at(place)).encode(errors="surrogatepass")
            digest = hashlib.blake2b(of_words, digest_size=8).digest()
            self._keys[place] = int.from_bytes(digest, "little") or 1
        return int(self._keys[place])

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        """Keys by place; 0 for those not computed yet."""
        return np.zeros(len(self), dtype=np.uint64)

    def place(self, doc_id: str) -> int:
        """The place of a doc among all; BadInput if the collection does not have it."""
        place = self._places.get(doc_id)
        if place is None:
            raise BadInput(
                f"doc {doc_id!r} is ranked but not in the collection. "
                "Use the run with the collection it was made from."
            )
        return place

    def text_at(self, place: int) -> str:
        """The text of the doc at a place."""
        line = self._file[self._offsets[place] : self._offsets[place + 1]]
        return str(json.loads(line)["text"])

    def text(self, doc_id: str) -> str:
        """The text of one doc."""
        return self.text_at(self.place(doc_id))

    def n_bytes(self, doc_id: str) -> int:
        """The length of the doc's record, without reading it."""
        place = self.place(doc_id)
        return int(self._offsets[place + 1] - self._offsets[place])

    def is_empty(self, doc_id: str) -> bool:
        """Whether the doc has no text."""
        return not self.text(doc_id).strip()

    def texts(self, doc_ids: Sequence[str]) -> list[str]:
        """The texts of several docs, in their order."""
        return [self.text(doc_id) for doc_id in doc_ids]
