"""When and where a step was made, for readers of its manifest: no step is named by it."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from platform import machine
from typing import Any

PROCESSORS = Path("/proc/cpuinfo")
STATED = re.compile(r"[ \t]*\+?0*([1-9][0-9]{0,5})[ \t]*(?:,|$)")
"""A number of threads, or a list of them for nested regions, as OpenMP reads them; what is none counts as not stated."""


def made_here(device: str) -> dict[str, Any]:
    """The date in UTC, the processor, the threads of a product, and the device that rankers run on."""
    torch: Any = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else _threads()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "threads": threads,
        "device": device,
    }


def _threads() -> int:
    """The threads that OMP_NUM_THREADS states, the first number of its list; the cores of this process without one."""
    stated = STATED.match(os.environ.get("OMP_NUM_THREADS", ""))
    if stated is not None:
        return int(stated[1])
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The name that the system gives the processor; its architecture where it gives none."""
    try:
        lines = PROCESSORS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), machine())
