"""SRigL: RigL with a constant fan-in, that ablates channels without enough salient weights.

Lasby et al. 2024, "Dynamic sparse training with structured sparsity", section 3.1; the published
code, calgaryml/condensed-sparsity, `RigLConstFanScheduler`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dstbench.config.registry import register
from dstbench.core.budget import OfBudget
from dstbench.core.drop_grow import movable_tensors, rounded_up
from dstbench.core.masks import flat, storage_index
from dstbench.core.schedules import Schedule
from dstbench.core.selection import largest, random_subset
from dstbench.core.state import State
from dstbench.errors import require
from dstbench.methods.rigl import RigL


@register("parts")
class ConstantFanIn(OfBudget):
    """Random first masks in which all output channels of a layer have equally many live weights.

    The budget's counts are exact, so some channels, chosen at random, have one more than others. A
    layer with fewer live weights than channels has one in each of as many channels.

    of: the budget that divides live weights among layers, such as @ERK().

    Raises UserError: when `of` is no budget.
    """

    def init_masks(self, state: State) -> None:
        for name, count in self.of.live_counts(state, self.sparsity).items():
            weight = state.masks.parameters[name]
            channels = random_subset(len(weight), len(weight), state.rng)
            fan_in = torch.zeros(len(weight), dtype=torch.int64)
            fan_in[channels] = _even(count, len(channels))
            scores = torch.rand(len(weight), weight[0].numel(), generator=state.rng)
            chosen = _largest_of_rows(scores, fan_in)
            state.set_live_(name, storage_index(weight, chosen.flatten().nonzero().view(-1)))


@register("parts")
class SRigL(RigL):
    """Drops and grows as RigL does, to an equal fan-in of the channels that stay active.

    An update takes each layer on its own. Salient are its largest magnitudes, all but the fraction
    α of them that RigL would drop, and as many of its largest gradients as it would grow. A channel
    with fewer salient weights than γ times the mean fan-in is ablated: it loses all its weights,
    until an update finds it salient again. The largest magnitudes of the others are kept, and each
    channel grows its largest gradients up to the fan-in. Dense gradients are those of RigL.

    drop_fraction: α, fraction of a layer's live weights, in [0, 1]; a number, or a schedule over
        the run.
    salient: γ_sal, fraction of the mean fan-in over all channels that must be salient, at least 0;
        0 ablates the channels without a salient weight. At least one weight must be.

    The last layer is not ablated, nor so many channels that the layer's weights would not fit.

    Departures, for exact counts: fan-ins differ by at most one, the most salient channels having
    more. Where a layer has fewer weights than active channels, the most salient ones have one each
    (the published code refuses). The code keeps an arbitrary choice of a channel's salient weights
    if these are more than its fan-in, and may count dead weights among those that it keeps; here
    the largest live ones are kept. `preferred` has no effect.

    Raises UserError: when a setting is out of range.
    """

    def __init__(
        self,
        drop_fraction: Schedule | float = 0.3,
        salient: float = 0.3,
        updates_per_run: int | None = None,
        update_interval: int | None = None,
        update_until: float = 1.0,
    ):
        super().__init__(drop_fraction, updates_per_run, update_interval, update_until)
        require(salient >= 0, self, "salient", salient, "at least 0")
        self.salient = salient

    def update(
        self,
        state: State,
        drop_fraction: float,
        targets: dict[str, int] | None = None,
        preferred: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Drop and grow once, in every masked tensor; see DropGrow for the parameters."""
        movable, last = movable_tensors(state), list(state.masks)[-1]
        for name in state.masks:
            live = state.masks.live(name)
            target = live if targets is None else targets[name]
            weight = state.masks.parameters[name]
            if name not in movable:
                self.exchange(state, name, max(0, live - target), 0)
            elif 0 < target < weight.numel() or live != target:
                swap = rounded_up(drop_fraction * live)
                chosen = self._chosen(state, name, target, swap, ablates=name != last)
                state.set_live_(name, storage_index(weight, chosen.flatten().nonzero().view(-1)))

    def _chosen(self, state: State, name: str, target: int, swap: int, ablates: bool) -> Tensor:
        """Return which weights are live after the update, bool (channels, weights of one)."""
        magnitude = self.drop_score(state, name)
        index = state.masks.index(name)
        weight = state.masks.parameters[name]
        size = weight[0].numel()
        score = self.grow_score(state, name)
        growth = torch.zeros(weight.numel()) if score is None else score.cpu()
        growth = _rows(weight, growth)
        noise = torch.rand(growth.shape, generator=state.rng) - 1  # ties at zero are broken by it
        growth = torch.where(growth > 0, growth, noise)

        kept = index[largest(magnitude, max(0, min(len(index), target) - swap), state.rng)]
        salient = _rows(weight, torch.zeros(weight.numel()).index_fill_(0, kept.cpu(), 1)) > 0
        grown = largest(growth.flatten(), min(swap, growth.numel()), state.rng)
        salient.view(-1)[grown] = True
        order, active = self._ranked(salient.sum(1), target, size, ablates, state)
        fan_in = torch.zeros(len(weight), dtype=torch.int64)
        fan_in[order[:active]] = _even(target, active)

        values = torch.full((weight.numel(),), -1.0).index_put_((index.cpu(),), magnitude.cpu())
        rows = _rows(weight, values).masked_fill((fan_in == 0)[:, None], -1)
        count = min(len(kept), int((rows >= 0).sum()))  # live weights of active channels
        stays = torch.zeros_like(salient)
        stays.view(-1)[largest(rows.flatten(), count, state.rng)] = True
        stays = _largest_of_rows(rows.masked_fill(~stays, -1), fan_in.minimum(stays.sum(1)))
        grows = _largest_of_rows(growth.masked_fill(stays, -2), fan_in - stays.sum(1))
        return stays | grows

    def _ranked(
        self, salient: Tensor, target: int, size: int, ablates: bool, state: State
    ) -> tuple[Tensor, int]:
        """Return the channels by salient weights, most first, and how many of them stay active.

        salient: salient weights of each channel, (channels,).
        size: weights of one channel, live and dead.
        """
        shuffled = random_subset(len(salient), len(salient), state.rng)
        order = shuffled[salient[shuffled].argsort(descending=True, stable=True)]
        active = len(salient)
        if ablates:
            least = max(1, int(self.salient * (target // len(salient))))
            fitting = min(target // size, len(salient) - 1)  # one more channel than this is needed
            least = min(least, int(salient[order[fitting]]))
            active = int((salient >= least).sum())
        return order, max(1, min(active, target))


def _even(count: int, parts: int) -> Tensor:
    """Divide a number into equal parts, the first ones one larger where needed: (parts,)."""
    return torch.full((parts,), count // parts) + (torch.arange(parts) < count % parts)


def _rows(weight: Tensor, values: Tensor) -> Tensor:
    """Return values in the storage order of a weight as rows, one for each output channel."""
    like = torch.empty_like(weight, dtype=values.dtype, device="cpu", requires_grad=False)
    flat(like).copy_(values)
    return like.reshape(len(like), -1)


def _largest_of_rows(scores: Tensor, counts: Tensor) -> Tensor:
    """Return a mask of the `counts` largest scores of each row, bool like `scores`."""
    most = int(counts.max())
    columns = scores.topk(most, dim=1).indices
    wanted = torch.arange(most) < counts[:, None]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, columns, wanted)
