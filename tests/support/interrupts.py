"""Ctrl-C for a process that a test starts, also where the test itself was started in a background that ignores it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard() -> Iterator[None]:
    """A process that is started inside the block hears SIGINT, as one that is started at a terminal does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
