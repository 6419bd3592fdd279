"""The floating-point precision in which networks compute."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

PRECISIONS = ("fp32", "bf16")
Autocast = Callable[[], AbstractContextManager[Any]]  # makes the context of one forward pass


def autocast_for(precision: str, device: torch.device) -> Autocast:
    """Return the context of forward passes: bfloat16 autocast for "bf16", nothing for "fp32"."""
    return lambda: torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
