"""Measurements of a masked network: cost, live paths, health, collapse."""
