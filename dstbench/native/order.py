"""In which order the channels are computed, forward and backward.

Any order in which sources come first is correct. These ones let planes be read while they are in
the cache: the channels inside a block come just before the first one that reads them.
"""

from dataclasses import dataclass

import numpy as np

from dstbench.native.liveness import Liveness
from dstbench.native.wiring import Array, Wiring

_LEAD = 2  # channels between an inner channel and the first one that reads it
_SPACING = 4.0  # between the keys of neighbouring channels


@dataclass
class Order:
    """Tasks in order; one task computes one channel.

    forward, backward: channels.
    forward_after, backward_after: of each task, the last task that it needs the results of, or -2.
    position: of each channel in `backward`, or -2.
    last_read: of each filter, the last backward task that reads its gradient, or -2.
    following: of each channel, the next one that its gradient comes from by links, or -1.
    """

    forward: Array
    forward_after: Array
    backward: Array
    backward_after: Array
    position: Array
    last_read: Array
    following: Array


def order_of(wiring: Wiring, live: Liveness) -> Order:
    """Return both orders."""
    channels = len(live.live)
    trunk = np.array(
        [
            a < 2 or node.link is not None or len(node.filters) > 1
            for a, node in enumerate(wiring.layers.nodes)
        ]
    )
    first_image = wiring.of_node(0).stop
    forward_keys, backward_keys = _keys(wiring, live, trunk)

    level = np.cumsum(trunk) - trunk
    forward = np.lexsort((np.arange(channels), forward_keys, level[wiring.node_of]))
    forward = forward[live.run[forward] & (forward >= first_image)]
    backward_level = -(level - ~trunk)[wiring.node_of]
    backward = np.lexsort((-np.arange(channels), backward_keys, backward_level))

    taps = live.taps
    read = live.needed[wiring.channel_of[taps.filter]]
    readers = np.bincount(taps.channel[read], minlength=channels)
    images = np.arange(channels) < first_image
    backward = backward[live.needed[backward] & ~live.passed[backward]]
    backward = backward[~images[backward] | (readers[backward] > 0)]

    position = np.full(channels, -2)
    position[forward] = np.arange(len(forward))
    after = np.full(channels, -2)
    np.maximum.at(after, wiring.channel_of[taps.filter], position[taps.channel])
    for sources in (wiring.link, wiring.maximum_of):
        has = sources >= 0
        after[has] = np.maximum(after[has], position[sources[has]])
    forward_after = after[forward]

    following = live.next.copy()
    while True:  # a passed channel's gradient is that of the next one
        passing = np.flatnonzero((following >= 0) & live.passed[following])
        if not len(passing):
            break
        following[passing] = following[following[passing]]
    position = np.full(channels, -2)
    position[backward] = np.arange(len(backward))
    after = np.full(channels, -2)
    np.maximum.at(after, taps.channel[read], position[wiring.channel_of[taps.filter[read]]])
    has = following >= 0
    after[has] = np.maximum(after[has], position[following[has]])
    has = live.pooled_by >= 0
    after[has] = np.maximum(after[has], position[live.pooled_by[has]])
    last_read = np.full(len(wiring.channel_of), -2)
    np.maximum.at(last_read, taps.filter[read], position[taps.channel[read]])
    order = Order(forward, forward_after, backward, after[backward], position, last_read, following)
    _check(order.forward_after)
    _check(order.backward_after)
    return order


def _keys(wiring: Wiring, live: Liveness, trunk: Array) -> tuple[Array, Array]:
    """Return the sorting keys of channels within a level, forward and backward."""
    first = wiring.channel[wiring.node_of]
    keys = _SPACING * (np.arange(len(first)) - first)
    forward, backward = keys.copy(), keys.copy()
    taps, lead = live.taps, _SPACING * _LEAD + 0.1
    read_by, inner = wiring.channel_of[taps.filter], ~trunk
    reading = wiring.node_of[read_by]  # the node of each tap
    source = wiring.node_of[taps.channel]
    by_source, by_reader = np.argsort(source, kind="stable"), np.argsort(reading, kind="stable")
    source_bounds = np.searchsorted(source[by_source], np.arange(len(trunk) + 1))
    reader_bounds = np.searchsorted(reading[by_reader], np.arange(len(trunk) + 1))
    for a in np.flatnonzero(inner)[::-1].tolist():
        own = wiring.of_node(a)
        part = by_source[source_bounds[a] : source_bounds[a + 1]]
        forward[own] = np.inf
        np.minimum.at(forward, taps.channel[part], forward[read_by[part]] - lead)
        for sources in (wiring.link, wiring.maximum_of):
            own_readers = np.flatnonzero((sources >= own.start) & (sources < own.stop))
            np.minimum.at(forward, sources[own_readers], forward[own_readers] - lead)
    for a in np.flatnonzero(inner).tolist():
        own = wiring.of_node(a)
        part = by_reader[reader_bounds[a] : reader_bounds[a + 1]]
        backward[own] = np.inf
        np.minimum.at(backward, read_by[part], backward[taps.channel[part]] - lead)
    return forward, backward


def _check(after: Array) -> None:
    """A task that waits for a later one would wait for ever."""
    assert (after < np.arange(len(after))).all(), "a task waits for a later one"
