"""What a system costs: once, for its training, and for each query it answers."""

from dataclasses import dataclass

HOUR = 3600.0


@dataclass(frozen=True)
class AnswerCost:
    """What an LLM's answers took, for all queries together."""

    n_requests: int
    tokens_in: int
    tokens_out: int
    n_estimated: int = 0
    """Requests of whose answers the server did not tell the tokens: as many are counted as there can be."""
    money: float | None = None
    """None where no price is known."""


@dataclass(frozen=True)
class SystemCost:
    """What a system took to answer queries, beyond the first stage; and, where it was trained, what that took."""

    n_queries: int
    seconds: float
    """For all queries: on the machine that ranked; of an LLM, its requests one after another."""
    answers: AnswerCost | None = None
    """Of an LLM."""
    training: float | None = None
    """Seconds of all its stages; None where nothing was trained here."""
    lists: AnswerCost | None = None
    """The answers of LLMs that it learnt from; None where it learnt from none."""
    lists_seconds: float = 0.0
    price_per_hour: float = 0.0
    """Money for an hour of the machine that ranked."""

    @property
    def seconds_a_query(self) -> float:
        """Seconds for one query."""
        return self.seconds / max(1, self.n_queries)

    @property
    def money(self) -> float | None:
        """Money for all queries; None where no price is known."""
        if self.answers is not None:
            return self.answers.money
        return self._of_hours(self.seconds)

    @property
    def money_a_query(self) -> float | None:
        """Money for one query; None where no price is known."""
        return None if self.money is None else self.money / max(1, self.n_queries)

    @property
    def seconds_once(self) -> float | None:
        """Seconds before the first query: of the training, and of the LLM's lists it learnt from."""
        return None if self.training is None else self.training + self.lists_seconds

    @property
    def money_once(self) -> float | None:
        """Money before the first query; None where a price is not known."""
        of_training = None if self.training is None else self._of_hours(self.training)
        of_lists = 0.0 if self.lists is None else self.lists.money
        return None if of_training is None or of_lists is None else of_training + of_lists

    def _of_hours(self, seconds: float) -> float | None:
        return seconds / HOUR * self.price_per_hour if self.price_per_hour else None


def together(parts: list[AnswerCost]) -> AnswerCost | None:
    """What several LLMs' answers took; None for none. Money is known where it is known of all."""
    if not parts:
        return None
    money = [part.money for part in parts]
    return AnswerCost(
        sum(part.n_requests for part in parts),
        sum(part.tokens_in for part in parts),
        sum(part.tokens_out for part in parts),
        sum(part.n_estimated for part in parts),
        None if None in money else sum(each for each in money if each is not None),
    )
