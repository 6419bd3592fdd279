"""Optimizers that step live weights only."""
