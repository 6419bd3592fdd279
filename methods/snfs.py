"""SNFS, sparse momentum: growth follows an average of past gradients, within and across layers.

Dettmers & Zettlemoyer 2019, "Sparse networks from scratch: faster training without losing
performance", section 3, Algorithm 1; the published code, TimDettmers/sparse_learning.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.apportion import apportion
from dstbench.core.drop_grow import DropGrow, movable_tensors, rounded_up
from dstbench.core.masks import gradient_of
from dstbench.core.schedules import Schedule
from dstbench.core.state import State
from dstbench.errors import require

FULL = 0.2  # a layer of less sparsity than this is nearly full
SEATS = 2**40  # resolution of a layer's share


@register("parts")
class SNFS(DropGrow):
    """Drops the smallest magnitudes, and grows the largest momentum in the layers that need it.

    The momentum of every weight, live or dead, is the exponential average of its dense gradients.
    The weights dropped in the whole network grow anew, divided among layers in proportion to the
    mean magnitude of their live weights' momentum before the update, in each layer where the
    momentum is largest. A layer that is less than 20 % sparse, and whose share is above the mean,
    drops at most its sparsity, so that it does not empty what it needs.

    The momentum is read until the last update, so every step until then needs dense gradients, and
    the State's memory holds a number for every weight.

    With targets for each layer, as in a cycle, an update is that of DropGrow with this growth.

    drop_fraction: α, fraction of a layer's live weights dropped in an update, in [0, 1]; a number,
        or a schedule over the run.
    momentum: weight of the past in the average, in [0, 1).

    Departures: the published code reads the optimizer's momentum, which includes weight decay, and
    with Adam divides by the root of its second moment; here the average is of gradients with every
    optimizer, as in the paper. A layer keeps at least one weight, and the counts are exact.

    Raises UserError: when a setting is out of range.
    """

    redistributes = True

    def __init__(
        self,
        drop_fraction: Schedule | float = 0.5,
        momentum: float = 0.9,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
    ):
        super().__init__(drop_fraction, updates_per_run, update_interval, update_until)
        require(0 <= momentum < 1, self, "momentum", momentum, "in [0, 1)")
        self.momentum = momentum

    def needs_dense_gradients(self, step: int, total_steps: int) -> bool:
        return self.update_schedule.next_update(step - 1, total_steps) is not None

    def requires_dense_gradients(self, step: int, total_steps: int) -> bool:
        return self.needs_dense_gradients(step, total_steps)

    def after_backward(self, state: State) -> None:
        if not self.needs_dense_gradients(state.step + 1, state.total_steps):
            return
        for name in state.masks:
            gradient = gradient_of(state.masks.parameters[name])
            if gradient is not None:
                average = self._momentum(state, name)
                average.mul_(self.momentum).add_(gradient, alpha=1 - self.momentum)

    def grow_score(self, state: State, name: str) -> Tensor:
        return self._momentum(state, name).abs()

    def rewire(self, state: State, drop_fraction: float, preferred: Mapping[str, Tensor]) -> None:
        """Drop and grow once in the whole network; see DropGrow for the parameters."""
        movable = movable_tensors(state)
        names = [n for n in state.masks if n in movable and state.masks.live(n)]
        shares = self._shares(state, names)
        drops, room = [], []
        for name, share in zip(names, shares, strict=True):
            live, size = state.masks.live(name), state.masks.parameters[name].numel()
            sparsity = 1 - live / size
            needs = sparsity < FULL and share * len(names) > 1
            fraction = min(sparsity, drop_fraction) if needs else drop_fraction
            drops.append(min(rounded_up(fraction * live), live - 1))
            room.append(size - live + drops[-1])
        weights = [max(1, round(SEATS * share)) for share in shares]
        grown = apportion(sum(drops), weights, room, least=0)
        for name, drop, grow in zip(names, drops, grown, strict=True):
            self.exchange(state, name, drop, grow, preferred.get(name))

    def _shares(self, state: State, names: list[str]) -> list[float]:
        """Return each tensor's share of the mean live momentum magnitudes; they sum to 1."""
        means = [
            float(self._momentum(state, name)[state.masks.index(name)].abs().double().mean())
            for name in names
        ]
        total = sum(means)
        if not 0 < total < float("inf"):
            return [1 / len(names) for _ in names]
        return [mean / total for mean in means]

    def _momentum(self, state: State, name: str) -> Tensor:
        """Return the average gradients of a tensor's weights, (numel,), in storage order."""
        key = f"snfs_momentum/{name}"
        if key not in state.memory:
            parameter = state.masks.parameters[name]
            state.memory[key] = torch.zeros(parameter.numel(), device=parameter.device)
        return state.memory[key]
