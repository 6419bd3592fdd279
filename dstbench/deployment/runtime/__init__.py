"""Loads and runs a compiled network. Needs numpy and numba only."""
