"""Compiles a finished network to a small file, and runs it without torch.

`load` reads and runs a compiled network; it needs numpy, and is faster with numba (`runtime/`). All
other modules need torch and are imported by their own names: `compiler/` makes a program of a
network, `deploy_run` writes all files of a run, `runtime_wheel/` distributes `load` by itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .runtime.network import Network, load

__all__ = ["Network", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .runtime import network

    return getattr(network, name)
