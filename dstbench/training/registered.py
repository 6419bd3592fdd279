"""Everything that a gin file may name without importing it.

Importing this module registers the suite's own classes. Methods are not among them: a gin file
imports the method it is about.
"""

from dstbench.core import budgets, gradient_clip, method, schedules
from dstbench.data import preprocessing
from dstbench.models import resnet
from dstbench.optim import settings as optimizers
from dstbench.training import settings

__all__ = [
    "budgets",
    "gradient_clip",
    "method",
    "optimizers",
    "preprocessing",
    "resnet",
    "schedules",
    "settings",
]
