"""From runs to measures and verdicts."""
