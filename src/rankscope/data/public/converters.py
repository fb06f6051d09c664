"""What makes a folder in BEIR layout of the files of a public collection.

corpus.jsonl       {"_id", "title", "text"}
queries.jsonl      {"_id", "text"}
qrels/SPLIT.tsv    query-id, corpus-id, score
"""

import csv
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from rankscope.core.errors import BadInput
from rankscope.core.formats import read_qrels
from rankscope.core.lines import read_lines
from rankscope.core.records import Qrel, Run, ScoredDoc
from rankscope.core.trec.writing import write_run
from rankscope.data.collections import IrDataset

Files = Mapping[str, Path]
"""The downloaded files by name."""
Converter = Callable[[Files, Path, Mapping[str, Any]], None]
"""Writes a folder from the files and the settings of the table."""
HEAD = "query-id\tcorpus-id\tscore"


# -- writing ----------------------------------------------------------------------------------------


def _write_texts(path: Path, texts: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)


def _write_qrels(folder: Path, split: str, qrels: Iterable[Qrel]) -> None:
    (folder / "qrels").mkdir(exist_ok=True)
    lines = [HEAD, *(f"{qrel.query_id}\t{qrel.doc_id}\t{qrel.relevance}" for qrel in qrels)]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")


def _doc(doc_id: str, text: str, title: str = "") -> dict[str, str]:
    return {"_id": doc_id, "title": title, "text": text}


def _query(query_id: str, text: str) -> dict[str, str]:
    return {"_id": query_id, "text": text}


def _changed(path: Path, why: str) -> BadInput:
    return BadInput(f"{path.name}: {why}, so the file is not what it was. Report it.")


# -- BEIR's archives --------------------------------------------------------------------------------


def beir_zip(files: Files, out: Path, settings: Mapping[str, Any]) -> None:  # noqa: ARG001
    """An archive of BEIR holds one folder in the layout."""
    (path,) = files.values()
    (out / "qrels").mkdir()
    with _zip(path) as archive:
        for member in archive.namelist():
            inside = member.partition("/")[2]
            is_split = inside.startswith("qrels/") and inside.endswith(".tsv")
            if inside in {"corpus.jsonl", "queries.jsonl"} or (is_split and inside.count("/") == 1):
                with archive.open(member) as read, (out / inside).open("wb") as written:
                    shutil.copyfileobj(read, written)
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (out / name).is_file():
            raise _changed(path, f"no {name} in it")


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise _changed(path, f"it is no zip archive ({error})") from error


# -- WikiQA -----------------------------------------------------------------------------------------


def wikiqa(files: Files, out: Path, settings: Mapping[str, Any]) -> None:  # noqa: ARG001
    """WikiQA's questions that have an answer, and the sentences they were judged with; the same sentence is one doc."""
    (path,) = files.values()
    docs: dict[str, str] = {}  # text -> id
    queries: list[dict[str, str]] = []
    with _zip(path) as archive:
        for split in ("train", "dev", "test"):
            judged = _answered(path, archive, split)
            qrels: dict[tuple[str, str], int] = {}
            for query_id, rows in judged.items():
                queries.append(_query(query_id, rows[0]["Question"]))
                for row in rows:
                    doc_id = docs.setdefault(row["Sentence"], row["SentenceID"])
                    key = query_id, doc_id
                    qrels[key] = max(qrels.get(key, 0), int(row["Label"]))
            _write_qrels(out, split, (Qrel(*key, grade) for key, grade in qrels.items()))
    _write_texts(out / "corpus.jsonl", (_doc(doc_id, text) for text, doc_id in docs.items()))
    _write_texts(out / "queries.jsonl", queries)


def _answered(
    path: Path, archive: zipfile.ZipFile, split: str
) -> dict[str, list[Mapping[str, str]]]:
    """The rows of each question of a split that has an answer."""
    name = f"WikiQACorpus/WikiQA-{split}.tsv"
    if name not in archive.namelist():
        raise _changed(path, f"no {name} in it")
    rows: dict[str, list[Mapping[str, str]]] = {}
    with archive.open(name) as file:
        table = csv.DictReader(
            TextIOWrapper(file, "utf-8", newline=""), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        needed = {"QuestionID", "Question", "SentenceID", "Sentence", "Label"}
        if not needed <= {*(table.fieldnames or ())}:
            raise _changed(path, f"{name} has other columns")
        for row in table:
            if row["Label"] not in {"0", "1"}:
                raise _changed(path, f"{name}, line {table.line_num} has no label")
            rows.setdefault(row["QuestionID"], []).append(row)
    return {
        query_id: judged
        for query_id, judged in rows.items()
        if any(row["Label"] == "1" for row in judged)
    }


# -- SQuAD ------------------------------------------------------------------------------------------


def squad(files: Files, out: Path, settings: Mapping[str, Any]) -> None:
    """SQuAD's paragraphs as docs; a question's one relevant doc is the paragraph it was asked about.

    The articles of `splits` are a split each, and all others are `train`: no article is in two.
    """
    (path,) = files.values()
    named = {title: split for split, titles in settings["splits"].items() for title in titles}
    docs: list[dict[str, str]] = []
    queries: list[dict[str, str]] = []
    qrels: dict[str, list[Qrel]] = {"train": [], **{split: [] for split in settings["splits"]}}
    try:
        articles = sorted(
            json.loads(path.read_text("utf-8"))["data"], key=lambda each: each["title"]
        )
        for article in articles:
            title = article["title"]
            for place, paragraph in enumerate(article["paragraphs"]):
                doc_id = f"{title}#{place}"
                docs.append(_doc(doc_id, paragraph["context"], title.replace("_", " ")))
                for question in paragraph["qas"]:
                    queries.append(_query(question["id"], question["question"].strip()))
                    qrels[named.get(title, "train")].append(Qrel(question["id"], doc_id, 1))
    except (ValueError, KeyError, TypeError) as error:
        raise _changed(path, f"it is not SQuAD's JSON ({error!r})") from error
    _write_texts(out / "corpus.jsonl", docs)
    _write_texts(out / "queries.jsonl", queries)
    for split, judged in qrels.items():
        if judged:
            _write_qrels(out, split, judged)


# -- facts ------------------------------------------------------------------------------------------

MASK = "[MASK]"
MOST_DOCS, LONGEST = 4, 600
"""The most sentences of a fact that are docs, and the most characters of one: more are paragraphs that nobody split."""
TEST_OF = 5
"""One subject of so many is a test subject, by the SHA-256 of its name."""


def facts(files: Files, out: Path, settings: Mapping[str, Any]) -> None:
    """LAMA's facts as questions after their object; sentences that state the fact are relevant.

    All facts of a subject are in one split, so that no test subject was seen in training.
    """
    docs: dict[str, str] = {}  # text -> id
    queries: list[dict[str, str]] = []
    qrels: dict[str, list[Qrel]] = {"train": [], "test": []}
    for relation, question in settings["questions"].items():
        for subject, sentences in _stated(files[f"{relation}.jsonl"]):
            query_id = f"{relation}-{len(queries):05}"
            queries.append(_query(query_id, question.replace("[X]", subject)))
            split = "test" if _number(subject) % TEST_OF == 0 else "train"
            for text in sentences:
                doc_id = docs.setdefault(text, f"d{len(docs):06}")
                qrels[split].append(Qrel(query_id, doc_id, 1))
    _write_texts(out / "corpus.jsonl", (_doc(doc_id, text) for text, doc_id in docs.items()))
    _write_texts(out / "queries.jsonl", queries)
    for split, judged in qrels.items():
        _write_qrels(out, split, judged)


def _stated(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The subject of each fact that a sentence states, and the first sentences that do."""
    for number, line in read_lines(path):
        try:
            fact = json.loads(line)
            sentences = dict.fromkeys(
                each["masked_sentence"].replace(MASK, each["obj_surface"]).strip()
                for each in fact["evidences"]
                if len(each["masked_sentence"]) <= LONGEST
            )
            subject = fact["sub_label"]
        except (ValueError, KeyError, TypeError) as error:
            raise _changed(path, f"line {number} is no fact of LAMA ({error!r})") from error
        if sentences:
            yield subject, [*sentences][:MOST_DOCS]


def _number(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16)


# -- docs of first stages ---------------------------------------------------------------------------

TEXTS = ("text", "segment", "contents", "content", "body", "passage")
"""Where rank_llm's files have the text of a doc."""


def ranked_docs(files: Files, out: Path, settings: Mapping[str, Any]) -> None:
    """The docs that first stages rank, out of rank_llm's files, with TREC's judgements; `runs/` has the runs."""
    docs: dict[str, str] = {}
    queries: dict[str, str] = {}
    (out / "runs").mkdir()
    for name, path in files.items():
        if path.suffix == ".jsonl":
            system = Path(name).stem
            run = Run.of(system, _ranked(path, docs, queries))
            write_run(out / "runs" / f"{system}.run", run)
    _write_texts(out / "corpus.jsonl", (_doc(doc_id, text) for doc_id, text in docs.items()))
    _write_texts(out / "queries.jsonl", (_query(*query) for query in queries.items()))
    judged = read_qrels(files[settings["qrels"]])
    _write_qrels(out, settings["split"], (qrel for qrel in judged if qrel.query_id in queries))
    for folder, names in settings["kept"].items():
        (out / folder).mkdir()
        for name in names:
            shutil.copyfile(files[name], out / folder / name)


def _ranked(path: Path, docs: dict[str, str], queries: dict[str, str]) -> Iterator[ScoredDoc]:
    """The ranked docs of a file; their texts and the queries' are put into `docs` and `queries`."""
    for number, line in read_lines(path):
        try:
            request = json.loads(line)
            query_id = str(request["query"]["qid"])
            queries[query_id] = request["query"]["text"]
            for candidate in request["candidates"]:
                doc, doc_id = candidate["doc"], str(candidate["docid"])
                docs.setdefault(doc_id, next(doc[name] for name in TEXTS if name in doc))
                yield ScoredDoc(query_id, doc_id, float(candidate["score"]))
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise _changed(path, f"line {number} has no ranked docs ({error!r})") from error


# -- ir_datasets ------------------------------------------------------------------------------------


def ir_datasets(files: Files, out: Path, settings: Mapping[str, Any]) -> None:  # noqa: ARG001
    """A collection that ir_datasets fetches and checks; `grades` puts other grades in the place of its own."""
    source, grades = IrDataset(settings["id"]), settings.get("grades", {})
    _write_texts(out / "corpus.jsonl", (_doc(doc.doc_id, doc.text) for doc in source.docs()))
    queries = (_query(query.query_id, query.text) for query in source.queries())
    _write_texts(out / "queries.jsonl", queries)
    judged = (
        qrel._replace(relevance=grades.get(qrel.relevance, qrel.relevance))
        for qrel in source.qrels()
    )
    _write_qrels(out, settings["split"], judged)


def as_they_are(files: Files, out: Path, settings: Mapping[str, Any]) -> None:  # noqa: ARG001
    """Files that are no collection, and are read as they come."""
    for name, path in files.items():
        shutil.copyfile(path, out / name)


CONVERTERS: Mapping[str, Converter] = {
    "beir_zip": beir_zip,
    "wikiqa": wikiqa,
    "squad": squad,
    "facts": facts,
    "ranked_docs": ranked_docs,
    "ir_datasets": ir_datasets,
    "as_they_are": as_they_are,
}
"""Converters by the name that the table gives."""
