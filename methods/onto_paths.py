"""Moves weights that are on no path into kernels on paths that have many weights already.

As in the authors' code of NPB (Pham et al. 2023), but for the total, which stays exact here, and
the classifier, whose weights move here, too. Paths are of channels; those of pixels are not looked
at.
"""

import numpy as np

from dstbench.graph.channel_graph import Array, ChannelGraph
from dstbench.graph.connect import channels_on_paths


def move_onto_paths(graph: ChannelGraph, masks: dict[str, Array], rng: np.random.Generator) -> None:
    """Move weights that are on no path, in place. The total stays the same.

    They go to their own layer or, where there is no room, to the next ones.

    masks: tensor → bool (outputs, inputs, positions).
    """
    off = {}
    for name, between in _between_paths(graph, masks).items():
        off[name] = int(masks[name][~between].sum())
        masks[name][~between] = False
    allowed = _between_paths(graph, masks)  # without the channels that only those wrote or read
    moving = 0
    for anywhere in (False, False, True):  # again from the first layer; then off paths, if need be
        for name, mask in masks.items():
            moving += off.pop(name, 0)
            moving -= fill(mask, allowed[name] | anywhere, moving, rng)


def _between_paths(graph: ChannelGraph, masks: dict[str, Array]) -> dict[str, Array]:
    """Return tensor → bool (outputs, inputs): a weight there is, or would be, on a path."""
    reached, read = channels_on_paths(graph, {n: np.argwhere(m) for n, m in masks.items()})
    between = {name: np.zeros(mask.shape[:2], bool) for name, mask in masks.items()}
    for use in graph.uses:
        source = graph.steps[use.step - 1].inputs[0]
        between[use.tensor] |= read[use.step][:, None] & reached[source]
    return between


def fill(mask: Array, allowed: Array, moving: int, rng: np.random.Generator) -> int:
    """Add weights to the allowed kernels, in place, and return how many there was room for.

    The kernels that have the most weights are filled first; 1×1 kernels, in the order of their
    input's weights.
    """
    if not moving:
        return 0
    kernels = allowed.nonzero()
    live = mask.sum(2)
    rank = live if mask.shape[2] > 1 else np.broadcast_to(live.sum(0), live.shape)
    order = np.lexsort((rng.random(len(kernels[0])), -rank[kernels]))
    kernels = (kernels[0][order], kernels[1][order])
    room = mask.shape[2] - live[kernels]
    added = np.clip(moving - (np.cumsum(room) - room), 0, room)
    some = np.flatnonzero(added)
    kernels = (kernels[0][some], kernels[1][some])
    # Free positions at random, in front of those that are taken.
    free = rng.random((len(some), mask.shape[2])) + mask[kernels]
    mask[kernels] |= free.argsort(1).argsort(1) < added[some][:, None]
    return int(added.sum())
