"""The gains and losses of each training stage on every collection."""
