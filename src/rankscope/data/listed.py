"""Files whose queries bring their own docs, relevant ones and hard negatives, as study A's data do.

| kind | an entry |
|---|---|
| `dpr` | `question, positive_ctxs, hard_negative_ctxs` (`title, text`): DPR's files for Natural Questions; `negative_ctxs` where no entry has hard ones |
| `ms_marco_qa` | `query, passages` (`passage_text`, `is_selected`): MS MARCO's first release, v1.1 |
| `sampled` | `question, positive_context, negative_context_0, negative_context_1, ...`: rows already drawn |

JSON lines, one JSON list or Parquet. A query or doc is known by its words: the same text twice is one.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rankscope.core.errors import BadInput, choose
from rankscope.core.fields import shown
from rankscope.core.records import Choice, Qrel, Run, ScoredDoc
from rankscope.core.words import counted
from rankscope.data.choices import Choices, choices_from_qrels
from rankscope.data.entries import Entry, Passage, dpr_entry, tables
from rankscope.data.names import digest

PUBLISHED_SEED, PUBLISHED_NEGATIVES = 42, 4


class ListedRow(NamedTuple):
    """One relevant doc of a query, and the hard negatives that stand beside it, as ids."""

    query_id: str
    relevant: str
    others: tuple[str, ...]


@dataclass(frozen=True)
class Listed:
    """The rows of a file in its order, and their texts."""

    rows: tuple[ListedRow, ...]
    queries: Mapping[str, str]
    docs: Mapping[str, str]
    is_drawn: bool
    """Whether the rows' negatives are already a choice."""
    n_without_both: int
    """Entries without a relevant doc or without a hard negative."""
    are_hard: bool = True
    """Whether the negatives are hard ones."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the rows."""
        easy = "No entry of the file has hard negatives, so its easy ones (`negative_ctxs`) were taken."
        return () if self.are_hard else (easy,)

    def choices(self, *, n_docs: int, seed: int) -> Choices:
        """As a collection's choices: one for every relevant doc, negatives drawn without replacement."""
        qrels = [Qrel(row.query_id, row.relevant, 1) for row in self.rows]
        offered: dict[str, dict[str, None]] = {}
        for row in self.rows:
            offered.setdefault(row.query_id, {}).update(dict.fromkeys(row.others))
        run = Run.of(
            "listed",
            (
                ScoredDoc(query_id, doc_id, -float(rank))
                for query_id, doc_ids in offered.items()
                for rank, doc_id in enumerate(doc_ids)
            ),
        )
        depth = max(map(len, offered.values()))
        return self._with_dropped(
            choices_from_qrels(qrels, run, n_docs=n_docs, depth=depth, seed=seed)
        )

    def published_choices(self, *, n_docs: int) -> Choices:
        """As study A's released code draws them: one generator, seeded 42, down the rows.

        Four negatives are drawn without replacement, with it where there are too few: an example may hold a
        doc twice. Of rows already drawn the first are taken.
        """
        if self.is_drawn:
            few = min(len(row.others) for row in self.rows)
            if few < n_docs - 1:
                raise BadInput(
                    f"{n_docs} docs are asked for, and a row has {counted(few, 'negative')}. Lower `candidates`."
                )
            return self._with_dropped(
                Choices(
                    tuple(
                        Choice(row.query_id, (row.relevant, *row.others[: n_docs - 1]))
                        for row in self.rows
                    ),
                    {},
                )
            )
        rng, wanted = random.Random(PUBLISHED_SEED), max(n_docs - 1, PUBLISHED_NEGATIVES)  # noqa: S311
        made = [
            Choice(
                row.query_id,
                (
                    row.relevant,
                    *(
                        rng.sample(row.others, wanted)
                        if len(row.others) >= wanted
                        else rng.choices(row.others, k=wanted)
                    ),
                )[:n_docs],
            )
            for row in self.rows
        ]
        return self._with_dropped(Choices(tuple(made), {}))

    def _with_dropped(self, made: Choices) -> Choices:
        if not self.n_without_both:
            return made
        reason = "entries without a relevant doc or a hard negative"
        return Choices(made.choices, {**made.dropped, reason: self.n_without_both})


def read_listed(path: Path, kind: str) -> Listed:
    """The rows of a file of one of the `READERS`; BadInput for an entry that is none, or a file without rows.

    Easy negatives are taken where no entry of the file has hard ones.
    """
    choose(READERS, kind, what="kind of file")
    for are_hard in (True, False):
        listed = _rows(path, kind, are_hard=are_hard)
        if listed.rows:
            return listed
    raise BadInput(
        f"{path}: no entry has a relevant doc and a hard negative. Check that the file is of `kind: {kind}`."
    )


def _rows(path: Path, kind: str, *, are_hard: bool) -> Listed:
    """The rows of the entries whose negatives are hard, or easy; of a text that is in no row nothing is kept."""
    rows: list[ListedRow] = []
    queries: dict[str, str] = {}
    docs: dict[str, str] = {}
    n_without_both = 0
    for entry in tables(path):
        texts = READERS[kind](entry)
        if not texts.relevant or not texts.others or texts.are_hard != are_hard:
            n_without_both += 1
            continue
        query_id = _known(queries, texts.query)
        negatives = tuple(_known(docs, text) for text in texts.others)
        rows += [ListedRow(query_id, _known(docs, text), negatives) for text in texts.relevant]
    return Listed(tuple(rows), queries, docs, kind == "sampled", n_without_both, are_hard)


def _known(texts: dict[str, str], text: str) -> str:
    """The id of a text, which is kept as it was first seen."""
    text_id = digest(text).hex()
    texts.setdefault(text_id, text)
    return text_id


class _EntryTexts(NamedTuple):
    query: str
    relevant: list[str]
    others: list[str]
    are_hard: bool = True


def _dpr(entry: Entry) -> _EntryTexts:
    given = dpr_entry(entry)
    groups = [
        [_text(entry, passage) for passage in group] for group in (given.positives, given.negatives)
    ]
    return _EntryTexts(given.question, groups[0], groups[1], given.are_hard)


def _text(entry: Entry, passage: Passage) -> str:
    if not passage.text:
        raise entry.wrong(
            f"the passage {passage.doc_id} has no `text`",
            "Give it: the file's docs are known by theirs.",
        )
    return passage.with_title


def _ms_marco_qa(entry: Entry) -> _EntryTexts:
    passages = entry.get("passages")
    if not isinstance(passages, dict):
        raise entry.wrong("it has no `passages`", "Give them as the hub's v1.1 has them.")
    part = Entry(entry.place, passages)
    texts, selected = part.listed("passage_text"), part.listed("is_selected")
    if len(texts) != len(selected) or not all(isinstance(text, str) for text in texts):
        raise entry.wrong(
            f"{len(texts)} `passage_text` and {len(selected)} `is_selected`",
            "Give a text and a mark each.",
        )
    groups: tuple[list[str], list[str]] = ([], [])
    for text, mark in zip(texts, selected, strict=True):
        if isinstance(mark, str) or mark not in (0, 1):
            raise entry.wrong(f"an `is_selected` is {shown(mark)}", "Give 1 or 0.")
        groups[not mark].append(text)
    return _EntryTexts(_needed(entry, "query"), *groups)


def _sampled(entry: Entry) -> _EntryTexts:
    relevant = [_needed(entry, "positive_context")]
    return _EntryTexts(_needed(entry, "question"), relevant, [*_numbered_negatives(entry)])


def _numbered_negatives(entry: Entry) -> Iterator[str]:
    """The texts of `negative_context_0`, `negative_context_1`, ... up to the first that is missing."""
    place = 0
    while (text := entry.text(f"negative_context_{place}")) is not None:
        yield text
        place += 1


def _needed(entry: Entry, name: str) -> str:
    text = entry.text(name)
    if not text or not text.strip():
        raise entry.wrong(f"there is no `{name}`", "Give the text.")
    return text


READERS: dict[str, Callable[[Entry], _EntryTexts]] = {
    "dpr": _dpr,
    "ms_marco_qa": _ms_marco_qa,
    "sampled": _sampled,
}
