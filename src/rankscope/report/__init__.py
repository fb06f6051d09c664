"""From stored results to a page."""
