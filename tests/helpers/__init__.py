"""Shared by tests: tiny runs, example records, processes to kill, datasets on disk."""
