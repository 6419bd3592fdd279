"""Cyclic sparsity: a drop-and-grow method whose sparsity oscillates early in the run.

EAST paper (Li et al. 2024), section 3.3 and Algorithm 1, lines 7–19.
"""

import math
from typing import ClassVar, Literal

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.part import Part
from dstbench.core.schedules import step_at
from dstbench.core.state import State
from dstbench.core.update_schedule import UpdateSchedule
from dstbench.errors import UserError, require

# position within a cycle, in [0, 1] → 0 at s_max, 1 at s_min
SHAPES = {
    "cosine": lambda p: 0.5 * (1 - math.cos(2 * math.pi * p)),
    "triangular": lambda p: 1 - abs(2 * p - 1),
}


@register("parts")
class Cyclic(Part):
    """Cycles between the method's sparsity and a lower one, then continues with `mover` alone.

    mover: drop-and-grow method whose growth score the cycles use, and which moves the masks
        afterwards at constant sparsity.
    sparsity: s_max, at the start and end of every cycle.
    lowest: s_min, in the middle of every cycle; None is 1 − 3(1 − s_max), three times the live
        weights.
    cycles: number of cycles.
    until: T_c, fraction of the run after which the cycles end, in (0, 1).
    shape: of a cycle, 'cosine' or 'triangular'.
    updates_per_cycle: evenly spaced mask updates in each cycle; their mean where lengths differ.
    update_interval: ΔT, optimizer steps between updates; if given, updates_per_cycle is not used.
    length_ratio: length of each cycle, as a multiple of the one before. The public EAST code has 1,
        and 2 in another version (cyclic_length_multiplier).

    While cycling, the drop fraction α is 0, so that layers only grow or only shrink, to the
    budget's counts. The update at `until` prunes to exactly s_max: the last regular update comes
    before it, and would leave the network denser for the rest of the run.
    """

    moves_masks = True
    needs_budget = True
    omitted_at_default: ClassVar[tuple[str, ...]] = ("length_ratio",)

    def __init__(
        self,
        mover: DropGrow,
        sparsity: float,
        lowest: float | None = None,
        cycles: int = 2,
        until: float = 0.4,
        shape: Literal["cosine", "triangular"] = "cosine",
        updates_per_cycle: int = 18,
        update_interval: int | None = None,
        length_ratio: float = 1.0,
    ):
        lowest = max(0.0, 1 - 3 * (1 - sparsity)) if lowest is None else lowest
        require(0 <= lowest <= sparsity, self, "lowest", lowest, f"in [0, {sparsity}]")
        require(cycles >= 1, self, "cycles", cycles, "at least 1")
        require(0 < until < 1, self, "until", until, "a fraction of the run in (0, 1)")
        require(shape in SHAPES, self, "shape", shape, " or ".join(map(repr, SHAPES)))
        require(updates_per_cycle >= 2, self, "updates_per_cycle", updates_per_cycle, "at least 2")
        require(length_ratio > 0, self, "length_ratio", length_ratio, "positive")
        self.mover, self.sparsity, self.lowest = mover, sparsity, lowest
        self.cycles, self.until, self.shape = cycles, until, shape
        self.length_ratio = length_ratio
        self.redistributes, self.dense_to_sparse = mover.redistributes, mover.dense_to_sparse
        # over the steps before `until`, not over the whole run
        self.update_schedule = UpdateSchedule(self, update_interval, cycles * updates_per_cycle)

    def last_cycle_step(self, total_steps: int) -> int:
        """Return the optimizer step after which `mover` moves the masks alone."""
        return step_at(self.until, total_steps)

    def final_structure_step(self, total_steps: int) -> int:
        return max(self.last_cycle_step(total_steps), self.mover.final_structure_step(total_steps))

    def sparsity_at(self, step: int, total_steps: int) -> float:
        """Return the sparsity that an update after optimizer step `step` sets."""
        end = self.last_cycle_step(total_steps)
        if step >= end:
            return self.sparsity
        position = self._position(step, end)
        return self.sparsity - (self.sparsity - self.lowest) * SHAPES[self.shape](position)

    def _position(self, step: int, end: int) -> float:
        """Return the position in its cycle, in [0, 1), of a step before `end`."""
        if self.length_ratio == 1:
            return (step * self.cycles / end) % 1
        lengths = [self.length_ratio**cycle for cycle in range(self.cycles)]
        rest = step * sum(lengths) / end  # in units of the first cycle
        for length in lengths[:-1]:
            if rest < length:
                return rest / length
            rest -= length
        return rest / lengths[-1]

    def is_due(self, step: int, total_steps: int) -> bool:
        """Return whether a cycle's update follows this optimizer step; the last is at `until`."""
        end = self.last_cycle_step(total_steps)
        return step == end or self.update_schedule.is_due(step, end)

    def check(self, total_steps: int) -> None:
        end = self.last_cycle_step(total_steps)
        updates = self.update_schedule.steps(end)
        oscillates = any(self.sparsity_at(step, total_steps) < self.sparsity for step in updates)
        if self.lowest < self.sparsity and not oscillates:
            raise UserError(
                f"Cyclic would never change the sparsity: its {self.cycles} cycles last {end} "
                f"optimizer steps, with updates {self.update_schedule}. Lower "
                "Cyclic.update_interval, raise Cyclic.until, or train longer.",
                "Cyclic.update_interval",
            )
        if self.mover.update_schedule.next_update(end, total_steps) is None:
            name = type(self.mover).__name__
            raise UserError(
                f"{name} would never update its masks after the cycles, which end at step {end} "
                f"of {total_steps}. Lower {name}.update_interval or Cyclic.until.",
                f"{name}.update_interval",
            )
        self.mover.check(total_steps)

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        if step > self.last_cycle_step(total_steps):
            return self.mover.needs_dense_gradients(step, total_steps)
        if self._watches_gradients and self.mover.needs_dense_gradients(step, total_steps):
            return True
        # assumed: in each update of a cycle; those that only shrink layers could do without
        return self.mover.grows_by_gradient and self.is_due(step, total_steps)

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        if super().requires_dense_gradients(step, total_steps):
            return True
        if step > self.last_cycle_step(total_steps):
            return self.mover.requires_dense_gradients(step, total_steps)
        if self._watches_gradients and self.mover.requires_dense_gradients(step, total_steps):
            return True
        return self.mover.may_grow_by_gradient and self.is_due(step, total_steps)

    @property
    def _watches_gradients(self) -> bool:
        """Whether the mover reads gradients in other steps than those of its updates."""
        return type(self.mover).after_backward is not Part.after_backward

    def before_step(self, state: State) -> None:
        if state.step == 0:  # a budget that cannot hold s_min is refused before training
            assert state.budget is not None
            state.budget.live_counts(state, self.lowest)

    def after_backward(self, state: State) -> None:
        self.mover.after_backward(state)

    def after_step(self, state: State) -> None:
        step, total = state.step, state.total_steps
        if step > self.last_cycle_step(total):
            self.mover.after_step(state)
        elif self.is_due(step, total):
            assert state.budget is not None
            targets = state.budget.live_counts(state, self.sparsity_at(step, total))
            self.mover.update(state, drop_fraction=0.0, targets=targets)
