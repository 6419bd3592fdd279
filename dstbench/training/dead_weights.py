"""Dead weights must be zero whenever accuracy is measured: else it is of another network.

A part can write any value into a parameter. Counts, checkpoints and stored networks follow the
masks, but a forward pass follows the values.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from dstbench.core.masks import Masks, flat
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.utils.listed import listed

_HOOKS = ("surgery", "init_masks", "before_step", "after_backward", "after_step", "finish")
_SUITE = "dstbench."
_NAMED = 3  # tensors that a message names


@torch.no_grad()
def nonzero_dead(masks: Masks) -> dict[str, int]:
    """Return name → number of dead weights that are not zero, of the tensors that have any.

    The counts are added up on the device and read from it once.
    """
    counts = [_nonzero_dead(masks.parameters[name], masks.index(name)) for name in masks]
    if not counts:
        return {}
    found = torch.stack(counts).tolist()
    return {name: count for name, count in zip(masks, found, strict=True) if count}


def _nonzero_dead(parameter: Tensor, live: Tensor) -> Tensor:
    weights = flat(parameter)
    return torch.count_nonzero(weights) - torch.count_nonzero(weights[live])


def refuse_nonzero_dead(state: State, method: Part) -> None:
    """Raise UserError if any dead weight is not exactly zero. Waits for the device once."""
    found = nonzero_dead(state.masks)
    if not found:
        return
    largest = sorted(found.items(), key=lambda item: -item[1])
    named = listed([f"{name} ({count:,})" for name, count in largest], _NAMED)
    raise UserError(
        f"{sum(found.values()):,} dead weights are not zero at step {state.step}: {named}. "
        f"{_writer(method)} An accuracy would be that of a denser network than the masks and the "
        "counts describe. Change masks with State.set_live_ only, which zeroes what dies, and call "
        "state.masks.apply_() after writing to a parameter."
    )


def _writer(method: Part) -> str:
    """Return which part wrote to them, as far as it can be known: the suite's own do not."""
    parts = [part for part in _flat(method) if not type(part).__module__.startswith(_SUITE)]
    hooks = {type(part).__name__: _own_hooks(part) for part in parts}
    named = [f"{name} ({', '.join(own)})" for name, own in hooks.items() if own]
    if not named:
        return "The optimizer, the model or a part wrote to them."
    if len(named) == 1:
        return f"They were written by the part {named[0]}, the method's only one of a plugin."
    return f"They were written by one of the parts {', '.join(named)}."


def _own_hooks(part: Part) -> list[str]:
    return [hook for hook in _HOOKS if getattr(type(part), hook) is not getattr(Part, hook)]


def _flat(part: Part) -> Iterator[Part]:
    if isinstance(part, Method):
        for one in part.parts:
            yield from _flat(one)
    else:
        yield part
