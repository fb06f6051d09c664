"""The energy that a step took, by codecarbon: read from the processor where it reports its power, estimated elsewhere.

Nothing leaves the machine: codecarbon's tracker for machines without a network looks up neither place nor cloud, and what
its own settings (`.codecarbon.config`, `CODECARBON_...`) say of files, servers and tokens is overruled here.
"""

import logging
from collections.abc import Callable, Iterator
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
def metered(is_wanted: bool, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A dict that has the block's energy when the block has ended: `kwh`, and `energy_by`; empty where none is wanted.

    codecarbon passes over its own errors; without a number the dict stays empty, which is told, and the block counts.
    """
    facts: dict[str, Any] = {}
    if not is_wanted:
        yield facts
        return
    tracker, made_by = _tracker()
    tracker.start()
    try:
        yield facts
    finally:
        tracker.stop()
    found = getattr(tracker, "final_emissions_data", None)
    if found is None:
        tell(f"{made_by} did not measure the energy of this step; its result is whole")
        return
    facts["kwh"] = float(f"{found.energy_consumed:.4g}")
    facts["energy_by"] = made_by


def _tracker() -> tuple[Any, str]:
    """A tracker that only counts, and what it is."""
    from codecarbon import OfflineEmissionsTracker, __version__

    # it speaks before it has read its log level
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",  # it would matter for emissions, which nobody is told of
        electricitymaps_api_token="",
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        log_level="critical",
        allow_multiple_runs=True,
        tracking_mode="process",
    )
    return tracker, f"codecarbon {__version__}"
