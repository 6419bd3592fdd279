"""Gin text to a run or a grid of runs: parsed, checked, resolved, identified."""
