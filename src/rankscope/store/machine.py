"""When and where a step was made, for readers of its manifest: no result depends on it by name."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from platform import machine
from typing import Any

PROCESSORS = Path("/proc/cpuinfo")


def made_here() -> dict[str, Any]:
    """The date in UTC, the processor, the threads of a product, and the accelerator, if there is one."""
    torch: Any = sys.modules.get("torch")
    has_accelerator = torch is not None and torch.accelerator.is_available()
    threads = torch.get_num_threads() if torch is not None else _threads()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "threads": threads,
        "device": str(torch.accelerator.current_accelerator()) if has_accelerator else "cpu",
    }


def _threads() -> int:
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdigit() else len(os.sched_getaffinity(0))


def _processor() -> str:
    """The name that the system gives the processor; its architecture where it gives none."""
    try:
        lines = PROCESSORS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), machine())
