"""Best methods and their significance: ties, one seed, no variance, Welch and Holm."""

import numpy as np
import pytest
from helpers.record_factory import make_record
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dstbench.leaderboard.board import Block
from dstbench.leaderboard.cells import Cell, Column, Key
from dstbench.leaderboard.read_results import result_from_record
from dstbench.leaderboard.significance import holm, with_comparisons

COLUMN = Column("cifar10", "ResNet34", "cifar10_resnet34", "paper", "bf16", 0.99)


def block(columns=(COLUMN,), **rows):
    """Return a block.

    rows: method → accuracies, or one list of accuracies for each column; 10.0 collapsed, None
    diverged.
    """
    cells = {}
    for method, lists in rows.items():
        lists = lists if lists and isinstance(lists[0], list) else [lists]
        for column, accuracies in zip(columns, lists, strict=True):
            own = tuple(
                result_from_record(
                    make_record(
                        method, seed, accuracy or 0.0, column.sparsity,
                        collapsed=accuracy == 10.0,
                        status="diverged" if accuracy is None else "finished",
                    ),
                    f"{method}{seed}",
                )
                for seed, accuracy in enumerate(accuracies)
            )  # fmt: skip
            cells[Key(method, column)] = Cell(Key(method, column), own)
    return Block("", tuple(rows), tuple(columns), cells)


def best(**rows):
    (one,) = with_comparisons([block(**rows)])
    return one.best[COLUMN]


def comparison(**rows):
    (one,) = with_comparisons([block(**rows)])
    return one.comparisons.get(COLUMN)


def test_the_highest_mean_is_best():
    assert best(A=[90.0, 91.0], B=[92.0, 92.5], C=[50.0, 60.0]) == {"B"}


def test_means_that_print_the_same_tie():
    assert best(A=[90.001], B=[90.004], C=[89.99]) == {"A", "B"}


def test_a_single_method_is_not_best():
    assert best(A=[90.0], B=[]) == frozenset()


def test_a_collapsed_cell_is_never_best():
    assert best(A=[10.0, 10.0], B=[10.0]) == frozenset()
    assert best(A=[10.0], B=[9.0]) == frozenset()
    assert best(A=[62.0], B=[10.0]) == {"A"}


def test_a_cell_with_a_diverged_run_is_never_best():
    assert best(A=[95.0, None], B=[90.0], C=[89.0]) == {"B"}


def test_one_seed_is_not_significant():
    made = comparison(A=[99.0], B=[10.5, 10.6, 10.7])
    assert (made.p, made.adjusted, made.significant) == (None, None, False)


def test_no_variance_is_not_significant():
    made = comparison(A=[99.0, 99.0, 99.0], B=[10.5, 10.6, 10.7])
    assert (made.p, made.significant) == (None, False)
    assert not comparison(A=[99.0, 98.0, 97.0], B=[10.5, 10.5, 10.5]).significant


def test_p_is_scipys_welch_test():
    a, b = [93.2, 93.9, 93.4], [90.1, 92.7, 91.0]
    made = comparison(B=b, A=a)
    assert (made.first, made.second) == ("A", "B")
    assert made.p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert made.p != pytest.approx(stats.ttest_ind(a, b, equal_var=True).pvalue)


def test_holm_corrects_over_all_columns_of_the_table():
    columns = tuple(COLUMN._replace(sparsity=s) for s in (0.9, 0.99, 0.999))
    clear, close = (
        [[93.0, 93.1, 93.2], [90.0, 90.1, 90.2]],
        [[80.0, 82.0, 83.0], [79.0, 80.0, 79.5]],
    )
    one = block(columns[:2], A=[clear[0], close[0]], B=[clear[1], close[1]])
    other = block(columns[2:], A=[close[0]], B=[close[1]])
    alone = with_comparisons([one])[0].comparisons
    together = with_comparisons([one, other])
    assert alone[columns[1]].adjusted == pytest.approx(alone[columns[1]].p)  # the largest of two
    assert together[0].comparisons[columns[0]].adjusted == pytest.approx(3 * alone[columns[0]].p)
    assert together[0].comparisons[columns[0]].significant
    assert not together[1].comparisons[columns[2]].significant


@given(st.lists(st.floats(0, 1) | st.none(), max_size=8))
def test_holm_keeps_order_and_is_at_most_one(ps):
    adjusted = holm(ps)
    known = [(p, a) for p, a in zip(ps, adjusted, strict=True) if p is not None]
    assert [a is None for a in adjusted] == [p is None for p in ps]
    assert all(p <= a <= 1 for p, a in known)
    assert sorted(known) == sorted(known, key=lambda pair: (pair[1], pair[0]))  # order is kept
    if known:
        smallest = min(p for p, _ in known)
        assert min(a for _, a in known) == pytest.approx(min(1.0, len(known) * smallest))


def test_holm_controls_the_family_wise_error():
    rng = np.random.default_rng(0)
    false = sum(min(a for a in holm([*rng.uniform(size=10)])) < 0.05 for _ in range(2000))
    assert false / 2000 < 0.065
