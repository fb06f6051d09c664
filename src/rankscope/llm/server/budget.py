"""A budget that is never passed: what a request may cost at most is set aside before it is sent.

Money is spent by answers, and perhaps by requests whose answer never came: a connection that was cut, a wait that ended, a
process that was killed. With a budget, each request is noted in a small file beside the answers before it is sent, and
those without an answer count as much as they may have cost. Losing that file costs no answer; then only the requests
under way when a process was killed go uncounted.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import final

from rankscope.core.errors import AskingStopped
from rankscope.core.lines import read_lines
from rankscope.llm.answer_file import Key
from rankscope.llm.settings import Named, as_option

SENT, BACK = "sent", "not paid"


def ledger_of(answers: Path) -> Path:
    """The file of the requests that were sent, beside the file of answers."""
    return answers.with_name(f".sent-{answers.name}")


@final
class Ledger:
    """Requests that were sent, on disk: those without an answer may have been paid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def unanswered(self, answered: Iterable[Key]) -> float:
        """What the requests without an answer may have cost."""
        sent: dict[Key, list[float]] = {}
        for key, kind, cost in self._lines():
            if kind == SENT:
                sent.setdefault(key, []).append(cost)
            elif sent.get(key):
                sent[key].pop()
        for key in answered:
            if sent.get(key):
                sent[key].pop()
        return sum(map(sum, sent.values()))

    def _lines(self) -> Iterator[tuple[Key, str, float]]:
        if not self._path.exists():
            return
        for _, line in read_lines(self._path):
            try:
                query_id, order, number, kind, cost = json.loads(line)
                yield Key(query_id, order, number), kind, float(cost)
            except (ValueError, TypeError):
                continue  # the last line, which a crash cut off: its request was not sent yet

    def note(self, key: Key, kind: str, cost: float) -> None:
        """Write that a request is sent, or that it was refused and is not paid."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            if os.fstat(self._handle).st_size:
                os.write(self._handle, b"\n")  # ends a line that a crash cut off
        os.write(self._handle, (json.dumps([*key, kind, cost]) + "\n").encode())

    def close(self, answered: Iterable[Key]) -> None:
        """Close it, and remove it where every request has its answer."""
        if self._handle is not None:
            os.close(self._handle)
        if self._path.exists() and not self.unanswered(answered):
            self._path.unlink()


@final
class Budget:
    """Money that may be spent, what is spent, and what requests under way may cost. Without a limit it only counts."""

    def __init__(
        self,
        limit: float | None,
        spent: float,
        ledger: Ledger | None = None,
        named: Named = as_option,
    ) -> None:
        self.limit, self.spent, self._named = limit, spent, named
        self.set_aside = 0.0
        self._ledger = ledger
        self._changed = asyncio.Condition()
        self._under_way: Counter[Key] = Counter()

    @property
    def left(self) -> float | None:
        """Money that is left; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.spent)

    async def reserve(self, key: Key, cost: float) -> None:
        """Set money aside; wait for requests under way, which cost less than they might. AskingStopped where it is not there."""
        async with self._changed:
            while self.limit is not None and self.spent + self.set_aside + cost > self.limit:
                if not self.set_aside:
                    raise AskingStopped(
                        f"The budget of {self.limit:g} is used up: {self.spent:.4f} is spent, and the next request may cost "
                        f"{cost:.4f}. Give more with {self._named('budget')}."
                    )
                await self._changed.wait()
            self.set_aside += cost
            self._under_way[key] += 1
            if self._ledger is not None:
                self._ledger.note(key, SENT, cost)

    async def settle(self, key: Key, reserved: float, cost: float, *, is_answered: bool) -> None:
        """A request is over: it cost so much. One that is not answered costs nothing, or all that it may have cost."""
        async with self._changed:
            self._under_way[key] -= 1
            self.set_aside = self.set_aside - reserved if self._under_way.total() else 0.0
            self.spent += cost
            if self._ledger is not None and not is_answered and not cost:
                self._ledger.note(key, BACK, 0.0)
            self._changed.notify_all()
