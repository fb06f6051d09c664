"""What every way of asking needs: the docs and texts that are asked about, the question, and the file of answers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rankscope.core.errors import BadInput
from rankscope.core.words import counted
from rankscope.data.candidates import TeacherCandidates, read_candidates
from rankscope.data.collections import Source, StoredDocs, source, write_docs
from rankscope.data.names import InCollection
from rankscope.llm.answer_file import AnswerFile, Head, head_of
from rankscope.llm.asked import asking_in, settled_head
from rankscope.llm.costs import TokenCounting, counting_with
from rankscope.llm.job import Job, digest_of_docs
from rankscope.llm.passages import Passages, name_of_tokenizer, tokenizer_at
from rankscope.llm.server.asking import sent_for
from rankscope.llm.server.client import Sent
from rankscope.llm.settings import AskChoices, Asking, settled
from rankscope.store.files import temporary_folder


@dataclass(frozen=True)
class AskedAbout:
    """The run whose docs an LLM orders, and the collection that has their texts."""

    run: Path
    collection: str
    split: str = "test"
    tokenizer: Path | None = None
    """The model's tokenizer, by which passages are cut and tokens counted."""

    @property
    def origin(self) -> dict[str, str | None]:
        """Where docs and texts come from, for later commands."""
        place = Path(self.collection)
        return {
            "run": str(self.run.absolute()),
            "collection": str(place.absolute()) if place.is_dir() else self.collection,
            "split": self.split,
            "tokenizer": None if self.tokenizer is None else str(self.tokenizer.absolute()),
        }


@dataclass(frozen=True)
class Prepared:
    """A job, and what its file of answers says of it."""

    job: Job
    head: Head
    passages: Passages
    counting: TokenCounting
    notes: tuple[str, ...]

    @property
    def sent(self) -> Sent:
        """What every request holds beside its messages."""
        return sent_for(self.job)


@contextmanager
def prepared(choices: AskChoices, about: AskedAbout) -> Iterator[Prepared]:
    """The job that the choices make, as long as the block lasts: its texts lie in a temporary folder."""
    asking = settled(choices)
    if asking.passage_tokens is not None and about.tokenizer is None:
        raise BadInput("--passage-tokens: give the model's tokenizer too, with --tokenizer.")
    with _prepared(asking, about) as made:
        yield made


@contextmanager
def prepared_again(answers: Path) -> Iterator[Prepared]:
    """The job of a file of answers that was begun. BadInput for any other file."""
    head = head_of(answers) if answers.is_file() else None
    if head is None:
        raise BadInput(
            f"{answers}: no answers were begun there. Begin with `rankscope teacher prompts`."
        )
    origin = head.origin
    run, collection, split, tokenizer = (origin.get(name) for name in ("run", "collection", "split", "tokenizer"))  # fmt: skip
    if not all(isinstance(value, str) for value in (run, collection, split)):
        raise BadInput(
            f"{answers}: its first line does not say where the docs are. Begin again, with another file."
        )
    about = AskedAbout(
        Path(str(run)), str(collection), str(split), Path(tokenizer) if tokenizer else None
    )
    with _prepared(asking_in(answers, head), about) as made:
        yield made


@contextmanager
def _prepared(asking: Asking, about: AskedAbout) -> Iterator[Prepared]:
    of_collection: Source = source(about.collection, about.split)
    queries = list(of_collection.queries())
    tokenizer = None if about.tokenizer is None else tokenizer_at(about.tokenizer)
    with temporary_folder() as folder:
        none, some = folder / "none", folder / "some"
        for each in (none, some):
            each.mkdir()
        write_docs((), none)
        shown = read_candidates(about.run, InCollection(queries, StoredDocs(none)))
        texts = {query.query_id: query.text for query in queries}
        _require_queries(about.run, shown, texts)
        ranked = {doc for docs in shown.rankings.values() for doc in docs[: asking.depth]}
        write_docs((doc for doc in of_collection.docs() if doc.doc_id in ranked), some)
        stored = StoredDocs(some)
        _require_docs(about.run, ranked, stored)
        passages = Passages(
            stored.text,
            words=asking.passage_words,
            tokens=asking.passage_tokens,
            tokenizer=tokenizer,
        )
        job = Job(asking, shown.rankings, texts, passages.text)
        name = None if about.tokenizer is None else name_of_tokenizer(about.tokenizer)
        docs = digest_of_docs(shown.rankings, asking.depth)
        yield Prepared(
            job,
            Head(settled_head(asking, docs, name), about.origin),
            passages,
            counting_with(tokenizer),
            _notes(shown),
        )


def _notes(shown: TeacherCandidates) -> tuple[str, ...]:
    n = len(shown.first_ties)
    ties = f"{counted(n, 'query has', 'queries have')} docs with equal scores, and nothing says which came first: they are shown by their ids"  # fmt: skip
    return (*shown.notes, *([ties] if n else []))


def _require_queries(run: Path, shown: TeacherCandidates, texts: Mapping[str, str]) -> None:
    """BadInput where the run has a query without a text."""
    without = sorted(shown.rankings.keys() - texts.keys())
    if without:
        raise BadInput(
            f"{run}: {counted(len(without), 'query has', 'queries have')} no text in the collection (first: {without[0]}). Give the "
            "collection that the run was made from."
        )
    if not shown.rankings:
        raise BadInput(f"{run}: it ranks no query of the collection. Give a run made from it.")


def _require_docs(run: Path, ranked: set[str], stored: StoredDocs) -> None:
    """BadInput where the run ranks docs without a text."""
    without = sorted(doc_id for doc_id in ranked if doc_id not in stored)
    if without:
        raise BadInput(
            f"{run}: {counted(len(without), 'ranked doc is', 'ranked docs are')} not in the collection (first: {without[0]}). Give the "
            "collection that the run was made from."
        )


def opened(answers: Path, made: Prepared) -> AnswerFile:
    """The file of answers, for what is asked now."""
    return AnswerFile.opened(answers, made.head)
