"""What a manifest tells of the machine: OMP_NUM_THREADS as people write it."""

import os
import sys

import pytest

from rankscope.store.machine import made_here


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that loads no torch, which would say how many threads it has."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(
    ("stated", "threads"),
    [("4", 4), (" 4 ", 4), ("4,3,2", 4), ("04", 4), ("+4", 4)]
    + [(none, None) for none in ("", "0", "-3", "\u00b2", "\u0663", "9" * 5000, "4x", "4.5", ",4")],
)
def test_threads_are_those_stated_else_the_cores(
    monkeypatch: pytest.MonkeyPatch, stated: str, threads: int | None
) -> None:
    """OpenMP takes a list for nested regions; what is no number counts as not stated."""
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    cores = len(os.sched_getaffinity(0))
    assert made_here("cpu")["threads"] == (cores if threads is None else threads)


@pytest.mark.usefixtures("without_torch")
def test_a_system_without_affinity_has_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert made_here("cpu")["threads"] == 6
