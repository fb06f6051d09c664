"""The analyses of rankers' insides: each is a folder, and a row in `table`."""
