from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.models.processes import ALONE, Processes, joined


@given(n_items=st.integers(0, 20), count=st.integers(1, 6))
def test_every_item_is_one_process_s(n_items: int, count: int) -> None:
    items = list(range(n_items))
    shares = [list(Processes(rank, count).share(items)) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_speaks_with_itself_without_a_launcher() -> None:
    thing = object()
    assert ALONE.gathered(thing) == [thing]
    assert ALONE.from_first(thing) is thing
    assert ALONE.is_first
    ALONE.wait()


def test_only_the_first_writes() -> None:
    assert [Processes(rank, 3).is_first for rank in range(3)] == [True, False, False]


@pytest.fixture
def no_group() -> Iterator[None]:
    from torch import distributed

    assert not distributed.is_initialized()
    yield
    assert not distributed.is_initialized()


@pytest.mark.parametrize("world", [None, "1"])
def test_without_others_no_group_is_made(
    monkeypatch: pytest.MonkeyPatch, no_group: None, world: str | None
) -> None:
    """`accelerate launch` with one process sets WORLD_SIZE too."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert joined() == ALONE
