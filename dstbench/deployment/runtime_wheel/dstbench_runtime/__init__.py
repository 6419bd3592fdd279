"""Runs networks that `dstbench deploy` compiled, with numpy alone or, faster, with numba."""

from dstbench_runtime.deployment.runtime.network import Network, load
from dstbench_runtime.errors import UserError

__all__ = ["Network", "UserError", "load"]
