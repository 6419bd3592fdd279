"""Narrow: a dense network of the same family, as small as the sparse one.

The control of every sparse method: what the same number of weights, or of MACs, is worth dense.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.prunable import prunable
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.models.memory_layout import to_channels_last
from dstbench.models.network_copy import copy_with
from dstbench.sparsity import live_total, percent

Match = Literal["weights", "macs"]


@register("parts")
class Narrow(Part):
    """Replaces the network by the widest of its family that is within the budget, dense.

    A model offers its family by `with_width(width)`, which returns a new network of any width, and
    by `width`, its own. The ResNets of dstbench do. Widths are whole numbers, so the network is a
    little below the budget; the run prints by how much.

    sparsity: the budget is the fraction 1 − sparsity of the original network's weights or MACs.
    match: what must not exceed the budget, 'weights' (prunable ones) or 'macs'.

    Raises UserError: for a model without `with_width`, or a budget below that of width 1.
    """

    def __init__(self, sparsity: float, match: Match = "weights"):
        allowed = "a fraction in [0, 1), such as 0.98 for 98 %"
        require(0 <= sparsity < 1, self, "sparsity", sparsity, allowed)
        self.sparsity, self.match = sparsity, match
        self.over_budget = match == "macs"  # fewer MACs may be of more weights

    def surgery(self, state: State) -> None:
        width, with_width = _family(state.model)
        size = self._size_of(state)
        budget = live_total(self.sparsity, size(state.model))
        sizes = partial(_size_at, size, with_width)
        if sizes(1) > budget:
            lowest = 1 - sizes(1) / size(state.model)
            raise UserError(
                f"Narrow: {percent(self.sparsity)} leaves {budget:,} {self._what}, and "
                f"{type(state.model).__name__} of width 1 has {sizes(1):,}. The highest sparsity "
                f"with a dense network of this family is about {percent(lowest)}; choose a lower "
                "one, or a wider model.",
                "Narrow.sparsity",
            )
        low, high = 1, width  # the largest width within the budget is in [low, high]
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if sizes(middle) <= budget else (low, middle - 1)
        like = next(state.model.parameters())
        state.model = to_channels_last(with_width(low).to(like.device, like.dtype))

    def notes(self, state: State) -> Sequence[str]:
        """Return one message: the width, its size, and the size of the next width."""
        width, with_width = _family(state.model)
        size = self._size_of(state)
        found = size(state.model)
        wider = _size_at(size, with_width, width + 1)
        return [
            f"Narrow: dense {type(state.model).__name__} of width {width} has {found:,} "
            f"{self._what}; width {width + 1} has {wider:,}, above the budget at "
            f"{percent(self.sparsity)}."
        ]

    @property
    def _what(self) -> str:
        return "weights" if self.match == "weights" else "MACs"

    def _size_of(self, state: State) -> Callable[[nn.Module], int]:
        """Return the function network → its size in the unit of `match`."""
        if self.match == "weights":
            return lambda model: sum(p.numel() for p in prunable(model).values())
        return partial(_macs, image_shape=state.image_shape)


def _family(model: nn.Module) -> tuple[int, Callable[[int], nn.Module]]:
    """Return a model's width, and width → new network of its family."""
    width, with_width = getattr(model, "width", None), getattr(model, "with_width", None)
    if not isinstance(width, int) or not callable(with_width):
        raise UserError(
            f"Narrow needs a model with an integer `width` and a method `with_width(width)`; "
            f"{type(model).__name__} lacks them. Choose a ResNet of dstbench, or add them."
        )
    return width, with_width


def _size_at(
    size: Callable[[nn.Module], int], with_width: Callable[[int], nn.Module], width: int
) -> int:
    """Return the size of the network of a width, built from shapes alone."""
    with torch.device("meta"):
        return size(with_width(width))


def _macs(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the MACs of one image in convolutions and linear layers."""
    found: list[int] = []

    def count(layer: Any, _: Any, output: Tensor) -> None:
        found.append(layer.weight.numel() * output[0].numel() // layer.weight.shape[0])

    twin = copy_with(model, lambda t: torch.empty_like(t, device="meta"))
    for module in twin.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        twin(torch.empty(1, *image_shape, device="meta"))
    return sum(found)
