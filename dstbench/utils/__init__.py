"""Atomic files, locks, processes, signals; standard library only."""
