"""Best methods and their significance: ties, one seed, no variance, Welch, Holm, letters."""

import numpy as np
import pytest
from helpers.record_factory import make_record
from scipy import stats

from dstbench.boards.board import Block
from dstbench.boards.cells import Cell, Column, Key
from dstbench.boards.read_results import result_from_record
from dstbench.boards.significance import with_comparisons
from dstbench.statistics.resolution import Sample, smallest_difference

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


def test_holm_corrects_over_all_pairs_of_the_column():
    clear, close = [93.0, 93.1, 93.2], [92.0, 92.6, 92.9]
    pair = comparison(A=clear, B=[90.0, 90.1, 90.2])
    three = comparison(A=clear, B=[90.0, 90.1, 90.2], C=[50.0, 51.0, 52.0])
    assert pair.adjusted == pytest.approx(pair.p)
    assert three.p == pair.p and three.adjusted == pytest.approx(3 * three.p)  # smallest of 3
    assert pair.significant and three.significant
    assert not comparison(A=clear, B=close, C=[50.0, 51.0, 52.0]).significant


def test_columns_are_corrected_separately():
    columns = (COLUMN, COLUMN._replace(sparsity=0.999))
    both = [[93.0, 93.1, 93.2], [80.0, 82.0, 83.0]]
    (one,) = with_comparisons([block(columns, A=both, B=[[90.0, 90.1, 90.2], [79.0, 80.0, 79.5]])])
    for found in one.comparisons.values():
        assert found.adjusted == pytest.approx(found.p)


def letters(**rows):
    (one,) = with_comparisons([block(**rows)])
    return {key.method: text for key, text in one.letters.items()}


def test_cells_that_cannot_be_told_apart_share_a_letter():
    top, near, low = [93.0, 93.1, 93.2], [93.1, 93.0, 93.3], [60.0, 60.1, 60.2]
    assert letters(A=low, B=top, C=near) == {"A": "b", "B": "a", "C": "a"}


def test_letters_are_consistent_with_the_comparison():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = {m: list(rng.normal(90, 2) + rng.normal(0, 0.3, 3)) for m in "ABCD"}
        (one,) = with_comparisons([block(**rows)])
        found = one.comparisons[COLUMN]
        first, second = (one.letters[Key(m, COLUMN)] for m in (found.first, found.second))
        assert found.significant == (not set(first) & set(second))


def test_cells_that_were_not_tested_have_no_letter():
    assert letters(A=[90.0], B=[80.0, 80.1], C=[70.0, 70.2], D=[10.0, 10.0]).keys() == {"B", "C"}
    assert letters(A=[90.0], B=[80.0]) == {}


def test_resolution_leaves_out_collapsed_and_diverged_cells():
    a, b = [90.0, 91.0, 92.0], [80.0, 82.0, 84.0]
    (one,) = with_comparisons([block(A=a, B=b, C=[10.0, 10.0, 10.0], D=[50.0, None, 90.0])])
    expected = smallest_difference([Sample(3, 1.0), Sample(3, 2.0)])
    assert one.resolution[COLUMN] == pytest.approx(expected)
    (none,) = with_comparisons([block(A=[90.0], B=[80.0])])
    assert not none.resolution
