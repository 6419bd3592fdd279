"""Where gradients are stored: memory is used again once the last task that reads it is done."""

import heapq

import numpy as np

from dstbench.native.liveness import Liveness
from dstbench.native.order import Order
from dstbench.native.tables import LIVE
from dstbench.native.wiring import Array, Wiring

GAP = 80  # numbers between planes: powers of two apart, they would meet in the same cache sets
_REST = 8  # tasks for which freed memory is left alone, so that threads seldom wait for it


class GradientPlaces:
    """Places of gradients, in the order of the backward pass, with the waiting that reuse needs.

    place, incoming: of each channel, -1 where there is none.
    filter_place: the same of each filter.
    after: of each channel, the last task that must be done before its own.
    loss: first position of the gradients of the logits.
    size: of the arena.
    """

    def __init__(self, wiring: Wiring, live: Liveness, order: Order, sizes: Array):
        channels = len(live.live)
        self.place, self.incoming = [-1] * channels, [-1] * channels
        self.filter_place = [-1] * len(live.filter_kind)
        self.size = 0
        self._free: dict[int, list[tuple[int, int]]] = {}  # size → (last reader, place)
        self._ending: list[tuple[int, int, int]] = []  # (last reader, size, place)
        self._held = [-2] * channels  # last task that reads a channel's own gradient
        self._sizes = sizes.tolist()
        # lists, which are read one number at a time much faster than arrays
        self._following, self._last_read = order.following.tolist(), order.last_read.tolist()
        self._one, self._alone = live.one.tolist(), live.alone.tolist()
        hands_on = (wiring.link >= 0) & live.live[wiring.link]
        hands_on |= (wiring.dynamic_of >= 0) & live.live[wiring.dynamic_of]
        self._hands_on = hands_on.tolist()  # whether another channel takes over the place
        self._filters: list[list[int]] = [[] for _ in range(channels)]
        for f in np.flatnonzero(live.filter_kind == LIVE).tolist():
            self._filters[int(wiring.channel_of[f])].append(f)
        after = np.full(channels, -2)
        after[order.backward] = order.backward_after
        self.after = after.tolist()

        logits = wiring.of_node(len(wiring.layers.nodes) - 1)
        self.loss = self._new(self._sizes[logits.start] * (logits.stop - logits.start), 0)
        for n in range(logits.start, logits.stop):
            self.incoming[n] = self.loss + (n - logits.start) * self._sizes[n]
        self._pooled_by = live.pooled_by.tolist()
        for n, source in enumerate(wiring.maximum_of.tolist()):
            if source >= 0:
                self._held[n] = int(order.position[source])
        self._dynamic_by = wiring.dynamic_by.tolist()
        for n, source in enumerate(wiring.dynamic_of.tolist()):
            if source >= 0:
                self._held[n] = int(order.position[source])
        images = wiring.of_node(0).stop
        is_live = live.live.tolist()
        for k, n in enumerate(order.backward.tolist()):
            if n >= images and is_live[n]:
                self._visit(k, n)
        for n in range(images):  # written, never read
            self.place[n] = self._new(self._sizes[n], 0)

    def _visit(self, k: int, n: int) -> None:
        """Give places to channel n and its filters; its task is the k-th."""
        size, following = self._sizes[n], self._following[n]
        while self._ending and self._ending[0][0] < k - _REST:
            reader, freed, place = heapq.heappop(self._ending)
            self._free.setdefault(freed, []).append((reader, place))
        dynamic = self._dynamic_by[n]
        if following >= 0:
            self.incoming[n] = self.place[following]
        if dynamic >= 0 and self.place[dynamic] >= 0:  # read by this channel's task alone
            self.incoming[n] = self.place[n] = self.place[dynamic]
        elif following >= 0 and self._held[following] < k:  # nothing else reads it any more
            self.place[n] = self.place[following]
            self.after[n] = max(self.after[n], self._held[following])
        else:
            self.place[n] = self._take(size, n)
            if following >= 0:
                self._end(max(k, self._held[following]), size, self.place[following])
            elif self._pooled_by[n] >= 0:
                self.incoming[n] = self.place[n]
        for f in self._filters[n]:
            if self._one[f]:
                self._held[n] = max(self._held[n], self._last_read[f])
            elif self._alone[n]:
                self.filter_place[f] = self.place[n]
                self._held[n] = max(self._held[n], self._last_read[f])
            else:
                self.filter_place[f] = self._take(size, n)
                self._end(max(self._last_read[f], k), size, self.filter_place[f])
        if not self._hands_on[n]:
            self._end(max(k, self._held[n]), size, self.place[n])

    def _take(self, size: int, n: int) -> int:
        """Return a place for channel n's task to write to."""
        found = self._free.get(size)
        if not found:
            return self._new(size, GAP)
        reader, place = found.pop()  # the last one freed is still in the cache
        self.after[n] = max(self.after[n], reader)
        return place

    def _new(self, size: int, gap: int) -> int:
        place = self.size
        self.size += size + gap
        return place

    def _end(self, reader: int, size: int, place: int) -> None:
        """Free a place once the task `reader` is done."""
        heapq.heappush(self._ending, (reader, size, place))
