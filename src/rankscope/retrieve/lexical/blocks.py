"""Docs in blocks of text: what is ASCII is scanned a block at a time, the rest analyzed a piece at a time.

No word has a space inside, so a doc that is not ASCII may be parted at its spaces: its bag of terms is that of its
pieces.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import filterfalse
from typing import NamedTuple

from rankscope.core.records import Doc
from rankscope.retrieve.analyzer import needs_dictionary

BLOCK_CHARACTERS = 8_000_000


class Piece(NamedTuple):
    """A part of a doc's text that stands between spaces; `doc` is the doc's place in the collection."""

    doc: int
    text: str


@dataclass
class DocBlock:
    """Neighbouring docs."""

    first_doc: int
    doc_ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """The ASCII text of each doc."""
    pieces: list[Piece] = field(default_factory=list)
    """What is not ASCII."""
    n_characters: int = 0
    n_unparted: int = 0
    """Docs with words that only a dictionary can part."""

    def add(self, doc: Doc) -> None:
        """Take in the next doc."""
        text = doc.text
        if not text.isascii():
            text = self._without_others(text)
        self.doc_ids.append(doc.doc_id)
        self.texts.append(text)
        self.n_characters += len(doc.text)

    def _without_others(self, text: str) -> str:
        """The ASCII pieces of the next doc's text, joined; the others are kept as pieces."""
        place = self.first_doc + len(self.doc_ids)
        pieces = text.split(" ")
        self.pieces += [Piece(place, piece) for piece in filterfalse(str.isascii, pieces)]
        self.n_unparted += needs_dictionary(text)
        return " ".join(filter(str.isascii, pieces))


def blocks(docs: Iterable[Doc]) -> Iterator[DocBlock]:
    """The docs in blocks, in order; they are read once. A block ends with the doc that fills it."""
    block = DocBlock(0)
    for doc in docs:
        block.add(doc)
        if block.n_characters >= BLOCK_CHARACTERS:
            yield block
            block = DocBlock(block.first_doc + len(block.doc_ids))
    if block.doc_ids:
        yield block
