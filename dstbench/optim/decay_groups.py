"""Which parameters weight decay is for, as the parameter groups of a torch optimizer."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from torch import nn

from dstbench.core.prunable import prunable

Decayed = Literal["all", "prunable"]


def free_of_decay(model: nn.Module, decayed: Decayed) -> list[nn.Parameter]:
    """Return the trainable parameters that weight decay leaves alone."""
    if decayed == "all":
        return []
    weights = {id(p) for p in prunable(model).values()}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in weights]


def decay_groups(
    parameters: Sequence[nn.Parameter], free: Collection[nn.Parameter]
) -> list[dict[str, Any]]:
    """Return the parameters as groups, none of them empty: with weight decay, and without.

    free: parameters that weight decay leaves alone.
    """
    apart = {id(p) for p in free}
    decayed = [p for p in parameters if id(p) not in apart]
    left = [p for p in parameters if id(p) in apart]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": left, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
