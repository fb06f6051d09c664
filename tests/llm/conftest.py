"""What tests of asking share: a made-up world, and waits that are short."""

from functools import partial
from pathlib import Path

import pytest

from support.asked_world import AskedWorld, asked_world


@pytest.fixture
def world(tmp_path: Path) -> AskedWorld:
    """Four queries with 25 docs each, all of another worth."""
    return asked_world(tmp_path / "world")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of the usual waits before another attempt."""
    from rankscope.llm.server import terms

    monkeypatch.setattr(terms, "Patience", partial(terms.Patience, first_wait=0.01))


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the developer's own."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test hides is no secret in the next."""
    from rankscope.core import visible

    monkeypatch.setattr(visible, "_secrets", set())
