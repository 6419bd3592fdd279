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
    forward_cuts, backward_cuts: the first task of each segment, and the number of tasks. Before a
        segment, everything before it has to be done: one begins with each dynamic activation.
    position: of each channel in `backward`, or -2.
    last_read: of each filter, the last backward task that reads its gradient, or -2.
    following: of each channel, the next one that its gradient comes from by links, or -1.
    """

    forward: Array
    forward_after: Array
    forward_cuts: list[int]
    backward: Array
    backward_after: Array
    backward_cuts: list[int]
    position: Array
    last_read: Array
    following: Array


def order_of(wiring: Wiring, live: Liveness) -> Order:
    """Return both orders."""
    channels = len(live.live)
    forward_trunk, backward_trunk, segment = _trunks(wiring)
    first_image = wiring.of_node(0).stop

    keys = _forward_keys(wiring, live, forward_trunk)
    level = (np.cumsum(forward_trunk) - forward_trunk)[wiring.node_of]
    forward = np.lexsort((np.arange(channels), keys, level, segment))
    forward = forward[live.run[forward] & (forward >= first_image)]
    keys = _backward_keys(wiring, live, backward_trunk)
    level = -np.cumsum(backward_trunk)[wiring.node_of]
    backward = np.lexsort((-np.arange(channels), keys, level, -segment))

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
    for sources in (wiring.link, wiring.maximum_of, wiring.dynamic_of):
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
    for by in (live.pooled_by, wiring.dynamic_by):
        has = by >= 0
        after[has] = np.maximum(after[has], position[by[has]])
    last_read = np.full(len(wiring.channel_of), -2)
    np.maximum.at(last_read, taps.filter[read], position[taps.channel[read]])
    segments = np.arange(len(wiring.dynamic) + 2)
    order = Order(
        forward,
        forward_after,
        np.searchsorted(segment[forward], segments).tolist(),
        backward,
        after[backward],
        np.searchsorted(-segment[backward], -segments[::-1] + 1).tolist(),
        position,
        last_read,
        following,
    )
    _check(order.forward_after)
    _check(order.backward_after)
    return order


def _trunks(wiring: Wiring) -> tuple[Array, Array, Array]:
    """Return which nodes the others are ordered around, forward and backward, and the segments.

    A channel of another node is computed next to the channels that read it (forward), or that it
    reads (backward). A dynamic activation is computed with what reads it, in both passes.

    The segment of each channel is the number of dynamic activations up to its node.
    """
    nodes = wiring.layers.nodes
    trunk, dynamic, read = np.zeros((3, len(nodes)), bool)
    for a, node in enumerate(nodes):
        trunk[a] = a < 2 or node.link is not None or len(node.filters) > 1
        if node.dynamic is not None:
            dynamic[a] = read[node.link] = True
    return (trunk & ~dynamic) | read, (trunk & ~read) | dynamic, np.cumsum(dynamic)[wiring.node_of]


def _forward_keys(wiring: Wiring, live: Liveness, trunk: Array) -> Array:
    """Return the sorting keys of channels within a level of the forward pass."""
    keys = _SPACING * (np.arange(len(live.live)) - wiring.channel[wiring.node_of])
    taps, lead = live.taps, _SPACING * _LEAD + 0.1
    read_by, source = wiring.channel_of[taps.filter], wiring.node_of[taps.channel]
    order = np.argsort(source, kind="stable")
    bounds = np.searchsorted(source[order], np.arange(len(trunk) + 1))
    for a in np.flatnonzero(~trunk)[::-1].tolist():
        own, part = wiring.of_node(a), order[bounds[a] : bounds[a + 1]]
        keys[own] = np.inf
        np.minimum.at(keys, taps.channel[part], keys[read_by[part]] - lead)
        for sources in (wiring.link, wiring.maximum_of):
            readers = np.flatnonzero((sources >= own.start) & (sources < own.stop))
            np.minimum.at(keys, sources[readers], keys[readers] - lead)
    return keys


def _backward_keys(wiring: Wiring, live: Liveness, trunk: Array) -> Array:
    """Return the sorting keys of channels within a level of the backward pass."""
    keys = _SPACING * (np.arange(len(live.live)) - wiring.channel[wiring.node_of])
    taps, lead = live.taps, _SPACING * _LEAD + 0.1
    read_by = wiring.channel_of[taps.filter]
    reader = wiring.node_of[read_by]
    order = np.argsort(reader, kind="stable")
    bounds = np.searchsorted(reader[order], np.arange(len(trunk) + 1))
    for a in np.flatnonzero(~trunk).tolist():
        own, part = wiring.of_node(a), order[bounds[a] : bounds[a + 1]]
        keys[own] = np.inf
        np.minimum.at(keys, read_by[part], keys[taps.channel[part]] - lead)
        for sources in (wiring.link[own], wiring.maximum_of[own]):
            has = np.flatnonzero(sources >= 0)
            read = keys[sources[has]] - lead
            keys[own.start + has] = np.minimum(keys[own.start + has], read)
    return keys


def _check(after: Array) -> None:
    """A task that waits for a later one would wait for ever."""
    if not (after < np.arange(len(after))).all():
        raise RuntimeError("a task waits for a later one")
