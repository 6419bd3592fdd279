"""Curves of runs drawn; the same data gives the same bytes."""
