"""dstbench: a benchmark suite for dynamic sparse training.

    import dstbench
    result = dstbench.run("rigl", recipe="cifar10_tiny", sparsity=0.99)

A method's author imports from here, too:

    from dstbench import DropGrow, State, gradient_of, register

docs/api.md describes everything.
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it as True; importing typing would take longer than this
if TYPE_CHECKING:
    from dstbench.api.board import leaderboard
    from dstbench.api.compare import compare
    from dstbench.api.costs import cost
    from dstbench.api.grids import sweep
    from dstbench.api.networks import deploy
    from dstbench.api.result import Result, load
    from dstbench.api.tables import records
    from dstbench.api.train import run
    from dstbench.config.registry import register
    from dstbench.core.drop_grow import DropGrow
    from dstbench.core.masks import Masks, flat, gradient_of
    from dstbench.core.method import Method
    from dstbench.core.part import Part
    from dstbench.core.state import State
    from dstbench.errors import UserError

__all__ = [
    "DropGrow",
    "Masks",
    "Method",
    "Part",
    "Result",
    "State",
    "UserError",
    "compare",
    "cost",
    "deploy",
    "flat",
    "gradient_of",
    "leaderboard",
    "load",
    "records",
    "register",
    "run",
    "sweep",
]
__version__ = "0.1.0"

# Imported on first use: most of them import torch, which takes a second.
_MODULES = {
    "DropGrow": "dstbench.core.drop_grow",
    "Masks": "dstbench.core.masks",
    "Method": "dstbench.core.method",
    "Part": "dstbench.core.part",
    "Result": "dstbench.api.result",
    "State": "dstbench.core.state",
    "UserError": "dstbench.errors",
    "compare": "dstbench.api.compare",
    "cost": "dstbench.api.costs",
    "deploy": "dstbench.api.networks",
    "flat": "dstbench.core.masks",
    "gradient_of": "dstbench.core.masks",
    "leaderboard": "dstbench.api.board",
    "load": "dstbench.api.result",
    "records": "dstbench.api.tables",
    "register": "dstbench.config.registry",
    "run": "dstbench.api.train",
    "sweep": "dstbench.api.grids",
}


def __getattr__(name: str) -> object:
    """Import a name of `__all__` when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
