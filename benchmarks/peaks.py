"""The most memory that a benchmark's process held."""

from pathlib import Path


def peak_megabytes() -> float:
    """Of this program; what getrusage tells is at least that of who started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1024
