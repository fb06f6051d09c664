"""The command `data`: public collections, listed and fetched."""
