"""The energy that a step took, by codecarbon: read from the processor where it reports its power, estimated elsewhere.

Nothing leaves the machine: codecarbon's tracker for machines without a network looks up neither place nor cloud.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rankscope.core.errors import BadInput


def require() -> None:
    """Raise BadInput where codecarbon is not installed."""
    try:
        import codecarbon  # noqa: F401
    except ImportError as error:
        raise BadInput(
            "Energy is measured by codecarbon, which is not installed. Install it: pip install 'rankscope[energy]'."
        ) from error


@contextmanager
def metered(is_wanted: bool) -> Iterator[dict[str, Any]]:
    """A dict that has the block's energy when the block has ended: `kwh`, and `energy_by`; empty where none is wanted."""
    facts: dict[str, Any] = {}
    if not is_wanted:
        yield facts
        return
    from codecarbon import OfflineEmissionsTracker, __version__

    # the country would matter for emissions, which nobody is told of
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        save_to_file=False,
        log_level="critical",
        allow_multiple_runs=True,
        tracking_mode="process",
    )
    tracker.start()
    try:
        yield facts
    finally:
        tracker.stop()
    facts["kwh"] = float(f"{tracker.final_emissions_data.energy_consumed:.4g}")
    facts["energy_by"] = f"codecarbon {__version__}"
