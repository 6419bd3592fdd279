"""IMP: iterative magnitude pruning with rewinding, all its trainings in one run.

Frankle et al. 2020, "Linear mode connectivity and the lottery ticket hypothesis", section 4 and
Algorithm 2 (appendix A).
"""

from itertools import pairwise

import torch

from dstbench.config.registry import register
from dstbench.core.packing import kept_tensors
from dstbench.core.part import Part
from dstbench.core.schedules import Repeated, Schedule, step_at
from dstbench.core.state import BudgetRule, State
from dstbench.errors import UserError, require, require_sparsity
from dstbench.methods.global_magnitude import (
    Division,
    keep_largest_,
    make_all_live_,
    refuse_other_sparsity,
    stored_fraction,
)

_MEMORY = "rewound/"  # in front of a tensor's name, in the State's memory


@register("parts")
class IMP(Part):
    """Trains the network, prunes the smallest magnitudes, rewinds the rest, and trains it again.

    A run is one training of the dense network and `rounds` trainings of ever sparser ones. After
    each but the last, the same fraction of the live weights is pruned: those of the smallest
    magnitudes. All parameters and batch-norm averages are then set to what they were at the rewind
    step of the first training, and the optimizer is new. The next training begins there, with the
    learning rate of that step: the recipe's schedule is that of one training, and is repeated. The
    recipe's epochs are those of all trainings together, and so is the cost of training.

    Batches are those of the run's epochs, so every training sees another order. Batch-norm
    averages are rewound as in the published code; the paper speaks of weights.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).
    of: divides live weights among layers: @GlobalMagnitude(), or a budget, such as @Uniform().
    rounds: prunings, one fewer than trainings.
    rewind: where every training but the first begins, as a fraction of a training, in [0, 1).

    Raises UserError: when a setting is out of range, or a training would have no optimizer step.
    """

    moves_masks = True
    dense_to_sparse = True

    def __init__(self, sparsity: float, of: Division, rounds: int, rewind: float = 0.0):
        require_sparsity(self, sparsity)
        require(rounds >= 1, self, "rounds", rounds, "at least 1")
        require(0 <= rewind < 1, self, "rewind", rewind, "a fraction of a training in [0, 1)")
        self.sparsity, self.of, self.rounds, self.rewind = sparsity, of, rounds, rewind
        refuse_other_sparsity(self, of)

    @property
    def budget(self) -> BudgetRule:
        return self.of

    def lr_schedule(self, of: Schedule) -> Schedule:
        return Repeated(of, self.rounds + 1, self.rewind)

    def ends(self, total_steps: int) -> list[int]:
        """Return the optimizer steps after which each training ends; the last is `total_steps`."""
        ends = Repeated(float, self.rounds + 1, self.rewind).ends()
        return [step_at(end, total_steps) for end in ends]

    def rewind_step(self, total_steps: int) -> int:
        """Return the optimizer step of the first training that weights are rewound to."""
        length = Repeated(float, self.rounds + 1, self.rewind).length
        return step_at(self.rewind / length, total_steps)

    def final_structure_step(self, total_steps: int) -> int:
        return self.ends(total_steps)[-2]

    def check(self, total_steps: int) -> None:
        starts = [self.rewind_step(total_steps), *self.ends(total_steps)]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise UserError(
                f"IMP trains {self.rounds + 1} times, and in a run of {total_steps} optimizer "
                "steps one of these trainings would have none after the rewind step. Train longer "
                "(Run.epochs), or lower IMP.rounds.",
                "IMP.rounds",
            )

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        # None are read, but an engine then has handed batch norm's averages to the model.
        return step in (self.rewind_step(total_steps), *self.ends(total_steps)[:-1])

    def init_masks(self, state: State) -> None:
        make_all_live_(state)
        self.of.live_counts(state, self.sparsity)  # refuses what the network cannot have
        if self.rewind_step(state.total_steps) == 0:
            _remember(state)

    def after_step(self, state: State) -> None:
        if state.step == self.rewind_step(state.total_steps):
            _remember(state)
        ends = self.ends(state.total_steps)[:-1]
        if state.step in ends:
            pruned = ends.index(state.step) + 1
            keep_largest_(state, self.of.live_counts(state, self._sparsity_after(pruned, state)))
            _rewind_(state)
            if pruned == self.rounds:
                _forget(state)

    def _sparsity_after(self, pruned: int, state: State) -> float:
        """Return the sparsity after so many prunings, each of the same fraction of live weights."""
        if pruned == self.rounds:
            return self.sparsity
        stored = stored_fraction(state)
        return 1 - stored * ((1 - self.sparsity) / stored) ** (pruned / self.rounds)


def _remember(state: State) -> None:
    """Copy all parameters and persistent buffers into the State's memory."""
    for name, tensor in kept_tensors(state.model).items():
        state.memory[_MEMORY + name] = tensor.detach().clone()


@torch.no_grad()
def _rewind_(state: State) -> None:
    """Set all parameters and persistent buffers to what is remembered; dead weights stay zero."""
    for name, tensor in kept_tensors(state.model).items():
        tensor.copy_(state.memory[_MEMORY + name])
    state.masks.apply_()
    assert state.optimizer is not None
    state.optimizer.reset_state()


def _forget(state: State) -> None:
    for name in [name for name in state.memory if name.startswith(_MEMORY)]:
        del state.memory[name]
