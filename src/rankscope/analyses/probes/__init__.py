"""Probes of what each layer knows of relevance."""
