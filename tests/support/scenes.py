"""A small collection of scenes in the tiny models' own words, with enough queries for intervals."""

import json
from itertools import product
from pathlib import Path

from support.tiny import WORDS

COLOURS, ANIMALS, VERBS, PLACES = WORDS[:3], WORDS[3:6], WORDS[6:9], WORDS[13:16]
ASKING = {"test": "where", "train": "what"}


def write(folder: Path, *, place: str | None = None) -> Path:
    """A BEIR folder of 81 docs; 27 queries to test on, each with three relevant docs, and 27 to train on.

    With a `place`, the docs of all scenes there are relevant, whatever the query, and the docs are called
    otherwise: it is another collection.
    """
    letter = "p" if place else "d"
    scenes = [*product(COLOURS, ANIMALS, VERBS, PLACES)]
    corpus = [
        {"_id": f"{letter}{number:02d}", "text": f"the {colour} {animal} {verb} on the {place}"}
        for number, (colour, animal, verb, place) in enumerate(scenes)
    ]
    queries, qrels = [], dict.fromkeys(ASKING, "query-id\tcorpus-id\tscore\n")
    for split, word in ASKING.items():
        for number, (colour, animal, verb) in enumerate(product(COLOURS, ANIMALS, VERBS)):
            query_id = f"{split}{number:02d}"
            queries.append({"_id": query_id, "text": f"{word} {verb} a {colour} {animal}"})
            for doc, scene in enumerate(scenes):
                if scene[3] == place if place else scene[:3] == (colour, animal, verb):
                    qrels[split] += f"{query_id}\t{letter}{doc:02d}\t1\n"
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", corpus), ("queries", queries)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    for split, rows in qrels.items():
        (folder / "qrels" / f"{split}.tsv").write_text(rows, "utf-8")
    return folder
