"""Comparisons and means as tables: columns, CSV, LaTeX."""
