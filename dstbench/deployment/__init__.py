"""Compiles a finished network to a small file, and runs it without torch.

`load` reads and runs a compiled network and needs numpy and numba only (`runtime/`). All other
modules need torch and are imported by their own names: `compiler/` makes a program of a network,
`deploy_run` writes all files of a run.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dstbench.deployment.runtime.network import Network, load

__all__ = ["Network", "load"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dstbench.deployment.runtime import network

    return getattr(network, name)
