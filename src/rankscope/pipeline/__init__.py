"""From collections to measures: specs of a study file, planner, kinds of steps, and their functions."""
