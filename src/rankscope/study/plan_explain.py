"""Steps that look inside rankers: probes, attribution, what changed, what was forgotten."""
