"""The energy that a step took, by codecarbon: read from the processor where it reports its power, estimated elsewhere.

Nothing leaves the machine, whatever a person's own settings of codecarbon say: its tracker for machines without a network looks up
neither place nor cloud, and no file is written.
"""

import logging
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

    # codecarbon reads its own settings out of files and variables, and what it reads there it says and sends; what is
    # given here goes before them
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    # the country would matter for emissions, which nobody is told of
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        output_methods=[],
        emissions_endpoint=None,
        log_level="critical",
        allow_multiple_runs=True,
        tracking_mode="process",
    )
    tracker.start()
    try:
        yield facts
    finally:
        tracker.stop()
    found = getattr(tracker, "final_emissions_data", None)
    if (
        found is None
    ):  # it could not measure; a step of hours is not lost by that, and the page counts those measured
        return
    facts["kwh"] = float(f"{found.energy_consumed:.4g}")
    facts["energy_by"] = f"codecarbon {__version__}"
