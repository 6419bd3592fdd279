"""A grid of runs carried out: planned, scheduled, displayed."""
