"""Copies of a network for forward passes that must not change the network itself."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def copy_with(model: nn.Module, replace: Callable[[Tensor], Tensor]) -> nn.Module:
    """Return a copy of `model` in eval mode, without hooks, with other tensors.

    The model's own tensors are not copied, so the copy is cheap. Tensors that modules share in the
    model are shared in the copy.

    replace: returns the copy's value of a parameter or buffer.
    """
    with torch.no_grad():
        memo: dict[int, Any] = {id(b): replace(b) for b in model.buffers()}
        memo |= {id(p): nn.Parameter(replace(p)) for p in model.parameters()}
    for module in model.modules():
        for name, value in vars(module).items():
            hooks = name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
            # Empty ones are most of what a module has, and slow for deepcopy.
            if hooks or (type(value) is OrderedDict and not value):
                memo[id(value)] = OrderedDict()
    return copy.deepcopy(model, memo).eval()
