"""dstbench: a benchmark suite for dynamic sparse training.

A method's author imports from here:

    from dstbench import DropGrow, State, gradient_of, register
"""

from importlib import import_module

TYPE_CHECKING = False  # type checkers take it as True; importing typing would take longer than this
if TYPE_CHECKING:
    from dstbench.config.registry import register
    from dstbench.core.drop_grow import DropGrow
    from dstbench.core.masks import Masks, flat, gradient_of
    from dstbench.core.method import Method
    from dstbench.core.part import Part
    from dstbench.core.state import State

__all__ = ["DropGrow", "Masks", "Method", "Part", "State", "flat", "gradient_of", "register"]
__version__ = "0.1.0"

# Imported on first use: most of them import torch, which takes a second.
_MODULES = {
    "DropGrow": "dstbench.core.drop_grow",
    "Masks": "dstbench.core.masks",
    "Method": "dstbench.core.method",
    "Part": "dstbench.core.part",
    "State": "dstbench.core.state",
    "flat": "dstbench.core.masks",
    "gradient_of": "dstbench.core.masks",
    "register": "dstbench.config.registry",
}


def __getattr__(name: str) -> object:
    """Import a name of `__all__` when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
