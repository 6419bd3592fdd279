"""Atomic files, locks, processes, signals; no torch."""
