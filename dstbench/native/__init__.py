"""Trains a masked network by its live weights alone, on a CPU."""
