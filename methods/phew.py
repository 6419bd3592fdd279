"""PHEW: keep the weights that random walks through the network meet, larger ones more often.

Patil & Dovrolis 2021, "PHEW: Constructing sparse networks that learn fast and generalize well
without training data", and its authors' code.

`Connected` and `LimitedFanIn`, too, choose masks whose weights are on paths. They draw random
places with a budget's counts and mend the cut paths; here the counts of layers, the channels in
use and the weights all follow from the walks.
"""

import numpy as np
import torch

from dstbench.config.registry import register
from dstbench.core.masks import storage_index
from dstbench.core.part import Part
from dstbench.core.state import State
from dstbench.errors import UserError, require, require_sparsity
from dstbench.graph.random_walks import RandomWalks
from dstbench.methods.connected import channel_graph, generator_of
from dstbench.sparsity import live_total

_BATCH = 1024  # walks in each direction that are drawn together


@register("parts")
class PHEW(Part):
    """Chooses static masks: the weights that random walks between images and logits meet.

    Walks go forward and backward in turn, and begin at each channel of the images (at each logit)
    in turn. A walk goes from channel to channel with a probability in proportion to the sum of |w|
    over the kernel between the two, and meets one position of that kernel, in proportion to |w|.
    Initial weights are read, no data.

    On residual networks, as in the authors' code: of a projection shortcut and the convolutions
    beside it a walk takes either with probability ½, and never a shortcut without weights. Unlike
    there, a forward walk that takes a projection passes the convolution before it, too: the code
    leaves that out, so that the weight in the projection reads a channel that the walk never wrote.

    Counts are exact: of the last walk those weights are kept that it meets first, so that fewer
    weights than convolutions may be on no path. The authors' code keeps the last walk whole. Layers
    may end empty. Walks are of channels: at extreme sparsity, the single positions of kernels can
    lead a path out of a small plane of pixels. Not here: the code's variant with whole kernels.

    Put KaimingNormal before it to walk on, and train, the weights that its authors draw.

    sparsity: fraction removed of the original network's prunable weights, in [0, 1).

    Raises UserError: when walks do not meet enough weights, such as at a sparsity of 0; when the
        network cannot be traced, has a convolution with groups, or a linear layer that reads
        planes of several pixels.
    """

    def __init__(self, sparsity: float):
        require_sparsity(self, sparsity)
        self.sparsity = sparsity

    def init_masks(self, state: State) -> None:
        target = live_total(self.sparsity, state.dense_numel)
        require(target >= 1, self, "sparsity", self.sparsity, "low enough to keep one weight")
        parameters = state.masks.parameters
        magnitudes = {
            name: p.detach().abs().reshape(*p.shape[:2], -1).cpu().numpy()
            for name, p in parameters.items()
        }
        walks = RandomWalks(channel_graph(self, state), magnitudes, generator_of(state))
        chosen = self._met(walks, target)
        for name, weight in parameters.items():  # one that no forward pass uses ends empty
            start = walks.starts.get(name, walks.size)
            inside = (chosen >= start) & (chosen < start + weight.numel())
            index = torch.from_numpy(chosen[inside] - start)
            state.set_live_(name, storage_index(weight, index))

    def _met(self, walks: RandomWalks, target: int) -> np.ndarray:
        """Return the numbers of the first `target` weights that walks meet, (target,) int64."""
        channels, logits = walks.graph.channels[0], walks.graph.channels[walks.graph.logits]
        found = np.zeros(walks.size, bool)
        chosen: list[np.ndarray] = []
        live = 0
        for turn in range(walks.size):
            turns = np.arange(turn * _BATCH, (turn + 1) * _BATCH)
            both = walks.forward(turns % channels), walks.backward(turns % logits)
            met = np.stack(both, 1).ravel()  # in the order in which the walks meet them
            _, first = np.unique(met, return_index=True)
            new = met[np.sort(first)]
            new = new[(new >= 0) & ~found[new]][: target - live]
            if not len(new):
                break
            found[new] = True
            chosen.append(new)
            live += len(new)
            if live == target:
                return np.concatenate(chosen)
        raise UserError(
            f"PHEW.sparsity = {self.sparsity} asks for {target} live weights, but walks meet no "
            f"more than {live} of the {walks.size}. Ask for a higher sparsity.",
            "PHEW.sparsity",
        )
