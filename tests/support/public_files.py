"""Made-up files of the layouts that public collections have, and a table in which their sums are stated."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

from rankscope.data.public.table import PUBLIC, PublicCollection

WORDS = ["red", "green", "blue", "cat", "dog", "bird", "mat", "tree", "house", "river"]


def _zip(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def wikiqa(n_questions: int = 12) -> bytes:
    """Each question has an answer and three other sentences, but every fifth has none; one sentence is of two."""
    columns = [
        "QuestionID",
        "Question",
        "DocumentID",
        "DocumentTitle",
        "SentenceID",
        "Sentence",
        "Label",
    ]
    files = {}
    for split, first in (("train", 0), ("dev", 100), ("test", 200)):
        rows = [columns]
        for place in range(first, first + n_questions):
            word, other = WORDS[place % 10], WORDS[place // 10 % 10]
            question = f'where is the "{word}" {other} of {place} ?'
            has_answer = place % 5 != 4
            sentences = [
                f"The {word} {other} of {place} is here ." if has_answer else f"None of {place} .",
                *(f"A {WORDS[(place + n) % 10]} of {place} sits on a mat ." for n in (1, 2)),
                "Nobody knows .",
            ]
            rows += [
                [f"Q{place}", question, f"D{place}", word, f"D{place}-{n}", text, str(int(n == 0 and has_answer))]
                for n, text in enumerate(sentences)
            ]  # fmt: skip
        files[f"WikiQACorpus/WikiQA-{split}.tsv"] = "\n".join("\t".join(row) for row in rows) + "\n"
    return _zip({**files, "WikiQACorpus/LICENSE.pdf": "terms"})


def beir() -> bytes:
    """Two splits over four docs, in the folder that such archives hold."""
    docs = [{"_id": f"d{n}", "title": word, "text": f"a {word}", "metadata": {}} for n, word in enumerate(WORDS[:4])]  # fmt: skip
    queries = [{"_id": f"q{n}", "text": f"which {word}"} for n, word in enumerate(WORDS[:4])]
    head = "query-id\tcorpus-id\tscore\n"
    return _zip(
        {
            "made/corpus.jsonl": "".join(json.dumps(doc) + "\n" for doc in docs),
            "made/queries.jsonl": "".join(json.dumps(query) + "\n" for query in queries),
            "made/qrels/train.tsv": f"{head}q0\td0\t1\nq1\td1\t1\n",
            "made/qrels/test.tsv": f"{head}q2\td2\t1\nq3\td3\t2\n",
            "made/../../outside.txt": "an archive may name any path",
        }
    )


def squad() -> bytes:
    """Three articles, one of them in `test`."""
    articles = [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": f"{title} has {n} rivers.",
                    "qas": [{"id": f"{title}-{n}", "question": f" How many rivers has {title}? "}],
                }
                for n in range(2)
            ],
        }
        for title in ("Warm_Land", "Cold_Land", "Nikola_Tesla")
    ]
    return json.dumps({"version": "1.1", "data": articles}).encode()


def facts(relation: str) -> bytes:
    """Facts of six subjects: each has a sentence, one a copy of it and one too long, and the last has none."""
    lines = []
    for n in range(6):
        said = {
            "masked_sentence": f"Person {n} works on [MASK] .",
            "obj_surface": f"{relation} {n}",
        }
        long = {"masked_sentence": "[MASK] " + "so " * 300, "obj_surface": "it"}
        evidences = [said, said, long] if n < 5 else [long]
        lines.append({"sub_label": f"Person {n}", "obj_label": "x", "evidences": evidences})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def ranked(system: str) -> bytes:
    """Two queries, with three docs each by a first stage."""
    requests = [
        {
            "query": {"text": f"name a {WORDS[n]} by {system}", "qid": n},
            "candidates": [
                {"docid": str(10 * n + m), "score": 9.0 - m, "doc": {"contents": f"a {WORDS[m]} of {n}"}}
                for m in range(3)
            ],
        }
        for n in (1, 2)
    ]  # fmt: skip
    if system == "splade":
        requests[0]["candidates"][0] = {"docid": "99", "score": 8, "doc": {"passage": "a new doc"}}  # type: ignore[index]
    return "".join(json.dumps(request) + "\n" for request in requests).encode()


def content(name: str, file: str) -> bytes:
    """The made-up content of a file of a public collection."""
    if name in {"wikiqa", "scifact", "squad-dev"}:
        return {"wikiqa": wikiqa, "scifact": beir, "squad-dev": squad}[name]()
    if name == "trex-facts":
        return facts(file.removesuffix(".jsonl"))
    if name in {"dpr-nq", "msmarco-v1.1", "rankgpt-100k"}:
        return f"{name}: {file}".encode()
    if file == "qrels.txt":
        return b"1 0 10 3\n1 0 77 0\n2 0 20 1\n3 0 30 1\n"
    return ranked(file.removesuffix(".jsonl")) if file.endswith(".jsonl") else b"1\twich red\n"


def made_up(name: str) -> tuple[PublicCollection, dict[str, bytes]]:
    """A collection as the table has it but with the sums of made-up files, and these by their address on a mirror."""
    made, served, files = PUBLIC[name], {}, []
    for file in made.files:
        data = content(name, file.name)
        served[file.url.partition("://")[2]] = data
        sums = {"sha256": hashlib.sha256(data).hexdigest()} if file.sums else {}
        files.append(replace(file, size=len(data), sums=sums))
    return replace(made, files=tuple(files)), served
