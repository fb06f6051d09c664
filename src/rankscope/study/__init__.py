"""A study: its file, its rules, and the commands that carry it out."""
