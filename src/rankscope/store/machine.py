"""When and where a step was made, for readers of its manifest: no result depends on it by name."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from platform import machine
from typing import Any

PROCESSORS = Path("/proc/cpuinfo")


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
