"""Moves weights that are on no path from an image to a logit to where they are on one.

A forward pass gives every weight that reads a dead channel another input, a backward pass gives
every weight that writes a channel that nothing reads another output. The number of weights of each
tensor stays the same. Paths are of channels; those of pixels are not looked at.
"""

from collections.abc import Mapping

import numpy as np

from dstbench.graph.channel_graph import Array, ChannelGraph, Use
from dstbench.graph.steps import Convolution

_ROUNDS = 30  # with shared tensors, a move for one use may cut another; one round is usual
_TRIES = 64  # random draws of a new place, before all are listed


def connect(
    graph: ChannelGraph, weights: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """Return the moved weights.

    weights: tensor → int64 (weights, 3): output, input and kernel position of each.
    rng: of the draws.
    """
    moved = {name: places.copy() for name, places in weights.items()}
    for _ in range(_ROUNDS):
        reached = _walk_forward(graph, moved, rng)
        read = _walk_backward(graph, moved, reached, rng)
        if not any(_off(graph, moved, use, reached, read).any() for use in graph.uses):
            break
    return moved


def channels_on_paths(
    graph: ChannelGraph, weights: Mapping[str, Array]
) -> tuple[list[Array], list[Array]]:
    """Return which channels of each value depend on the image, and which ones a logit depends on.

    weights: tensor → int64 (weights, 3), as for `connect`.
    """
    reached = _walk_forward(graph, weights, None)
    return reached, _walk_backward(graph, weights, reached, None)


def _off(
    graph: ChannelGraph,
    weights: Mapping[str, Array],
    use: Use,
    reached: list[Array],
    read: list[Array],
) -> Array:
    places = weights[use.tensor]
    source = graph.steps[use.step - 1].inputs[0]
    return ~(reached[source][places[:, 1]] & read[use.step][places[:, 0]])


def _walk_forward(
    graph: ChannelGraph, weights: Mapping[str, Array], rng: np.random.Generator | None
) -> list[Array]:
    """Return the channels of every value that depend on the image; with rng, move weights first."""
    reached = [np.ones(graph.channels[0], bool)]
    uses = {use.step: use for use in graph.uses}
    seen: set[str] = set()
    for number, step in enumerate(graph.steps, 1):
        if not isinstance(step.action, Convolution):
            values = [reached[value] for value in step.inputs]
            reached.append(np.logical_or.reduce(values))
            continue
        use = uses[number]
        places, source = weights[use.tensor], reached[step.inputs[0]]
        if rng is not None and use.tensor not in seen and source.any():
            rows = np.arange(graph.channels[use.target])
            _redraw(places, ~source[places[:, 1]], rows, np.flatnonzero(source), use, 1, rng)
        seen.add(use.tensor)
        out = np.zeros(graph.channels[use.target], bool)
        out[places[source[places[:, 1]], 0]] = True
        reached.append(out)
    return reached


def _walk_backward(
    graph: ChannelGraph,
    weights: Mapping[str, Array],
    reached: list[Array],
    rng: np.random.Generator | None,
) -> list[Array]:
    """Return the channels of every value that a logit depends on; with rng, move weights first."""
    read = [np.zeros(len(channels), bool) for channels in reached]
    read[-1][:] = True
    uses = {use.step: use for use in graph.uses}
    seen: set[str] = set()
    for number, step in reversed(list(enumerate(graph.steps, 1))):
        if not isinstance(step.action, Convolution):
            for value in step.inputs:
                read[value] |= read[number]
            continue
        use, source = uses[number], step.inputs[0]
        places, needed = weights[use.tensor], read[number]
        if rng is not None and use.tensor not in seen and needed.any() and reached[source].any():
            columns = np.flatnonzero(reached[source])
            _redraw(places, ~needed[places[:, 0]], np.flatnonzero(needed), columns, use, 0, rng)
        seen.add(use.tensor)
        read[source][places[needed[places[:, 0]], 1]] = True
    return read


def _redraw(
    places: Array,
    bad: Array,
    rows: Array,
    columns: Array,
    use: Use,
    axis: int,
    rng: np.random.Generator,
) -> None:
    """Give each bad weight another output (axis 0) or input (axis 1), in place.

    Where that is impossible it goes anywhere among the rows and columns; where these are full, it
    stays.
    """
    taken = set(map(tuple, places.tolist()))
    choices = rows if axis == 0 else columns
    for k in np.flatnonzero(bad).tolist():
        place = tuple(places[k].tolist())
        for draw in range(2 * _TRIES):
            new = list(place)
            if draw < _TRIES:
                new[axis] = int(rng.choice(choices))
            else:
                new = [
                    int(rng.choice(rows)),
                    int(rng.choice(columns)),
                    int(rng.integers(use.positions)),
                ]
            if tuple(new) not in taken:
                break
        else:
            free = [
                (o, i, p)
                for o in rows.tolist()
                for i in columns.tolist()
                for p in range(use.positions)
                if (o, i, p) not in taken
            ]
            if not free:
                continue
            new = list(free[int(rng.integers(len(free)))])
        taken.discard(place)
        taken.add(tuple(new))
        places[k] = new
