"""A limit of time for a block of one process."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TooLong(BaseException):
    """No Exception, so that nothing takes it for a library's error."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Inside the block TooLong is raised after so many seconds of the processor, or ten times as many by the clock.

    A machine that others use as well makes nothing a hang. What others have set of the clock's alarm goes on after it.
    """

    def stop(*_: Any) -> None:
        raise TooLong

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    before = {number: signal.signal(number, stop) for number in timers}
    begun = time.monotonic()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    left, _ = signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        yield
    finally:
        for timer in timers.values():
            signal.setitimer(timer, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, left - (time.monotonic() - begun)))
