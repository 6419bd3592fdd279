"""Gin text to a run or a grid of runs: checked, resolved, identified."""
