"""Cyclic sparsity: a drop-and-grow method whose sparsity itself swings for a while. EAST paper,
section 3.3 and Algorithm 1, lines 7–19."""

import math
from collections.abc import Iterator
from typing import Literal

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require

SHAPES = {
    "cosine": lambda p: 0.5 * (1 - math.cos(2 * math.pi * p)),
    "triangular": lambda p: 1 - abs(2 * p - 1),
}


@register("parts")
class Cyclic(Part):
    """Swings between the method's sparsity and a lower one, then hands over to `mover`.

    mover: the drop-and-grow method whose growth score the cycles use, and which moves the masks
        afterwards at constant sparsity.
    sparsity: s_max, where every cycle starts and ends. lowest: s_min, in the middle of each; None
        is 1 − 3(1 − s_max), three times the live weights.
    cycles: how many. until: progress at which they end (T_c).
    shape: of a cycle, 'cosine' or 'triangular'.
    updates_per_cycle, update_interval: as DropGrow's, the first per cycle; where given, the second
        (optimizer steps) counts.

    While cycling nothing is swapped (drop fraction 0), so that a phase only grows or only prunes,
    layer by layer, to the budget's counts. At `until` the masks are pruned to exactly s_max: the
    last regular update comes before it, and would leave the network denser for good.
    """

    moves_masks = True
    needs_budget = True

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
    ):
        lowest = max(0.0, 1 - 3 * (1 - sparsity)) if lowest is None else lowest
        require(0 <= lowest <= sparsity, self, "lowest", lowest, f"in [0, {sparsity}]")
        require(cycles >= 1, self, "cycles", cycles, "at least 1")
        require(0 < until < 1, self, "until", until, "a progress in (0, 1)")
        require(shape in SHAPES, self, "shape", shape, " or ".join(map(repr, SHAPES)))
        require(updates_per_cycle >= 2, self, "updates_per_cycle", updates_per_cycle, "at least 2")
        require(
            update_interval is None or update_interval >= 1,
            self, "update_interval", update_interval, "at least 1 optimizer step, or None",
        )  # fmt: skip
        self.mover, self.sparsity, self.lowest = mover, sparsity, lowest
        self.cycles, self.until, self.shape = cycles, until, shape
        self.updates_per_cycle, self.update_interval = updates_per_cycle, update_interval

    def final_structure_step(self, total_steps: int) -> int:
        return math.ceil(round(self.until * total_steps, 6))

    def sparsity_at(self, step: int, total_steps: int) -> float:
        """The sparsity that the cycle wants after `step` steps."""
        end = self.final_structure_step(total_steps)
        if step >= end:
            return self.sparsity
        position = (step * self.cycles / end) % 1
        return self.sparsity - (self.sparsity - self.lowest) * SHAPES[self.shape](position)

    def is_due(self, step: int, total_steps: int) -> bool:
        """Whether the cycle updates after this step; at its end it always does."""
        end = self.final_structure_step(total_steps)
        if step >= end:
            return step == end
        if self.update_interval is not None:
            return step % self.update_interval == 0
        updates = self.cycles * self.updates_per_cycle
        return step * updates // end > (step - 1) * updates // end

    def _steps(self, end: int) -> Iterator[int]:
        """The steps before `end` at which the cycle updates."""
        if self.update_interval is not None:
            yield from range(self.update_interval, end, self.update_interval)
        else:
            updates = self.cycles * self.updates_per_cycle
            yield from (-(-k * end // updates) for k in range(1, updates))

    def check(self, total_steps: int) -> None:
        end = self.final_structure_step(total_steps)
        swings = any(
            step < end and self.sparsity_at(step, total_steps) < self.sparsity
            for step in self._steps(end)
        )
        if self.lowest < self.sparsity and not swings:
            when = (
                f"every {self.update_interval} of them"
                if self.update_interval is not None
                else f"{self.updates_per_cycle} times a cycle"
            )
            raise UserError(
                f"Cyclic would never change the sparsity: its {self.cycles} cycles last {end} "
                f"optimizer steps, with updates {when}. Lower Cyclic.update_interval, raise "
                "Cyclic.until, or train longer.",
                "Cyclic.update_interval",
            )
        if self.mover.next_update(end, total_steps) is None:
            name = type(self.mover).__name__
            raise UserError(
                f"{name} would never update its masks after the cycles, which end at step {end} "
                f"of {total_steps}. Lower {name}.update_interval or Cyclic.until.",
                f"{name}.update_interval",
            )

    def before_step(self, state: State) -> None:
        if state.step == 0:  # better refused now than in the middle of the first cycle
            assert state.budget is not None
            state.budget.live_counts(state, self.lowest)

    def after_step(self, state: State) -> None:
        step, total = state.step, state.total_steps
        if step > self.final_structure_step(total):
            self.mover.after_step(state)
        elif self.is_due(step, total):
            assert state.budget is not None
            targets = state.budget.live_counts(state, self.sparsity_at(step, total))
            self.mover.update(state, drop_fraction=0.0, targets=targets)
