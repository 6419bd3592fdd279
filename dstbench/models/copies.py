"""Running a network without touching it: a copy to be run instead, and random numbers put back."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn


def shadow(model: nn.Module, replace: Callable[[Tensor], Tensor]) -> nn.Module:
    """A copy of `model` in eval mode, without hooks, to be run instead of it.

    replace: makes the copy's value of a parameter or buffer; what the model shares, the copy
    shares. The model's own tensors are not copied, so this is cheap.
    """
    with torch.no_grad():
        memo: dict[int, Any] = {id(b): replace(b) for b in model.buffers()}
        memo |= {id(p): nn.Parameter(replace(p)) for p in model.parameters()}
    for module in model.modules():
        for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            memo[id(getattr(module, hooks))] = OrderedDict()
    return copy.deepcopy(model, memo).eval()


def preserve_rng(like: Tensor) -> AbstractContextManager[None]:
    """Inside, the random generators of the CPU and of `like`'s device may be drawn from freely."""
    return torch.random.fork_rng([like.get_device()] if like.is_cuda else [])
