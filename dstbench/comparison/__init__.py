"""Compares two methods on paired seeds, or two finished runs on the same images.

pair_plan.py         A and B → the two planned runs of each seed
sequential.py        trains pairs until a sequential test decides
finished_runs.py     two records → their predictions compared
"""
