"""DSR, dynamic sparse reparameterization: a global magnitude threshold, growth where most survive.

Mostafa & Wang 2019, "Parameter efficient training of deep convolutional neural networks by dynamic
sparse reparameterization", section 3, Algorithm 1; the published code, IntelAI/
dynamic-reparameterization.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.apportion import apportion
from dstbench.core.drop_grow import DropGrow, movable_tensors
from dstbench.core.masks import flat
from dstbench.core.schedules import Schedule
from dstbench.core.selection import largest
from dstbench.core.state import State
from dstbench.errors import require

THRESHOLD = "dsr_threshold"  # H, in State.memory: (), float64


@register("parts")
class DSR(DropGrow):
    """Drops all magnitudes below one threshold, and grows at random where most weights survive.

    The weights dropped in the whole network grow anew, divided among layers in proportion to their
    surviving weights, among those that were dead before the update. The threshold is then doubled
    if too few were dropped and halved if too many were, so it is right for the next update.

    With targets for each layer, as in a cycle, an update is that of SET.

    drop_fraction: N_p, as a fraction of the network's live weights: how many an update is meant to
        drop, in [0, 1]; a number, or a schedule over the run.
    threshold: H before the first update, a magnitude, positive.
    tolerance: δ, relative deviation from N_p within which the threshold stays, in [0, 1).

    Departures: a layer that would lose all its weights keeps the largest one (the code keeps the
    first in memory). Sainte-Laguë's method replaces rounding and random corrections. A layer
    without other room grows weights that were just dropped, where the code would not end.

    Raises UserError: when a setting is out of range.
    """

    grows_by_gradient = False
    redistributes = True

    def __init__(
        self,
        drop_fraction: Schedule | float,
        threshold: float = 0.001,
        tolerance: float = 0.1,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
    ):
        super().__init__(drop_fraction, updates_per_run, update_interval, update_until)
        require(threshold > 0, self, "threshold", threshold, "a positive magnitude")
        require(0 <= tolerance < 1, self, "tolerance", tolerance, "a fraction in [0, 1)")
        self.threshold, self.tolerance = threshold, tolerance

    def grow_score(self, state: State, name: str) -> None:
        return None

    def rewire(self, state: State, drop_fraction: float, preferred: Mapping[str, Tensor]) -> None:
        """Drop and grow once in the whole network; see DropGrow for the parameters."""
        threshold = self._threshold(state)
        movable = movable_tensors(state)
        live = {n: state.masks.live(n) for n in state.masks if n in movable and state.masks.live(n)}
        lost = {name: self._below(state, name, float(threshold)) for name in live}
        surviving = [count - len(lost[name]) for name, count in live.items()]
        sizes = [state.masks.parameters[name].numel() for name in live]
        free = [size - count for size, count in zip(sizes, surviving, strict=True)]
        dropped = sum(map(len, lost.values()))
        meant = drop_fraction * sum(live.values())
        for name, grow in zip(live, apportion(dropped, surviving, free, least=0), strict=True):
            stays = ~torch.zeros_like(flat(state.masks[name])).index_fill_(0, lost[name], True)
            if name in preferred:
                stays &= preferred[name]
            self.exchange(state, name, len(lost[name]), grow, stays)
        if dropped > (1 + self.tolerance) * meant:
            threshold /= 2
        elif dropped < (1 - self.tolerance) * meant:
            threshold *= 2

    def _threshold(self, state: State) -> Tensor:
        """Return H, as it is kept in the State's memory."""
        if THRESHOLD not in state.memory:
            state.memory[THRESHOLD] = torch.tensor(self.threshold, dtype=torch.float64)
        return state.memory[THRESHOLD]

    def _below(self, state: State, name: str, threshold: float) -> Tensor:
        """Return the live weights below the threshold, as indices; never all of a layer."""
        index = state.masks.index(name)
        magnitudes = self.drop_score(state, name)
        below = magnitudes < threshold
        if below.all():
            below[largest(magnitudes, 1, state.rng)] = False
        return index[below]
