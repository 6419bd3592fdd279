"""The order in which planes are computed, chosen so that few of them are in memory at a time.

Finding the best order is NP-hard. A beam search extends the orders that are best so far by every
plane that can be computed next. A plane that frees at least the memory that it takes is computed at
once: that never makes an order worse. Programs have a faster rule (compiler/operation_order.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dstbench.deployment.c_export.plane_graph import PlaneGraph

_WORK = 3_000_000  # inputs looked at while orders are searched, in all: a few seconds
_MAX_WIDTH = 64  # orders kept at a time; fewer where the work would not suffice


@dataclass(frozen=True)
class Lifetime:
    """What a plane's computation does to memory.

    number: of the plane.
    takes: the plane whose memory it takes over, or None for new memory.
    frees: planes that are not needed any more, without the one that is taken over.
    """

    number: int
    takes: int | None
    frees: tuple[int, ...]


def lifetimes(graph: PlaneGraph, order: Sequence[int]) -> list[Lifetime]:
    """Return what each step of an order does to memory."""
    done, steps = 0, []
    masks = _reader_masks(graph)
    for plane in order:
        done |= 1 << plane
        steps.append(_step(graph, masks, plane, done))
    return steps


def peak(graph: PlaneGraph, steps: Sequence[Lifetime]) -> int:
    """Return the most pixels that are in memory at a time: no placement can take less."""
    live = most = 0
    for step in steps:
        live += graph.pixels[step.number] if step.takes is None else 0
        most = max(most, live)
        live -= sum(graph.pixels[plane] for plane in step.frees)
    return most


def best_order(graph: PlaneGraph) -> tuple[int, ...]:
    """Return an order of all planes with a low peak; never worse than the program's own.

    A program of many thousands of planes keeps its own order: searching would take minutes.
    """
    if len(graph.planes) * sum(len(inputs) for inputs in graph.inputs) > 100 * _WORK:
        return graph.planes
    found = _beam_search(graph)
    return min(found, graph.planes, key=lambda order: peak(graph, lifetimes(graph, order)))


def _reader_masks(graph: PlaneGraph) -> list[int]:
    """Return the readers of each plane as bits; a logit has one more, which never comes."""
    beyond = 1 << len(graph.pixels)
    return [
        sum(1 << reader for reader in readers) | (beyond if plane in graph.kept else 0)
        for plane, readers in enumerate(graph.readers)
    ]


def _step(graph: PlaneGraph, masks: list[int], plane: int, done: int) -> Lifetime:
    dead = [source for source in graph.inputs[plane] if not masks[source] & ~done]
    takes = next((source for source in graph.reusable[plane] if source in dead), None)
    return Lifetime(plane, takes, tuple(source for source in dead if source != takes))


@dataclass
class _Partial:
    """The beginning of an order.

    peak, live: pixels, the most so far and those in memory now.
    done: its planes, as bits.
    ready: planes that can be computed next.
    last: its last planes, and what precedes them.
    """

    peak: int
    live: int
    done: int
    ready: frozenset[int]
    last: tuple[tuple[int, ...], "_Partial | None"]

    def order(self) -> tuple[int, ...]:
        parts, partial = [], self
        while True:
            parts.append(partial.last[0])
            if partial.last[1] is None:
                return tuple(plane for part in reversed(parts) for plane in part)
            partial = partial.last[1]


def _beam_search(graph: PlaneGraph) -> tuple[int, ...]:
    masks, pixels = _reader_masks(graph), graph.pixels
    needs = [sum(1 << source for source in inputs) for inputs in graph.inputs]
    everything = sum(1 << plane for plane in graph.planes)
    work, levels = _WORK, len(graph.planes)

    def cost(plane: int, done: int) -> tuple[int, int]:
        """Return pixels that computing a plane takes, and those that it frees afterwards."""
        nonlocal work
        work -= 1 + len(graph.inputs[plane])
        left = ~(done | 1 << plane)
        new, freed = pixels[plane], 0
        for source in graph.inputs[plane]:
            if not masks[source] & left:
                if new and source in graph.reusable[plane]:
                    new = 0
                else:
                    freed += pixels[source]
        return new, freed

    def extended(partial: _Partial, plane: int) -> _Partial:
        """Return a beginning with one more plane, and those that then cost nothing."""
        most, live, done, ready = partial.peak, partial.live, partial.done, set(partial.ready)
        added: list[int] = []
        following = [plane]
        while following:
            plane = following.pop()
            if plane not in ready:
                continue
            new, freed = cost(plane, done)
            if added and (new > freed or live + new > most):
                continue
            added.append(plane)
            done |= 1 << plane
            most = max(most, live + new)
            live += new - freed
            ready.discard(plane)
            became_ready = [r for r in graph.readers[plane] if not needs[r] & ~done]
            ready.update(became_ready)
            # They, and what may now be the last reader of an input, may cost nothing.
            beside = {r for source in graph.inputs[plane] for r in graph.readers[source]}
            following += [*became_ready, *(beside & ready)]
        return _Partial(most, live, done, frozenset(ready), (tuple(added), partial))

    ready = frozenset(plane for plane in graph.planes if not needs[plane])
    beam = [_Partial(0, 0, 0, ready, ((), None))]
    while beam[0].done != everything:
        best: dict[int, _Partial] = {}
        before = work
        for partial in beam:
            finished = [partial] if partial.done == everything else []
            for new in [*finished, *(extended(partial, plane) for plane in partial.ready)]:
                known = best.get(new.done)
                if known is None or (new.peak, new.live) < (known.peak, known.live):
                    best[new.done] = new
        each = (before - work) / len(beam)
        levels = max(levels - 1, 1)
        width = max(1, min(_MAX_WIDTH, int(work / (levels * each + 1))))
        beam = sorted(best.values(), key=lambda p: (p.peak, p.live))[:width]
    return beam[0].order()
