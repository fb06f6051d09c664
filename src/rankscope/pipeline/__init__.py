"""From collections to measures: what a file may say, planner, steps, who carries them out."""
