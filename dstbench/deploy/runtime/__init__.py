"""A compiled network loaded and run; numpy and numba only."""
