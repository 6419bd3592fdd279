"""Everything that a gin file may name without importing it.

Importing this module registers the suite's own classes. Methods are not among them: a gin file
imports the method it is about.
"""

from dstbench import batches, budget, clip, models, optim, part, run, schedules

__all__ = ["batches", "budget", "clip", "models", "optim", "part", "run", "schedules"]
