"""Order and places of planes: nothing that is still needed is overwritten, and little is needed."""

import itertools
import random

import pytest
from helpers.c_networks import described
from helpers.deploy_networks import IMAGE, random_net

from dstbench.deployment.c_export.arena import place
from dstbench.deployment.c_export.plane_graph import PlaneGraph, plane_graph
from dstbench.deployment.c_export.plane_order import best_order, lifetimes, peak
from dstbench.deployment.compiler.compile import compile_network


def random_graph(seed, count):
    """Return a graph of planes of several sizes, with sums that may replace an input."""
    rng = random.Random(seed)
    pixels = [rng.choice((1, 4, 16, 64)) for _ in range(count)]
    inputs = [
        tuple(sorted(rng.sample(range(n), rng.randint(0, min(n, 3))))) if n > 1 else ()
        for n in range(count)
    ]
    read = set(itertools.chain(*inputs))
    return PlaneGraph(
        planes=tuple(range(count)),
        pixels=pixels,
        inputs=inputs,
        readers=[tuple(m for m in range(count) if n in inputs[m]) for n in range(count)],
        reusable=[tuple(i for i in inputs[n] if pixels[i] == pixels[n]) for n in range(count)],
        kept=frozenset(n for n in range(count) if n not in read),
    )


def networks():
    options = ({}, {"shared": True, "pool": "max"}, {"head": "flat", "strides": (2, 2, 1)})
    return [
        plane_graph(compile_network(random_net(0, **more), IMAGE, described())) for more in options
    ]


def assert_sound(graph, order, arena):
    """Replay the order: what a step writes overlaps nothing that is read later, nor what it reads.

    It may overlap, pixel by pixel, an input whose memory it may take.
    """
    step_of = {plane: step for step, plane in enumerate(order)}
    assert sorted(order) == list(graph.planes)
    for plane in order:
        assert all(step_of[source] < step_of[plane] for source in graph.inputs[plane])
        first, end = arena.starts[plane], arena.starts[plane] + graph.pixels[plane]
        assert first >= 0 and end <= arena.size
        for other in order[: step_of[plane]]:
            last = max((step_of[r] for r in graph.readers[other]), default=-1)
            needed = other in graph.kept or last >= step_of[plane]
            start = arena.starts[other]
            if not needed or end <= start or start + graph.pixels[other] <= first:
                continue
            replaced = other in graph.reusable[plane] and last == step_of[plane]
            assert replaced and start == first and other not in graph.kept


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_are_placed_soundly(seed):
    graph = random_graph(seed, 6 + seed)
    for order in (graph.planes, best_order(graph)):
        arena = place(graph, order)
        assert_sound(graph, order, arena)
        assert arena.size >= arena.bound == peak(graph, lifetimes(graph, order))


def test_networks_are_placed_soundly_near_the_lower_bound():
    for graph in networks():
        order = best_order(graph)
        arena = place(graph, order)
        assert_sound(graph, order, arena)
        assert arena.bound < peak(graph, lifetimes(graph, graph.planes))
        assert arena.size <= 1.02 * arena.bound


@pytest.mark.parametrize("seed", range(12))
def test_order_of_small_graphs_is_the_best(seed):
    graph = random_graph(seed, 7)

    def valid(order):
        return all(set(graph.inputs[p]) <= set(order[:n]) for n, p in enumerate(order))

    orders = filter(valid, itertools.permutations(graph.planes))
    best = min(peak(graph, lifetimes(graph, order)) for order in orders)
    assert peak(graph, lifetimes(graph, best_order(graph))) == best


def test_sum_does_not_replace_a_plane_that_it_reads_above():
    program = compile_network(random_net(0), IMAGE, described())
    graph, above = plane_graph(program), 0
    term = 0
    for number, count in enumerate(program.terms.tolist()):
        for t in range(term, term + count):
            if program.shifts[program.shift[t]][0] < 0:
                assert int(program.plane[t]) not in graph.reusable[program.sources + number]
                above += 1
        term += count
    assert above > 0
