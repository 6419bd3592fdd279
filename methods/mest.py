"""MEST: drops what is small and has a small gradient, grows at random, ever less.

Yuan et al. 2021, "MEST: accurate and fast memory-economic sparse training framework on the edge",
section 3: elastic mutation (EM), and its soft memory bound (EM&S); the published code,
boone891214/MEST.
"""

from collections.abc import Mapping

from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.drop_grow import DropGrow
from dstbench.core.masks import live_gradient
from dstbench.core.schedules import Schedule, step_at, value_at
from dstbench.core.state import State
from dstbench.errors import require


@register("parts")
class MEST(DropGrow):
    """Drops the lowest |w| + λ |∂L/∂w| of each layer, and grows dead weights at random (MEST+EM).

    The gradient is that of the step just taken, of live weights alone. Elastic mutation is a
    schedule of the drop fraction that falls in steps, to none after `update_until`.

    drop_fraction: mutation ratio, as a fraction of a layer's live weights, in [0, 1]; a number, or
        a schedule over the run. The paper's is a fraction of all its weights.
    gradient_weight: λ, in units of weight per gradient, at least 0.

    The published code's default is λ = 0, which its scripts keep; its gradients are zero where it
    would read them, so that λ has no effect there.

    Raises UserError: when a setting is out of range.
    """

    grows_by_gradient = False

    def __init__(
        self,
        drop_fraction: Schedule | float,
        gradient_weight: float = 1.0,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
    ):
        super().__init__(drop_fraction, updates_per_run, update_interval, update_until)
        require(gradient_weight >= 0, self, "gradient_weight", gradient_weight, "at least 0")
        self.gradient_weight = gradient_weight

    def grow_score(self, state: State, name: str) -> None:
        return None

    def drop_score(self, state: State, name: str) -> Tensor:
        magnitude = super().drop_score(state, name)
        gradient = live_gradient(state.masks, name)
        if gradient is None:
            return magnitude
        return magnitude + self.gradient_weight * gradient.abs()


@register("parts")
class SoftMEST(MEST):
    """MEST whose grown weights come on top of the budget until `update_until` (MEST+EM&S).

    An update drops a layer's live weights to the budget's count, and then grows at random to its
    count at a lower sparsity, so a weight that grows does not displace another at once. The update
    at `update_until` only drops: from then on the network is within its budget.

    sparsity: of the trained network, the fraction removed of its prunable weights.
    drop_fraction: weights grown on top of the budget, as a fraction of it, in [0, 1]; a number, or
        a schedule over the run.
    gradient_weight: λ of MEST.
    update_until: fraction of the run after which the network is within its budget, in (0, 1).

    Departure: the published code grows before the first step, here the first update does.

    Raises UserError: when a setting is out of range.
    """

    dense_to_sparse = True
    needs_budget = True

    def __init__(
        self,
        sparsity: float,
        drop_fraction: Schedule | float,
        gradient_weight: float = 1.0,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 0.75,
    ):
        super().__init__(
            drop_fraction, gradient_weight, updates_per_run, update_interval, update_until
        )
        allowed = "a fraction of the run in (0, 1)"
        require(0 < update_until < 1, self, "update_until", update_until, allowed)
        self.sparsity, self.update_until = sparsity, update_until

    def final_structure_step(self, total_steps: int) -> int:
        return step_at(self.update_until, total_steps)

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return False

    def after_step(self, state: State) -> None:
        end = self.final_structure_step(state.total_steps)
        if state.step == end:
            self.update(state, 0.0)
        elif state.step < end and self.update_schedule.is_due(state.step, state.total_steps):
            self.update(state, value_at(self.drop_fraction, state.progress))

    def rewire(self, state: State, drop_fraction: float, preferred: Mapping[str, Tensor]) -> None:
        """Drop to the budget and grow; see DropGrow for the parameters."""
        assert state.budget is not None
        for fraction in (0.0, drop_fraction):
            sparsity = (
                max(0.0, 1 - (1 + fraction) * (1 - self.sparsity)) if fraction else self.sparsity
            )
            self.update(state, 0.0, state.budget.live_counts(state, sparsity), preferred)
