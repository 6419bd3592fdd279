"""What of a network is live, read and run, and how each channel is stored or seen."""

from dataclasses import dataclass

import numpy as np

from dstbench.native.tables import CONSTANT, EMPTY, FIXED, IMAGE, LIVE, SCALED, STORED, VIEW
from dstbench.native.wiring import Array, Taps, Wiring, taps_by_convolution


@dataclass
class Liveness:
    """Of each channel, filter and tap, for the present masks.

    live: whether the channel depends on the image.
    needed: whether a logit depends on the channel.
    run: whether its values, or the statistics of its filters, have to be computed.
    next: the channel that is linked to it and needed, or -1.
    pooled_by: the channel that is its maximum and needed, or -1.
    kind, base: its kind, and the channel or filter (see `filter_based`) whose plane it is seen in.
    far, step_row, step_column, row, column: how it is seen there.
    filter_kind: EMPTY, FIXED or LIVE.
    one: whether the filter has one tap, on a live channel, and is not stored.
    stored: whether the filter is stored.
    mixed: whether the filter has taps on live and on constant channels.
    alone: whether the channel is one live filter and numbers, with a batch norm or without.
    main: its live filter, if it is alone.
    passed: whether it is linked to a live channel, adds only numbers and is read by its link alone.
    through: whether it is linked to a live channel, adds only numbers and is read by its dynamic
        activation alone.
    taps: sorted by filter, those on live channels first, and of these on stored channels first.
    """

    live: Array
    needed: Array
    run: Array
    next: Array
    pooled_by: Array
    kind: Array
    base: Array
    far: Array
    step_row: Array
    step_column: Array
    row: Array
    column: Array
    filter_kind: Array
    one: Array
    stored: Array
    mixed: Array
    alone: Array
    main: Array
    passed: Array
    through: Array
    taps: Taps


def liveness(wiring: Wiring, taps: Taps) -> Liveness:
    """Return what is live, read and run."""
    live, filter_kind = _live(wiring, taps)
    needed, following = _needed(wiring, taps)
    run = _run(wiring, taps, live, needed, filter_kind)

    filters, channels = len(filter_kind), len(live)
    on_live = live[taps.channel]
    live_taps = np.bincount(taps.filter[on_live], minlength=filters)
    mixed = (np.bincount(taps.filter[~on_live], minlength=filters) > 0) & (filter_kind == LIVE)
    one = (filter_kind == LIVE) & (live_taps == 1) & ~mixed & wiring.norm
    tap_of = np.full(filters, -1)
    tap_of[taps.filter[on_live]] = np.flatnonzero(on_live)

    pooled = np.flatnonzero((wiring.maximum_of >= 0) & needed)
    pooled_by = np.full(channels, -1)
    pooled_by[wiring.maximum_of[pooled]] = pooled
    live_filters = np.bincount(wiring.channel_of[filter_kind == LIVE], minlength=channels)
    fixed_filters = np.bincount(wiring.channel_of[filter_kind == FIXED], minlength=channels)
    main = np.full(channels, -1)
    main[wiring.channel_of[filter_kind == LIVE]] = np.flatnonzero(filter_kind == LIVE)
    plain = (fixed_filters == 0) & (wiring.maximum_of < 0)
    alone = (live_filters == 1) & plain & (wiring.link < 0)
    link_live = (wiring.link >= 0) & live[wiring.link]
    unfed = link_live & (live_filters == 0) & plain

    kind = np.where(live, STORED, CONSTANT)
    kind[wiring.of_node(0)] = IMAGE
    kind[live & alone] = SCALED
    views = _Views(channels)
    for n in np.flatnonzero(live & (unfed | alone)).tolist():
        if unfed[n]:
            views.repeat_(n, int(wiring.link[n]))
        elif one[main[n]] and not views.move_(n, wiring, taps, int(tap_of[main[n]])):
            one[main[n]] = False  # a look past an edge through another one: stored
    kind[views.found] = VIEW
    stored = (filter_kind == LIVE) & ~one

    order = np.lexsort((kind[taps.channel] > STORED, ~on_live, taps.filter))
    step_row, step_column, row, column = np.array(views.where).T
    passed = unfed & needed & (following >= 0)
    read = np.unique(taps.channel[needed[wiring.channel_of[taps.filter]]])
    passed[read] = False
    through = unfed & (wiring.dynamic_by >= 0) & needed[wiring.dynamic_by]
    through[read] = False
    passed[wiring.maximum_of[wiring.maximum_of >= 0]] = False
    passed &= wiring.link >= wiring.of_node(0).stop  # an image may have no task to do it
    return Liveness(
        live=live,
        needed=needed,
        run=run,
        next=following,
        pooled_by=pooled_by,
        kind=kind,
        base=np.array(views.base),
        far=np.array(views.far),
        step_row=step_row,
        step_column=step_column,
        row=row,
        column=column,
        filter_kind=filter_kind,
        one=one,
        stored=stored,
        mixed=mixed & stored,
        alone=alone,
        main=main,
        passed=passed,
        through=through,
        taps=taps[order],
    )


class _Views:
    """How channels are seen in the planes of others; to begin with, each in its own.

    Lists, which are read one number at a time much faster than arrays.

    base, far: as in Liveness.
    where: (step_row, step_column, row, column) of each channel.
    found: channels that are views.
    """

    def __init__(self, channels: int):
        self.base, self.far = list(range(channels)), [False] * channels
        self.where = [(1, 1, 0, 0)] * channels
        self.found: list[int] = []

    def repeat_(self, n: int, source: int) -> None:
        """Channel n is seen where the source is."""
        self.base[n], self.far[n], self.where[n] = (
            self.base[source],
            self.far[source],
            self.where[source],
        )
        self.found.append(n)

    def move_(self, n: int, wiring: Wiring, taps: Taps, tap: int) -> bool:
        """Channel n is its source, seen through one tap; return whether it can be a view."""
        source, f = int(taps.channel[tap]), taps.filter[tap]
        row, column = int(taps.row[tap]), int(taps.column[tap])
        move = (int(wiring.step_row[f]), int(wiring.step_column[f]), row, column)
        same_size = wiring.height[n] == wiring.height[source]
        if move == (1, 1, 0, 0) and same_size and wiring.width[n] == wiring.width[source]:
            self.repeat_(n, source)
            return True
        if self.far[source] or self.where[source] != (1, 1, 0, 0):
            return False
        self.base[n], self.far[n], self.where[n] = self.base[source], True, move
        self.found.append(n)
        return True


def _live(wiring: Wiring, taps: Taps) -> tuple[Array, Array]:
    """Return which channels are live, and the kinds of all filters."""
    live = np.zeros(len(wiring.node_of), bool)
    live[wiring.of_node(0)] = True
    kind = np.full(len(wiring.channel_of), EMPTY)
    slices = taps_by_convolution(wiring, taps)
    for a, node in enumerate(wiring.layers.nodes[1:], 1):
        own = wiring.of_node(a)
        for number in node.filters:
            part = slices[number]
            kind[taps.filter[part]] = FIXED
            reached = taps.filter[part][live[taps.channel[part]]]
            kind[reached] = LIVE
            live[wiring.channel_of[reached]] = True
        for linked in (wiring.link[own], wiring.maximum_of[own]):
            live[own] |= (linked >= 0) & live[linked]
        live[own] |= node.dynamic is not None  # its coefficients depend on the image
    return live, kind


def _needed(wiring: Wiring, taps: Taps) -> tuple[Array, Array]:
    """Return which channels a logit depends on, and the needed channel linked to each."""
    needed = np.zeros(len(wiring.node_of), bool)
    following = np.full(len(needed), -1)
    nodes = wiring.layers.nodes
    needed[wiring.of_node(len(nodes) - 1)] = True
    slices = taps_by_convolution(wiring, taps)
    for a in range(len(nodes) - 1, 0, -1):
        own = np.arange(wiring.channel[a], wiring.channel[a + 1])[needed[wiring.of_node(a)]]
        for number in nodes[a].filters:
            part = slices[number]
            reads = needed[wiring.channel_of[taps.filter[part]]]
            needed[taps.channel[part][reads]] = True
        linked = wiring.link[own]
        following[linked[linked >= 0]] = own[linked >= 0]
        for sources in (linked, wiring.maximum_of[own]):
            needed[sources[sources >= 0]] = True
        read = wiring.dynamic_of[own]
        if (read >= 0).any():  # its coefficients need the means of all channels
            needed[wiring.of_node(int(wiring.node_of[read[0]]))] = True
    return needed, following


def _run(wiring: Wiring, taps: Taps, live: Array, needed: Array, filter_kind: Array) -> Array:
    """Return which channels are computed: all that is live or needed, and for statistics.

    Of dynamic activations, those that a channel reads which is computed; of what they read, all.
    """
    run = np.where(wiring.dynamic_of >= 0, needed, live | needed | (wiring.dynamic_by >= 0))
    run[wiring.channel_of[(filter_kind == FIXED) & wiring.norm]] = True
    slices = taps_by_convolution(wiring, taps)
    nodes = wiring.layers.nodes
    for a in range(len(nodes) - 1, 0, -1):
        own = np.arange(wiring.channel[a], wiring.channel[a + 1])[run[wiring.of_node(a)]]
        for number in nodes[a].filters:
            part = slices[number]
            run[taps.channel[part][run[wiring.channel_of[taps.filter[part]]]]] = True
        for sources in (wiring.link[own], wiring.maximum_of[own]):
            run[sources[sources >= 0]] = True
    return run
