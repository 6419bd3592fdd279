"""The leaderboard on what a network is: cells agree in it, and what it leaves out is marked."""

import pytest
from helpers.record_factory import make_record

from dstbench.boards.cells import Cell
from dstbench.boards.markdown.accuracy_blocks import marks
from dstbench.boards.read_results import group_by_cell, result_from_record


def result(seed, prunable=100_000, layers=None, live=1000, **sections):
    record = make_record(seed=seed)
    record["cost"] |= {
        "prunable_weights": prunable,
        "live_weights": live,
        "layers": [{"name": "fc.weight", "shape": [10, 10_000]}] if layers is None else layers,
    }
    for section, values in sections.items():
        record[section] |= values
    return result_from_record(record, f"run{seed}")


def test_cell_of_one_network_is_kept():
    filled, rejected = group_by_cell([result(0), result(1), result(2)])
    assert len(filled) == 1 and not rejected


@pytest.mark.parametrize(
    "other, difference",
    [
        ({"prunable": 90_000}, "number of prunable weights"),
        ({"layers": [{"name": "fc.weight", "shape": [20, 5000]}]}, "shapes of their layers"),
        ({"layers": [{"name": "head.weight", "shape": [10, 10_000]}]}, "shapes of their layers"),
        ({"live": 1001}, "number of live weights"),
    ],
)
def test_cell_of_two_networks_is_rejected(other, difference):
    filled, rejected = group_by_cell([result(0), result(1, **other)])
    assert not filled
    (one,) = rejected
    assert one.names == ("run0", "run1") and difference in one.reason


def test_cell_is_marked_for_weights_that_are_never_pruned_and_for_live_zeros():
    plain = result(0)
    assert marks(Cell(plain.key, (plain,))) == ""
    marked = result(1, sparsity={"unpruned_fraction": 0.995}, health={"live_zeros": 500})
    assert marks(Cell(plain.key, (marked,))) == " ¶ 99.5 % ∅ 50 %"
    none = result(2, health={"live_zeros": 0})
    assert marks(Cell(plain.key, (none, marked))) == " ¶ 99.5 % ∅ 25 %"
    # the mean is over the runs that have the number
    assert marks(Cell(plain.key, (plain, marked))) == " ¶ 99.5 % ∅ 50 %"
