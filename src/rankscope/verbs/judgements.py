"""Judgements from a file, a folder in BEIR layout, a fetched collection or an ir_datasets id, with the source of their texts."""

from dataclasses import dataclass, replace

from rankscope.core.input_files import home_filled_in
from rankscope.core.records import Qrel
from rankscope.data.collections import (
    IrDataset,
    Source,
    beir_folder,
)
from rankscope.data.conventions import Convention, convention
from rankscope.data.public import places
from rankscope.evaluate.runs import judgements


@dataclass(frozen=True)
class Judgements:
    """Judgements, their convention, and the source of their queries and docs, if there is one."""

    name: str
    qrels: list[Qrel]
    convention: Convention
    source: Source | None = None
    relevance_level: int | None = None
    """The level that the user or the convention states; None if neither does, and grade 1 counts."""

    def read_as(self, *, relevance_level: int | None, drop_own_docs: bool | None) -> "Judgements":
        """The same judgements; the user's statements take the place of the convention."""
        usual = self.convention.relevance_level
        level = relevance_level or (usual if usual > 1 else None)
        drop = self.convention.drop_own_docs if drop_own_docs is None else drop_own_docs
        return replace(self, convention=Convention(level or 1, drop), relevance_level=level)

    def queries(self) -> dict[str, str]:
        """query_id to text, where the source has texts."""
        judged = {qrel.query_id for qrel in self.qrels}
        queries = () if self.source is None else self.source.queries()
        return {query.query_id: query.text for query in queries if query.query_id in judged}


def judged(written: str, split: str) -> Judgements:
    """Judgements from a file, a folder in BEIR layout, a fetched collection (`public:NAME`), or an ir_datasets id."""
    if (name := places.named_in(written)) is not None:
        source = beir_folder(places.path_of(written), split, option="--split")
        return Judgements(f"{name}/{split}", source.qrels(), convention(name), source)
    path = home_filled_in(written)
    if path.is_dir():
        source = beir_folder(path, split, option="--split")
        return Judgements(f"{path.resolve().name}/{split}", source.qrels(), Convention(), source)
    if path.is_file() or path.suffix or written.startswith((".", "/", "~")):
        return Judgements(path.name, judgements(path), Convention())
    dataset = IrDataset(written)
    return Judgements(written, dataset.qrels(), convention(written), dataset)
