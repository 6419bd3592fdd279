"""Whether a method moves masks identically in every memory layout of the weights.

Weights are channels_last in training, and flat indices and scores are in storage order. A score in
row order grows other weights than intended, and nothing crashes. Here the same network, with the
same masks and the same gradients, is trained in both layouts up to the first mask move, and the
masks are compared.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dstbench.conformance.trial import Trial, advance, initial_state, no_op
from dstbench.core.masks import flat
from dstbench.core.method import Method
from dstbench.core.part import Part
from dstbench.core.random_generators import get_states, set_states
from dstbench.core.state import State
from dstbench.data.in_memory import InMemoryBatches
from dstbench.training.settings import Run

DRAWS = 12  # repetitions with other random numbers, for methods that use some

Live = dict[str, Tensor]


class FixedGradients(Part):
    """Replaces every gradient by one that is a function of the step alone."""

    @torch.no_grad()
    def after_backward(self, state: State) -> None:
        rng = torch.Generator().manual_seed(state.step)
        for parameter in state.model.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(0.01 * torch.randn(parameter.shape, generator=rng))


def layout_mismatches(trial: Trial, optimizer: str) -> Iterator[str]:
    """Yield tensors with a weight that is live after the first move in one layout only.

    A weight counts if it is live in all 12 draws of one layout and in none of the other. By chance
    alone this has probability at most 1 in 8 million per weight.
    """
    left: Live = {}
    begins = [_begin(trial, optimizer)]
    begins.append(_begin(trial, optimizer, begins[0].state))
    for seed in range(DRAWS):
        one, other = (first_move(begin, seed) for begin in begins)
        for name, mask in one.items():
            only = torch.stack([mask & ~other[name], other[name] & ~mask])  # in one layout only
            left[name] = left[name] & only if seed else only
        if not any(weights.any() for weights in left.values()):
            return  # further draws leave none, either
    yield from (name for name, weights in left.items() if weights.any())


@dataclass(frozen=True)
class Begin:
    """Where every draw of a layout begins: masks may be slow to choose.

    generators: states of the global random generators.
    """

    run: Run
    batches: InMemoryBatches
    state: State
    generators: dict[str, Any]


def _begin(trial: Trial, optimizer: str, like: State | None = None) -> Begin:
    """Return the beginning of a run with weights in channels_last.

    like: its masks and weights, in contiguous memory; None for those of the method.
    """
    run = trial.run(optimizer)
    batches, state = initial_state(run, None if like is None else torch.contiguous_format)
    if like is not None:
        for name, mask in like.masks.items():
            state.set_live_(name, _flat_indices(mask, state.masks.parameters[name]))
        state.model.load_state_dict(like.model.state_dict())
        state.optimizer = run.optimizer.build(state.model, state.masks)
    run.method = Method(run.method.name, (FixedGradients(), run.method))
    return Begin(run, batches, state, get_states())


def first_move(begin: Begin, seed: int) -> Live:
    """Return name → mask after the first step that moves any mask (or after the last step).

    seed: of the random numbers that parts draw.
    """
    run, state = copy.deepcopy((begin.run, begin.state))
    set_states(begin.generators)
    before = {name: mask.clone() for name, mask in state.masks.items()}
    state.rng.manual_seed(seed)
    for step in range(1, state.total_steps + 1):
        advance(run, begin.batches, state, step, no_op)
        if any(not torch.equal(mask, before[name]) for name, mask in state.masks.items()):
            break
    return {name: mask.contiguous() for name, mask in state.masks.items()}


def _flat_indices(mask: Tensor, like: Tensor) -> Tensor:
    """Return a mask's live weights as flat indices in the storage order of `like`."""
    return flat(torch.empty_like(like, dtype=torch.bool).copy_(mask)).nonzero().view(-1)
