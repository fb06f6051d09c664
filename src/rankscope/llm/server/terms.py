"""The terms on which a server is asked: its address, how long one waits for it, its prices and a budget.

Nothing of them changes an answer, so none is part of a question's identity.
"""

import os
from dataclasses import dataclass, field

from rankscope.core.errors import BadInput
from rankscope.llm.costs import Prices
from rankscope.llm.server.endpoint import KEY, Endpoint, endpoint
from rankscope.llm.settings import Named, as_option


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how long it waits in between where the server does not say."""

    attempts: int = 8
    first_wait: float = 1.0
    """Seconds; each further wait is twice as long, but for a share that is drawn."""
    longest_wait: float = 60.0
    longest_asked: float = 900.0
    """Seconds that a server may ask to wait; if it asks for more, the command ends."""


@dataclass(frozen=True)
class Served:
    """The server, and how it is asked; nothing of it changes an answer."""

    endpoint: str
    key_name: str = KEY
    parallel: int = 8
    timeout: float = 120.0
    patience: Patience = field(default_factory=Patience)
    named: Named = as_option
    """How a person wrote what messages name."""

    def opened(self, *, is_asked: bool = True) -> Endpoint:
        """The server, with the key of the environment. BadInput for what is no address; for no key, if it is asked."""
        return endpoint(self.endpoint, os.environ, self.key_name, self.named, is_asked=is_asked)


@dataclass(frozen=True)
class Paid:
    """Prices, and what may be spent in all."""

    prices: Prices = field(default_factory=Prices)
    budget: float | None = None


def require_prices(paid: Paid, named: Named = as_option) -> None:
    """BadInput for a budget where nothing costs anything."""
    if paid.budget is not None and not (paid.prices.prompt or paid.prices.answer):
        raise BadInput(
            f"{named('budget')}: without prices nothing costs anything. Give {named('price_in')} and {named('price_out')}, per million "
            "tokens."
        )
