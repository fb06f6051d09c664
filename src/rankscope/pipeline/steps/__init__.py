"""The functions that carry out each kind of step."""
