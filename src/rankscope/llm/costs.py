"""Tokens and money: what a request may cost at most, what it costs about, and what was spent.

A tokenizer of bytes makes no more tokens than a text has bytes in UTF-8, so that is the bound where the model's own is not
at hand; about every fourth character is a token of English. Servers put marks around each message, and a message of their
own before a chat that has none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rankscope.core.judged.costs import AnswerCost
from rankscope.llm.prompts import Messages

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PER_MESSAGE, PER_REQUEST = 12, 100
"""Tokens beside those of the texts, at most."""
CHARACTERS_A_TOKEN = 4
MARKS = 5
"""Tokens around a message, about."""
MILLION = 1_000_000


class Tokens(NamedTuple):
    """Tokens in and out."""

    prompt: int = 0
    answer: int = 0

    def plus(self, other: "Tokens") -> "Tokens":
        """Both together."""
        return Tokens(self.prompt + other.prompt, self.answer + other.answer)


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens in and out; in whatever currency they are given."""

    prompt: float = 0.0
    answer: float = 0.0

    def of(self, tokens: Tokens) -> float:
        """What so many tokens cost."""
        return (tokens.prompt * self.prompt + tokens.answer * self.answer) / MILLION


@dataclass(frozen=True)
class TokenCounting:
    """Counts the tokens of prompts: by the model's tokenizer, where it is at hand."""

    count: Callable[[str], int] | None = None

    def at_most(self, messages: Messages) -> int:
        """Tokens of a prompt, at most."""
        texts = [message["content"] for message in messages]
        of_texts = sum(map(self.count, texts)) if self.count else sum(len(text.encode(errors="replace")) for text in texts)  # fmt: skip
        return of_texts + PER_MESSAGE * len(messages) + PER_REQUEST

    def about(self, messages: Messages) -> int:
        """Tokens of a prompt, about."""
        texts = [message["content"] for message in messages]
        of_texts = sum(map(self.count, texts)) if self.count else sum(len(text) // CHARACTERS_A_TOKEN + 1 for text in texts)  # fmt: skip
        return of_texts + MARKS * len(messages)


def counting_with(tokenizer: "Tokenizer | None") -> TokenCounting:
    """Counts by a tokenizer, or by bytes and characters without one."""
    if tokenizer is None:
        return TokenCounting()
    return TokenCounting(lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids))


@dataclass(frozen=True)
class Spent:
    """What the answers of a file took."""

    n_queries: int
    n_requests: int
    tokens: Tokens
    seconds: float
    """Of all requests, one after another."""
    n_estimated: int
    """Answers of which the server did not tell the tokens: they are counted as many as they can be."""
    models: tuple[str, ...]
    """What the server says that answered, with its fingerprint where it has one."""
    first: str
    last: str
    """When the first and the last answer came, by the server's clock where it tells the time."""
    n_cut_off: int
    """Answers that end where the most tokens were reached."""

    @property
    def seconds_a_query(self) -> float:
        """Seconds for one query, its requests one after another."""
        return self.seconds / max(1, self.n_queries)


def tokens_of(record: Mapping[str, Any]) -> Tokens:
    """The tokens of one answer."""
    return Tokens(int(record.get("tokens_in") or 0), int(record.get("tokens_out") or 0))


def spent(records: Iterable[Mapping[str, Any]]) -> Spent:
    """What answers took together."""
    tokens, seconds, n, n_estimated, n_cut_off = Tokens(), 0.0, 0, 0, 0
    queries: set[str] = set()
    models: dict[str, None] = {}
    dates: list[str] = []
    for record in records:
        n += 1
        tokens = tokens.plus(tokens_of(record))
        seconds += float(record.get("seconds") or 0)
        n_estimated += bool(record.get("is_estimated"))
        n_cut_off += record.get("finish") == "length"
        queries.add(str(record.get("query_id")))
        said = [str(record[name]) for name in ("model", "fingerprint") if record.get(name)]
        if said:
            models[" ".join(said)] = None
        if record.get("date"):
            dates.append(str(record["date"]))
    return Spent(
        n_queries=len(queries),
        n_requests=n,
        tokens=tokens,
        seconds=seconds,
        n_estimated=n_estimated,
        models=tuple(models),
        first=min(dates, default=""),
        last=max(dates, default=""),
        n_cut_off=n_cut_off,
    )


def answer_cost(asked: Mapping[str, Any], prices: Prices) -> AnswerCost:
    """What answers took, by a teacher's report on them; their money where there are prices."""
    tokens = Tokens(asked["tokens_in"], asked["tokens_out"])
    is_priced = bool(prices.prompt or prices.answer)
    return AnswerCost(
        asked["n_requests"],
        *tokens,
        asked.get("n_with_estimated_tokens", 0),
        prices.of(tokens) if is_priced else None,
    )
