"""The progress of long work, told to a watcher; the default watcher is silent."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Tell = Callable[[str], None]
"""A function that takes a note for the user as soon as it is known."""


Advance = Callable[[int], None]
"""A function that is told how many more units are done."""


class Task(Protocol):
    """One piece of long work under way."""

    def advance(self, n: int = 1, **facts: float) -> None:
        """`n` more units are done; `facts` are numbers worth a look, such as the loss."""
        ...


class Progress(Protocol):
    """A watcher of long work: a terminal, a log, or none."""

    def task(
        self, label: str, total: int, unit: str, *, done: int = 0
    ) -> AbstractContextManager[Task]:
        """Begin work of `total` units, `done` of which were done before."""
        ...

    def note(self, text: str) -> None:
        """One line a person should read."""
        ...


class _SilentTask:
    def advance(self, n: int = 1, **facts: float) -> None:
        """Nobody watches."""


class _Silent:
    @contextmanager
    def task(
        self,
        label: str,  # noqa: ARG002
        total: int,  # noqa: ARG002
        unit: str,  # noqa: ARG002
        *,
        done: int = 0,  # noqa: ARG002
    ) -> Iterator[Task]:
        """Nobody watches."""
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Nobody watches."""


SILENT: Progress = _Silent()


def untold(n: int) -> None:
    """Nobody is told that `n` more units are done."""
