"""Recomputes what a record claims, from the configuration, network and predictions it carries."""
