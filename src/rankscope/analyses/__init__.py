"""What can be asked of rankers' insides: a folder each, and a row in `table`."""
