"""MaskedOptimizer: any torch optimizer; dead weights and their state are zeroed at each step."""

import copy
from typing import Any

import torch
from torch import Tensor

from dstbench.core.masks import Masks
from dstbench.core.optimizer_interface import SparseOptimizer


class MaskedOptimizer(SparseOptimizer):
    """Steps all weights with a torch optimizer, then zeroes the dead ones and their state.

    A step costs as much as in a dense network, and needs dense gradients.

    inner: the torch optimizer.
    masks: masks of the network.
    """

    def __init__(self, inner: torch.optim.Optimizer, masks: Masks):
        self.inner, self.masks = inner, masks
        self._new = copy.deepcopy(inner.state_dict())  # Adagrad's is not empty

    @torch.no_grad()
    def step(self, lr: float) -> None:
        for group in self.inner.param_groups:
            group["lr"] = lr
        self.inner.step()
        self.masks.apply_()
        for name in self.masks:
            self._zero_dead_state(name)

    def _zero_dead_state(self, name: str) -> None:
        parameter, mask = self.masks.parameters[name], self.masks[name]
        for value in self.inner.state.get(parameter, {}).values():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value.masked_fill_(~mask, 0.0)

    @torch.no_grad()
    def mask_moved(self, name: str, before: Tensor) -> None:
        self._zero_dead_state(name)  # weights dead before have zero state already

    def reset_state(self) -> None:
        self.inner.load_state_dict(copy.deepcopy(self._new))
        for name in self.masks:
            self._zero_dead_state(name)

    def zero_grad(self) -> None:
        self.inner.zero_grad(set_to_none=True)
        self.masks.live_gradients.clear()

    def state_dict(self) -> dict[str, Any]:
        return copy.deepcopy(self.inner.state_dict())

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.inner.load_state_dict(copy.deepcopy(saved))
