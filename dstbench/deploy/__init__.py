"""The finished network made really small and really fast.

`load` runs a compiled network with numpy and numba alone; everything else here makes one, needs
torch, and is imported by its own name.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dstbench.deploy.runtime.network import Network, load

__all__ = ["Network", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dstbench.deploy.runtime import network

    return getattr(network, name)
