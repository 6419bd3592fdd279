"""Mirrors run folders to MLflow, without being able to stop or delay a run."""
