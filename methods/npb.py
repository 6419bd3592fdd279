"""NPB: masks that balance the numbers of nodes and of paths, layer by layer.

Pham et al. 2023, "Towards data-agnostic pruning at initialization: what makes a good sparse mask?",
Node-Path Balancing, and its authors' code.
"""

import numpy as np
import torch

from dstbench.config.registry import register
from dstbench.core.budget import Budget
from dstbench.core.state import State
from dstbench.errors import UserError, require
from dstbench.graph.channel_graph import Array, ChannelGraph
from dstbench.graph.path_counts import count_paths
from dstbench.graph.steps import Affine, Convolution, Sum
from dstbench.methods.connected import Placed
from dstbench.methods.node_paths import balanced_kernels
from dstbench.methods.onto_paths import move_onto_paths

_WHOLE = 64 * 32  # kernels of a layer up to which it is not divided


@register("parts")
class NPB(Placed):
    """Chooses static masks with many channels in use and many paths. Weights and data are not read.

    Layer by layer, from the images on, the live weights of kernels are an exact solution of the
    objective in node_paths.py; positions in a kernel are random. As in the authors' code, layers of
    more than 2,048 kernels (there, of networks for images of 32 pixels; of others, 16,384) are
    divided into chunks of outputs with equal shares of the layer's weights, and each is solved by
    itself. There, so are classifiers of more than 5,120 weights; here they are not.

    Then weights that are on no path move to where they are on one, see onto_paths.py. This may
    change layers' counts, but not the total.

    `Connected` and `LimitedFanIn`, in contrast, draw the channels at random, and mend cut paths
    within a layer. Here inputs of the most paths are preferred.

    of: the budget that divides live weights among layers, such as @ERK().
    alpha: α, weight of the channels in use against the paths, in [0, 1].
    beta: β, weight of the kernels that are not empty, zero or more.
    per_kernel: p, most live weights of a kernel, positive. Not in the first layer, and more where
        the layer's weights do not fit. Less by 2, while above 5, after each projection shortcut.
    chunk: outputs of a large layer that are solved together, positive.

    Raises UserError: when a setting is out of range; when the network cannot be traced, has a
        convolution with groups, a linear layer that reads planes of several pixels, or so many
        paths that they cannot be counted.
    """

    def __init__(
        self,
        of: Budget,
        alpha: float = 0.01,
        beta: float = 1.0,
        per_kernel: int = 9,
        chunk: int = 32,
    ):
        super().__init__(of)
        require(0 <= alpha <= 1, self, "alpha", alpha, "in [0, 1]")
        require(beta >= 0, self, "beta", beta, "zero or more")
        require(per_kernel >= 1, self, "per_kernel", per_kernel, "at least 1 weight")
        require(chunk >= 1, self, "chunk", chunk, "at least 1 output")
        self.alpha, self.beta, self.per_kernel, self.chunk = alpha, beta, per_kernel, chunk

    def places(
        self,
        state: State,
        graph: ChannelGraph,
        counts: dict[str, int],
        rng: np.random.Generator,
    ) -> dict[str, Array]:
        image = torch.ones(state.image_shape, dtype=torch.float64)
        masks = self._solutions(graph, image, counts, rng)
        move_onto_paths(graph, masks, rng)
        return {name: np.argwhere(mask) for name, mask in masks.items()}

    def _solutions(
        self,
        graph: ChannelGraph,
        image: torch.Tensor,
        counts: dict[str, int],
        rng: np.random.Generator,
    ) -> dict[str, Array]:
        """Return tensor → bool (outputs, inputs, positions). A shared one is that of its first use.

        image: ones.
        """
        masks: dict[str, Array] = {}
        uses, projections = {use.step: use for use in graph.uses}, _projections(graph)
        paths, most, kernels = [image], self.per_kernel, None
        for number, step in enumerate(graph.steps, 1):
            inputs = [paths[value] for value in step.inputs]
            if isinstance(step.action, Convolution):
                use, size = uses[number], step.action.weight.shape
                reaching = inputs[0].sum((1, 2)).numpy()
                if not np.isfinite(reaching).all():
                    raise UserError("NPB: the network has too many paths to be counted.")
                if use.tensor not in masks:
                    limit = min(most, use.positions) if masks else use.positions
                    solved = self._solution(reaching, size[0], counts[use.tensor], limit, rng)
                    masks[use.tensor] = _at_random(solved, use.positions, rng)
                kernels = torch.from_numpy(masks[use.tensor].reshape(size))
                if number in projections and most > 5:
                    most -= 2
            paths.append(count_paths(step, inputs, kernels))
        return masks

    def _solution(
        self, paths: Array, outputs: int, live: int, most: int, rng: np.random.Generator
    ) -> Array:
        """Return the live weights of each kernel of a layer, (outputs, inputs)."""
        chunk = outputs if outputs * len(paths) <= _WHOLE else min(outputs, self.chunk)
        edges = [*range(0, outputs, chunk), outputs]
        shares = np.diff([live * edge // outputs for edge in edges]).tolist()
        return np.concatenate(
            [
                balanced_kernels(paths, size, share, most, self.alpha, self.beta, rng)
                for size, share in zip(np.diff(edges).tolist(), shares, strict=True)
            ]
        )


def _projections(graph: ChannelGraph) -> set[int]:
    """Return the steps of convolutions beside others that are added, but for a norm, at once."""
    readers: list[list[int]] = [[] for _ in range(len(graph.steps) + 1)]
    for number, step in enumerate(graph.steps, 1):
        for value in step.inputs:
            readers[value].append(number)
    convolutions, found = {use.step for use in graph.uses}, set()
    for number in convolutions:
        beside = convolutions.intersection(readers[graph.steps[number - 1].inputs[0]])
        value = number
        while len(readers[value]) == 1 and isinstance(
            graph.steps[readers[value][0] - 1].action, Affine
        ):
            value = readers[value][0]
        added = any(isinstance(graph.steps[r - 1].action, Sum) for r in readers[value])
        if len(beside) > 1 and added:
            found.add(number)
    return found


def _at_random(counts: Array, positions: int, rng: np.random.Generator) -> Array:
    """Return bool (outputs, inputs, positions): random positions, as many as in `counts`."""
    mask = np.zeros((*counts.shape, positions), bool)
    filled = counts.nonzero()
    ranks = rng.random((len(filled[0]), positions)).argsort(1)
    mask[filled] = ranks < counts[filled][:, None]
    return mask
