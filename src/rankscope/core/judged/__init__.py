"""The records of an evaluation: `evaluate` makes them, steps store them, and the page and the terminal show them."""
