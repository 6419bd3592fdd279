"""The order of operations: inputs first, results last, few pixels kept at a time."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from dstbench.deployment.compiler.operation_order import operation_order


def most_pixels(order, inputs, pixels, results):
    """Return the largest number of pixels that are needed at a time."""
    readers = [sum(plane in read for read in inputs) for plane in range(len(inputs))]
    for result in range(len(inputs) - results, len(inputs)):
        readers[result] += 1
    kept = most = 0
    for operation in order:
        kept += pixels[operation]
        most = max(most, kept)
        for plane in inputs[operation]:
            readers[plane] -= 1
            kept -= pixels[plane] * (readers[plane] == 0)
    return most


@st.composite
def programs(draw):
    count = draw(st.integers(1, 30))
    inputs = [
        sorted(draw(st.sets(st.integers(0, at - 1), max_size=3))) if at else []
        for at in range(count)
    ]
    pixels = draw(st.lists(st.sampled_from([1, 4, 16]), min_size=count, max_size=count))
    return inputs, pixels, draw(st.integers(1, count))


@given(programs())
def test_every_operation_runs_once_after_its_inputs_and_results_run_last(program):
    inputs, pixels, results = program
    count = len(inputs)
    inputs = [[p for p in read if p < count - results] for read in inputs]  # results are not read
    order = operation_order(inputs, pixels, pixels, results)
    assert sorted(order) == list(range(count))
    place = {operation: number for number, operation in enumerate(order)}
    assert all(place[p] < place[o] for o, read in enumerate(inputs) for p in read)
    assert order[count - results :] == list(range(count - results, count))


def test_chains_run_one_after_the_other():
    """Eight chains of two from an image, then a sum of all: layer by layer keeps eight planes."""
    first, second = range(8), range(8, 16)
    inputs = [*([] for _ in first), *([chain] for chain in first), [*second]]
    pixels = [*[16] * 8, *[1] * 8, 1]
    order = operation_order(inputs, pixels, pixels, 1)
    assert most_pixels(range(17), inputs, pixels, 1) == 8 * 16 + 1
    assert most_pixels(order, inputs, pixels, 1) <= 3 * 16  # one chain's plane, and one of slack


def test_equal_operations_run_together_where_it_costs_nothing():
    inputs = [[], [], [], [], [0], [1], [2], [3], [4, 5, 6, 7]]
    shapes = ["a", "b", "a", "b", "c", "c", "c", "c", "d"]
    order = operation_order(inputs, [1] * 9, shapes, 1)
    ran = [shapes[operation] for operation in order]
    assert sum(one != other for one, other in itertools.pairwise(ran)) <= 5
