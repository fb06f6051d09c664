"""Where a user starts: studies that come with rankscope, and a study file of one's own."""
