"""Do masks move alike however a tensor lies in memory? Positions and scores count along it.

A run's weights lie channels_last, so a score in row order grows other weights than it means to, and
nothing crashes. Here the same network, with the same masks and the same gradients, stands in both
layouts, and the first move of the masks is to be the same in both.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from dstbench.conformance.trial import Trial, advance, begun, nothing
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.core.state import State

DRAWS = 12  # of a method that leaves something to chance
LAYOUTS = (torch.channels_last, torch.contiguous_format)

Live = dict[str, Tensor]


class SameGradients(Part):
    """Puts in place of every gradient one that depends on nothing but the step."""

    @torch.no_grad()
    def after_backward(self, state: State) -> None:
        rng = torch.Generator().manual_seed(state.step)
        for parameter in state.model.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(0.01 * torch.randn(parameter.shape, generator=rng))


def strangers(trial: Trial, optimizer: str) -> Iterator[str]:
    """Tensors of which a weight is live after the first move in one layout, and not in the other.

    What every draw of the random numbers agrees on in one layout and none has in the other is no
    chance: with 12 draws it is one in 16 million for a weight at the most.
    """
    first = [first_move(trial, optimizer, layout, 0) for layout in LAYOUTS]
    if all(torch.equal(mask, first[1][name]) for name, mask in first[0].items()):
        return
    drawn = [
        [one, *(first_move(trial, optimizer, layout, seed) for seed in range(1, DRAWS))]
        for one, layout in zip(first, LAYOUTS, strict=True)
    ]
    for name in first[0]:
        one, other = (torch.stack([live[name] for live in draws]) for draws in drawn)
        if (one.all(0) & ~other.any(0) | other.all(0) & ~one.any(0)).any():
            yield name


def first_move(trial: Trial, optimizer: str, layout: torch.memory_format, seed: int) -> Live:
    """Name → mask after the first step that moves any mask (or after the last step)."""
    run, batches, start = trial.start(optimizer)
    if layout != torch.channels_last:
        state = begun(run, layout)[1]
        for name, mask in start.masks.items():
            state.set_live_(name, _along_memory(mask, state.masks.parameters[name]))
        state.model.load_state_dict(start.model.state_dict())
        state.optimizer = run.optimizer.build(state.model, state.masks)
    else:
        state = start
    before = {name: mask.clone() for name, mask in state.masks.items()}
    state.rng.manual_seed(seed)
    run.method = Method(run.method.name, (SameGradients(), run.method))
    for step in range(1, state.total_steps + 1):
        advance(run, batches, state, step, nothing)
        if any(not torch.equal(mask, before[name]) for name, mask in state.masks.items()):
            break
    return {name: mask.contiguous() for name, mask in state.masks.items()}


def _along_memory(mask: Tensor, like: Tensor) -> Tensor:
    """The live positions of a mask, along the memory of a tensor of its shape."""
    return flat(torch.empty_like(like, dtype=torch.bool).copy_(mask)).nonzero().view(-1)
