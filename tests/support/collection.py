"""A few docs in memory, with the little that looking them up needs."""

from collections.abc import Iterator

from rankscope.core.records import Doc


class Docs:
    """Docs by id, as keyword arguments."""

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def __contains__(self, doc_id: object) -> bool:
        return doc_id in self._texts

    def __iter__(self) -> Iterator[Doc]:
        return (Doc(doc_id, text) for doc_id, text in self._texts.items())

    def text(self, doc_id: str) -> str:
        return self._texts[doc_id]
