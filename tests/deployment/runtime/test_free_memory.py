"""Ranges that are taken and given back never overlap, and neighbours become one again."""

from hypothesis import given
from hypothesis import strategies as st

from dstbench.deployment.runtime.free_memory import FreeMemory


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), max_size=60))
def test_taken_ranges_do_not_overlap(moves):
    memory, taken = FreeMemory(3), []
    for length, returned in moves:
        start = memory.take(length)
        assert start >= 3 and start + length <= memory.end
        assert all(start + length <= s or s + n <= start for s, n in taken)
        taken.append((start, length))
        if returned < len(taken):
            memory.give_back(*taken.pop(returned))
    for place in taken:
        memory.give_back(*place)
    end = memory.end
    assert memory.take(end - 3 or 1) == 3  # all of it is one range again


def test_smallest_range_that_is_enough_is_taken():
    memory = FreeMemory(0)
    places = [memory.take(length) for length in (8, 1, 4, 1)]
    memory.give_back(places[0], 8)
    memory.give_back(places[2], 4)
    assert memory.take(3) == places[2]
    assert memory.take(5) == places[0]
    assert memory.end == 14


def test_free_range_at_the_end_grows():
    memory = FreeMemory(0)
    first = memory.take(4)
    memory.give_back(first, 4)
    assert memory.take(6) == first
    assert memory.end == 6
