"""GraNet: gradual pruning whose updates regrow as many weights as they drop.

Liu et al. 2021, "Sparse training via boosting pruning plasticity with neuroregeneration",
Algorithm 1.
"""

from dstbench.config.registry import register
from dstbench.core.budget import Budget
from dstbench.core.schedules import Schedule
from dstbench.core.state import State
from dstbench.errors import require
from dstbench.methods.global_magnitude import Division
from dstbench.methods.gmp import GMP
from dstbench.methods.rigl import RigL


@register("parts")
class GraNet(GMP, RigL):
    """Prunes gradually; each update then swaps small magnitudes for large gradients, as RigL does.

    An update first prunes to the sparsity of GMP's cubic schedule. Then every layer drops the
    fraction α of its remaining live weights with the smallest magnitudes, and grows as many dead
    ones, also those just pruned, with the largest dense gradients. After `until` only the swaps go
    on. As in the published code, the swaps' α follows a schedule over the whole run; in its last
    pruning there, the sparsity is not yet quite the final one, and here it is.

    sparsity: s_f, fraction removed of the original network's prunable weights, in [0, 1).
    of: divides live weights among layers: @GlobalMagnitude(), or a budget, such as @Uniform().
    drop_fraction: α, fraction of a layer's live weights swapped in an update, in [0, 1]; a number,
        or a schedule over the run.
    start: a budget that chooses random first masks at a sparsity s_i, at most s_f; None starts
        dense.
    begin: fraction of the run before which nothing is pruned, in [0, 1).
    until: fraction of the run at which the network has its sparsity, in (begin, 1).
    updates_per_run: evenly spaced updates in a run of any length, including the one at its end,
        which is omitted.
    update_interval: ΔT, optimizer steps between updates; if given, updates_per_run is not used.

    Raises UserError: when a setting is out of range, neither of the two intervals is given, or no
        update would come before `until`.
    """

    def __init__(
        self,
        sparsity: float,
        of: Division,
        drop_fraction: Schedule | float = 0.5,
        start: Budget | None = None,
        begin: float = 0.0,
        until: float = 0.5,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
    ):
        RigL.__init__(self, drop_fraction, updates_per_run, update_interval)
        GMP.__init__(self, sparsity, of, begin, until, updates_per_run, update_interval)
        lower = start is None or start.sparsity <= sparsity
        allowed = f"a budget whose sparsity is at most GraNet.sparsity = {sparsity}"
        require(lower, self, "start", getattr(start, "sparsity", None), allowed)
        self.start = start

    def check(self, total_steps: int) -> None:
        GMP.check(self, total_steps)
        RigL.check(self, total_steps)

    @property
    def redistributes(self) -> bool:
        """Whether a layer may get more live weights, as the two budgets may differ."""
        return self.start is not None and isinstance(self.of, Budget)

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        grows = self.redistributes and self.prunes_at(step, total_steps)
        return grows or RigL.needs_dense_gradients(self, step, total_steps)

    def start_(self, state: State) -> None:
        """Choose the first masks: all weights are live, or those of `start`."""
        if self.start is None:
            super().start_(state)
        else:
            self.start.init_masks(state)

    def sparsity_at(self, step: int, total_steps: int, initial: float = 0.0) -> float:
        """Return the sparsity that an update after optimizer step `step` sets.

        initial: s_i, unless that of `start` is higher.
        """
        begun = 0.0 if self.start is None else self.start.sparsity
        return super().sparsity_at(step, total_steps, max(initial, begun))

    def after_step(self, state: State) -> None:
        GMP.after_step(self, state)
        RigL.after_step(self, state)

    def prune_(self, state: State, targets: dict[str, int]) -> None:
        """Prune; a layer that a budget gives more live weights than it has grows by gradient."""
        self.update(state, 0.0, targets)
