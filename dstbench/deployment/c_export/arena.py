"""Where each plane is in the arena: planes that are in memory at the same time do not overlap.

Buffers are placed one after the other, the largest first, each in the smallest gap that fits it.
Other sequences are tried as well, and the smallest arena wins.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dstbench.deployment.c_export.plane_graph import PlaneGraph
from dstbench.deployment.c_export.plane_order import Lifetime, lifetimes, peak

_SHUFFLES = 200  # random sequences that are tried while the arena is above its lower bound
_PLACEMENTS = 20_000  # buffers that are placed, in all, at most


@dataclass(frozen=True)
class Arena:
    """Places of planes, in pixels.

    starts: plane → its first pixel.
    size: of the arena.
    bound: the most pixels that are in memory at a time; no arena for this order is smaller.
    """

    starts: dict[int, int]
    size: int
    bound: int


@dataclass
class _Buffer:
    """Memory that one plane has, or several that take it over from each other.

    size: pixels.
    first, last: steps from and to which it is in use.
    planes: that are stored in it.
    """

    size: int
    first: int
    last: int
    planes: list[int]


def place(graph: PlaneGraph, order: Sequence[int]) -> Arena:
    """Return the places of all planes, for an order in which they are computed."""
    steps = lifetimes(graph, order)
    buffers, bound = _buffers(graph, steps), peak(graph, steps)
    best, size = [0] * len(buffers), -1
    for sequence in _sequences(buffers):
        starts = _placed(buffers, sequence)
        reached = max(start + b.size for start, b in zip(starts, buffers, strict=True))
        if size < 0 or reached < size:
            best, size = starts, reached
        if size == bound:
            break
    places = {
        plane: start for start, buffer in zip(best, buffers, strict=True) for plane in buffer.planes
    }
    return Arena(places, max(size, 0), bound)


def _buffers(graph: PlaneGraph, steps: Sequence[Lifetime]) -> list[_Buffer]:
    buffers: list[_Buffer] = []
    of_plane: dict[int, _Buffer] = {}
    for number, step in enumerate(steps):
        if step.takes is None:
            buffer = _Buffer(graph.pixels[step.number], number, len(steps), [])
            buffers.append(buffer)
        else:
            buffer = of_plane[step.takes]
        buffer.planes.append(step.number)
        of_plane[step.number] = buffer
        for plane in step.frees:
            of_plane[plane].last = number
    return buffers


def _sequences(buffers: list[_Buffer]) -> Iterator[list[int]]:
    """Yield sequences in which buffers are placed, the most promising ones first."""
    numbers = list(range(len(buffers)))
    tries = min(_SHUFFLES, _PLACEMENTS // max(len(buffers), 1))
    length = [b.last - b.first for b in buffers]
    yield sorted(numbers, key=lambda n: (-buffers[n].size, -length[n]))
    if not tries:  # of so many buffers, each sequence takes seconds
        return
    yield sorted(numbers, key=lambda n: -buffers[n].size * (length[n] + 1))
    yield sorted(numbers, key=lambda n: (-length[n], -buffers[n].size))
    yield numbers  # in the order of their first use
    rng = random.Random(0)
    for _ in range(tries):
        noise = [rng.uniform(0.5, 2) for _ in numbers]
        yield sorted(numbers, key=lambda n: -buffers[n].size * (length[n] + 1) ** 0.5 * noise[n])


def _placed(buffers: list[_Buffer], sequence: list[int]) -> list[int]:
    """Return the start of each buffer, placed in this sequence, each in its best gap."""
    starts = [0] * len(buffers)
    done: list[int] = []
    for number in sequence:
        new = buffers[number]
        taken = sorted(
            (starts[other], starts[other] + buffers[other].size)
            for other in done
            if buffers[other].first <= new.last and new.first <= buffers[other].last
        )
        start, smallest, end = -1, 0, 0
        for first, after in taken:
            gap = first - end
            if gap >= new.size and (start < 0 or gap < smallest):
                start, smallest = end, gap
            end = max(end, after)
        starts[number] = end if start < 0 else start
        done.append(number)
    return starts
