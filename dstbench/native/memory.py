"""Where everything is stored: planes of values and of gradients, and planes equal for all images.

Values are kept from the forward to the backward pass. Gradients are not: their memory is used again
as soon as the last task that reads it is done.
"""

import heapq
from dataclasses import dataclass

import numpy as np

from dstbench.native.liveness import Liveness
from dstbench.native.order import Order
from dstbench.native.tables import CONSTANT, FIXED, LIVE, SCALED, STORED
from dstbench.native.wiring import Array, Wiring

_GAP = (
    80  # numbers between planes: a power of two apart, they would meet in the same sets of a cache
)
_REST = 8  # tasks for which freed memory is left alone, so that threads seldom wait for it


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


def places(wiring: Wiring, live: Liveness, order: Order, batch: int) -> Places:
    """Return where everything is stored.

    batch: numbers of a pixel.
    """
    pixels = wiring.height * wiring.width
    filter_pixels = pixels[wiring.channel_of]
    images = wiring.of_node(0).stop
    filter_run = live.run[wiring.channel_of]
    constant = live.kind == CONSTANT

    zeros = images * int(pixels[0]) * batch
    largest_plane = int(pixels.max()) * batch
    first = zeros + largest_plane
    plane, end = _stack(filter_pixels * batch, live.stored & filter_run, first, _GAP)
    stored, end = _stack(pixels * batch, (live.kind == STORED) & live.run, end, _GAP)

    linked_constant = (wiring.link >= 0) & ~live.live[wiring.link]
    levelled = linked_constant.copy()
    levelled[wiring.channel_of[live.filter_kind == FIXED]] = True
    levelled &= wiring.maximum_of < 0
    has_level = ((live.kind == STORED) | constant) & live.run
    channel_level, at = _stack(pixels, has_level, 0, 0)
    fixed = filter_run & ((live.filter_kind == FIXED) | live.mixed)
    level, at = _stack(filter_pixels, fixed, at, 0)
    filter_summed, at = _stack(filter_pixels, fixed, at, 0)
    summed, at = _stack(pixels, live.needed & (constant | (live.live & levelled)), at, 0)

    own = np.where(live.kind == STORED, stored, channel_level)
    scaled = live.kind == SCALED
    own[scaled] = plane[live.main[scaled]]
    own[:images] = np.arange(images) * pixels[0] * batch

    gradients = _Gradients(wiring, live, order, pixels * batch)
    return Places(
        zeros=zeros,
        largest_plane=largest_plane,
        base=own[live.base],
        plane=plane,
        level=level,
        channel_level=channel_level,
        gradient=gradients.place,
        incoming=gradients.incoming,
        filter_gradient=gradients.filter_place,
        summed=summed,
        filter_summed=filter_summed,
        levelled=levelled,
        loss=gradients.loss,
        backward_after=gradients.after[order.backward],
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


class _Gradients:
    """Places of gradients, in the order of the backward pass, with the waiting that reuse needs.

    place, incoming: of each channel. filter_place: of each filter.
    after: of each channel, the last task that must be done before its own.
    loss: first position of the gradients of the logits. size: of the arena.
    """

    def __init__(self, wiring: Wiring, live: Liveness, order: Order, sizes: Array):
        self.wiring, self.live, self.order = wiring, live, order
        channels = len(live.live)
        self.place, self.incoming = np.full((2, channels), -1)
        self.filter_place = np.full(len(live.filter_kind), -1)
        self.after = np.full(channels, -2)
        self.after[order.backward] = order.backward_after
        self.free: dict[int, list[tuple[int, int]]] = {}  # size → (last reader, place)
        self.ending: list[tuple[int, int, int]] = []  # (last reader, size, place)
        self.held = np.full(channels, -2)  # last task that reads a channel's own gradient
        self.size = 0

        logits = wiring.of_node(len(wiring.layers.nodes) - 1)
        self.loss = self._new(int(sizes[logits.start]) * (logits.stop - logits.start), 0)
        for n in range(logits.start, logits.stop):
            self.incoming[n] = self.loss + (n - logits.start) * int(sizes[n])
        images = wiring.of_node(0).stop
        self.pooled = np.zeros(channels, bool)
        self.pooled[wiring.maximum_of[(wiring.maximum_of >= 0) & live.needed]] = True
        for k, n in enumerate(order.backward.tolist()):
            if n >= images and live.live[n]:
                self._visit(k, n, int(sizes[n]))
        for n in range(images):  # written, never read
            self.place[n] = self._new(int(sizes[n]), 0)

    def _visit(self, k: int, n: int, size: int) -> None:
        while self.ending and self.ending[0][0] < k - _REST:
            reader, freed, place = heapq.heappop(self.ending)
            self.free.setdefault(freed, []).append((reader, place))
        following = int(self.order.following[n])
        if following >= 0:
            self.incoming[n] = self.place[following]
        if following >= 0 and self.held[following] < k:  # nothing else reads it any more
            self.place[n] = self.place[following]
            self.after[n] = max(self.after[n], self.held[following])
        else:
            self.place[n] = self._take(size, k, n)
            if following >= 0:
                self._end(max(k, int(self.held[following])), size, int(self.place[following]))
            elif self.pooled[n]:
                self.incoming[n] = self.place[n]
        for f in self._filters(n):
            if self.live.filter_kind[f] != LIVE:
                continue
            last = int(self.order.last_read[f])
            if self.live.one[f]:
                self.held[n] = max(self.held[n], last)
            elif self.live.alone[n]:
                self.filter_place[f] = self.place[n]
                self.held[n] = max(self.held[n], last)
            else:
                self.filter_place[f] = self._take(size, k, n)
                self._end(max(last, k), size, int(self.filter_place[f]))
        source = int(self.wiring.maximum_of[n])
        if source >= 0:
            self.held[n] = max(self.held[n], int(self.order.position[source]))
        link = int(self.wiring.link[n])
        if link < 0 or not self.live.live[link]:
            self._end(max(k, int(self.held[n])), size, int(self.place[n]))

    def _filters(self, n: int) -> range:
        first = int(np.searchsorted(self.wiring.channel_of, n))
        return range(first, int(np.searchsorted(self.wiring.channel_of, n + 1)))

    def _take(self, size: int, k: int, n: int) -> int:
        found = self.free.get(size)
        if not found:
            return self._new(size, _GAP)
        reader, place = found.pop()  # the last one freed is still in the cache
        self.after[n] = max(self.after[n], reader)
        return place

    def _new(self, size: int, gap: int) -> int:
        place = self.size
        self.size += size + gap
        return place

    def _end(self, reader: int, size: int, place: int) -> None:
        heapq.heappush(self.ending, (reader, size, place))
