"""A local page over all results of a folder; nothing is written."""
