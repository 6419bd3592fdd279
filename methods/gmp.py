"""GMP: gradual magnitude pruning.

Zhu & Gupta 2017, "To prune, or not to prune: exploring the efficacy of pruning for model
compression", section 3, equation 1.
"""

from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.schedules import step_at
from dstbench.core.state import BudgetRule, State
from dstbench.core.update_schedule import UpdateSchedule
from dstbench.errors import UserError, require, require_sparsity
from dstbench.methods.global_magnitude import (
    Division,
    keep_largest_,
    make_all_live_,
    refuse_other_sparsity,
    stored_fraction,
)
from dstbench.sparsity import live_total


@register("parts")
class GMP(Part):
    """Trains a dense network and prunes its smallest magnitudes, ever fewer at a time.

    Between `begin` and `until` the sparsity is s_f + (s_i − s_f)(1 − x)³, where x is the fraction
    of that time that has passed, s_f the method's sparsity and s_i 0 (where layers share tensors:
    the fraction of the original network that is not stored). A pruned weight is zero and does not
    come back. In the paper a masked weight keeps its value, is not updated, and takes part in the
    choice of the next mask.

    Updates are evenly spaced over the whole run, those before `begin` and after `until` omitted,
    and there is one at `until`, so that the count is exact from then on. In the paper they are
    counted from `begin`.

    sparsity: s_f, fraction removed of the original network's prunable weights, in [0, 1).
    of: divides live weights among layers: @GlobalMagnitude(), or a budget, such as @Uniform().
    begin: fraction of the run before which nothing is pruned, in [0, 1).
    until: fraction of the run at which the network has its sparsity, in (begin, 1).
    updates_per_run: evenly spaced updates in a run of any length, if none were omitted.
    update_interval: ΔT, optimizer steps between updates; if given, updates_per_run is not used.

    Raises UserError: when a setting is out of range, neither of the two intervals is given, or no
        update would come before `until`.
    """

    moves_masks = True
    dense_to_sparse = True

    def __init__(
        self,
        sparsity: float,
        of: Division,
        begin: float = 0.0,
        until: float = 0.5,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
    ):
        require_sparsity(self, sparsity)
        require(0 <= begin < 1, self, "begin", begin, "a fraction of the run in [0, 1)")
        require(begin < until < 1, self, "until", until, f"a fraction of the run in ({begin}, 1)")
        self.sparsity, self.of, self.begin, self.until = sparsity, of, begin, until
        self.update_schedule = UpdateSchedule(self, update_interval, updates_per_run)
        refuse_other_sparsity(self, of)

    @property
    def budget(self) -> BudgetRule:
        return self.of

    def final_structure_step(self, total_steps: int) -> int:
        return step_at(self.until, total_steps)

    def sparsity_at(self, step: int, total_steps: int, initial: float = 0.0) -> float:
        """Return the sparsity that an update after optimizer step `step` sets.

        initial: s_i.
        """
        begin, end = self.begin * total_steps, self.final_structure_step(total_steps)
        if step >= end:
            return self.sparsity
        left = 1 - max(0.0, (step - begin) / (end - begin))
        return self.sparsity + (initial - self.sparsity) * left**3

    def prunes_at(self, step: int, total_steps: int) -> bool:
        """Return whether weights are pruned after this optimizer step; the last is at `until`."""
        end = self.final_structure_step(total_steps)
        inside = self.begin * total_steps < step < end
        return step == end or (inside and self.update_schedule.is_due(step, total_steps))

    def check(self, total_steps: int) -> None:
        end = self.final_structure_step(total_steps)
        if not any(self.prunes_at(step, total_steps) for step in range(1, end)):
            name = type(self).__name__
            raise UserError(
                f"{name} would prune once only, at step {end} of {total_steps}: updates are due "
                f"{self.update_schedule}, and none is between {name}.begin and {name}.until. "
                f"Train longer (Run.epochs), or lower {name}.update_interval.",
                f"{name}.update_interval",
            )

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def init_masks(self, state: State) -> None:
        self.start_(state)
        steps = range(1, state.total_steps)
        due = (step for step in steps if self.prunes_at(step, state.total_steps))
        first = next(due, state.total_steps)  # `dstbench cost` counts a run of one step
        for step in (first, state.total_steps):  # refuses what the network cannot have
            self._targets(state, step)

    def start_(self, state: State) -> None:
        """Choose the first masks: all weights are live."""
        make_all_live_(state)

    def after_step(self, state: State) -> None:
        if self.prunes_at(state.step, state.total_steps):
            targets = self._targets(state, state.step)
            if targets is not None:
                self.prune_(state, targets)

    def prune_(self, state: State, targets: dict[str, int]) -> None:
        """Prune each tensor's smallest magnitudes.

        targets: tensor name → live weights that are left.
        """
        keep_largest_(state, targets)

    def _targets(self, state: State, step: int) -> dict[str, int] | None:
        """Return the live weights that an update after a step leaves; None if all that are live."""
        sparsity = self.sparsity_at(step, state.total_steps, 1 - stored_fraction(state))
        is_final = step >= self.final_structure_step(state.total_steps)
        if not is_final and live_total(sparsity, state.dense_numel) >= state.masks.total():
            return None
        return self.of.live_counts(state, sparsity)
