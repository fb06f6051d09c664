"""From queries to runs."""
