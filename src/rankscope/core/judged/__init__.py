"""What an evaluation found: the records that `evaluate` makes, steps store, and the page and the terminal show."""
