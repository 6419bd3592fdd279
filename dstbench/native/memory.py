"""Where everything is stored: planes of values, of gradients, and those equal for all images."""

from dataclasses import dataclass

import numpy as np

from dstbench.native.gradient_places import GAP, GradientPlaces
from dstbench.native.liveness import Liveness
from dstbench.native.order import Order
from dstbench.native.tables import CONSTANT, FIXED, SCALED, STORED
from dstbench.native.wiring import Array, Wiring


@dataclass
class Places:
    """Positions in the three arenas; -1 where there is none.

    zeros: in the values, as many zeros as the largest plane has numbers, `largest_plane`.
    base: of the plane that each channel is seen in; constant channels in the levels.
    plane, level: of each filter.
    channel_level: the part of each channel that is equal for all images.
    gradient, incoming, filter_gradient: in the gradients.
    summed, filter_summed: in the levels, gradients summed over images.
    levelled: whether a channel's level differs from pixel to pixel.
    loss: first position of the gradients of the logits, one plane a class.
    backward_after: of each backward task, the last task that must be done before.
    values, gradients, levels: sizes of the arenas. The last level is 0.
    """

    zeros: int
    largest_plane: int
    base: Array
    plane: Array
    level: Array
    channel_level: Array
    gradient: Array
    incoming: Array
    filter_gradient: Array
    summed: Array
    filter_summed: Array
    levelled: Array
    loss: int
    backward_after: Array
    values: int
    gradients: int
    levels: int


def places(wiring: Wiring, live: Liveness, order: Order, cells: Array, batch: int) -> Places:
    """Return where everything is stored.

    cells: of each channel's plane.
    batch: numbers of a cell.
    """
    pixels = wiring.height * wiring.width
    filter_pixels = pixels[wiring.channel_of]
    images = wiring.of_node(0).stop
    filter_run = live.run[wiring.channel_of]
    constant = live.kind == CONSTANT

    zeros = images * int(pixels[0]) * batch
    largest_plane = int(pixels.max()) * batch
    first = zeros + largest_plane
    plane, end = _stack(cells[wiring.channel_of] * batch, live.stored & filter_run, first, GAP)
    stored, end = _stack(cells * batch, (live.kind == STORED) & live.run, end, GAP)

    linked_constant = (wiring.link >= 0) & ~live.live[wiring.link]
    levelled = linked_constant.copy()
    levelled[wiring.channel_of[live.filter_kind == FIXED]] = True
    levelled &= wiring.maximum_of < 0
    has_level = ((live.kind == STORED) | constant) & live.run & (wiring.dynamic_of < 0)
    channel_level, at = _stack(pixels, has_level, 0, 0)
    fixed = filter_run & ((live.filter_kind == FIXED) | live.mixed)
    level, at = _stack(filter_pixels, fixed, at, 0)
    filter_summed, at = _stack(filter_pixels, fixed, at, 0)
    summed, at = _stack(pixels, live.needed & (constant | (live.live & levelled)), at, 0)

    own = np.where(live.kind == STORED, stored, channel_level)
    scaled = live.kind == SCALED
    own[scaled] = plane[live.main[scaled]]
    own[:images] = np.arange(images) * pixels[0] * batch

    gradients = GradientPlaces(wiring, live, order, cells * batch)
    return Places(
        zeros=zeros,
        largest_plane=largest_plane,
        base=own[live.base],
        plane=plane,
        level=level,
        channel_level=channel_level,
        gradient=np.array(gradients.place),
        incoming=np.array(gradients.incoming),
        filter_gradient=np.array(gradients.filter_place),
        summed=summed,
        filter_summed=filter_summed,
        levelled=levelled,
        loss=gradients.loss,
        backward_after=np.array(gradients.after)[order.backward],
        values=end + 8192,  # blocks are prefetched past the end
        gradients=gradients.size + 8192,
        levels=at + 1,
    )


def _stack(sizes: Array, used: Array, first: int, gap: int) -> tuple[Array, int]:
    """Return positions one after another, -1 for what is not used, and the end."""
    taken = np.where(used, sizes + gap, 0)
    at = first + np.cumsum(taken) - taken
    at[~used] = -1
    return at.astype(np.int64), first + int(taken.sum())
