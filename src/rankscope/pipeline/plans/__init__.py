"""The kinds of steps from collections to measures: in each file rows, their params, and how they are planned."""
