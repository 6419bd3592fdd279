"""Records into cells: what belongs together is averaged, what does not is refused by name."""

import statistics

import pytest
from helpers.lab import PRUNABLE, record, write
from hypothesis import given
from hypothesis import strategies as st

from dstbench.leaderboard import results
from dstbench.leaderboard.board import Cell


def read(out):
    found, refused = results.read(out / "records")
    filled, contradictions = results.cells(found)
    return filled, [*refused, *contradictions]


def test_a_cell_is_the_mean_over_seeds(tmp_path):
    accuracies = [90.0, 91.5, 92.25]
    write(tmp_path, *(record(seed=i, accuracy=a) for i, a in enumerate(accuracies)))
    filled, refused = read(tmp_path)
    ((key, own),) = filled.items()
    cell = Cell(key, own)
    assert refused == []
    assert [r.seed for r in cell.results] == [0, 1, 2]
    assert cell.mean == pytest.approx(statistics.mean(accuracies))
    assert cell.std == pytest.approx(statistics.stdev(accuracies))


def test_one_seed_has_no_spread(tmp_path):
    write(tmp_path, record(accuracy=90.0))
    ((key, own),) = read(tmp_path)[0].items()
    assert (Cell(key, own).mean, Cell(key, own).std, Cell(key, own).n) == (90.0, None, 1)


@pytest.mark.parametrize(
    ("axis", "other"),
    [
        ("precision", "fp32"), ("protocol", "itop_compat"), ("dataset", "cifar10-jpeg"),
        ("recipe", "cifar10_small"), ("model", "ResNet50"), ("sparsity", 0.999),
        ("method", "SET"),
    ],
)  # fmt: skip
def test_nothing_is_averaged_across_an_axis(tmp_path, axis, other):
    write(tmp_path, record(seed=0, accuracy=90.0), record(seed=1, accuracy=50.0, **{axis: other}))
    filled, refused = read(tmp_path)
    assert refused == []
    assert sorted(Cell(key, own).mean for key, own in filled.items()) == [50.0, 90.0]


def test_two_configurations_under_one_name_are_refused_with_what_differs(tmp_path):
    names = write(
        tmp_path, record(seed=0), record(seed=1), record(seed=2, settings={"SGD.lr": "0.2"})
    )
    filled, (refused,) = read(tmp_path)
    assert filled == {}
    assert sorted(names) == list(refused.names)
    assert "differ in SGD.lr" in refused.reason and "RigL" in refused.reason
    assert "Method.name" in refused.reason


def test_one_configuration_on_two_sets_of_images_is_refused(tmp_path):
    write(tmp_path, record(seed=0), record(seed=1, images="other"))
    filled, (refused,) = read(tmp_path)
    assert filled == {} and "their images" in refused.reason


def test_one_configuration_with_two_versions_of_a_plugin_is_refused(tmp_path):
    one, other = record(seed=0), record(seed=1)
    one["provenance"]["plugins"] = {"mine.py": "aa"}
    other["provenance"]["plugins"] = {"mine.py": "bb"}
    write(tmp_path, one, other)
    filled, (refused,) = read(tmp_path)
    assert filled == {} and "plugin mine.py" in refused.reason


def test_a_copy_of_a_result_counts_once(tmp_path):
    write(tmp_path, record(seed=0, accuracy=90.0), record(seed=1, accuracy=80.0))
    write(tmp_path, record(seed=0, accuracy=90.0), name="a-copy")
    filled, refused = read(tmp_path)
    (own,) = filled.values()
    assert refused == [] and [r.accuracy for r in own] == [90.0, 80.0]


def test_two_results_of_one_seed_are_both_refused_and_the_others_stay(tmp_path):
    (first,) = write(tmp_path, record(seed=0, accuracy=90.0))
    write(tmp_path, record(seed=0, accuracy=91.0), name="again")
    write(tmp_path, record(seed=1, accuracy=80.0))
    filled, (refused,) = read(tmp_path)
    (own,) = filled.values()
    assert [r.seed for r in own] == [1]
    assert set(refused.names) == {first, "again"} and "different results" in refused.reason


@pytest.mark.parametrize("off", [-1, 1])
def test_what_is_off_its_budget_is_refused(tmp_path, off):
    (name,) = write(tmp_path, record(live=PRUNABLE // 100 + off))
    filled, (refused,) = read(tmp_path)
    assert filled == {} and refused.names == (name,)
    assert "off its budget" in refused.reason and "leaves 1,000" in refused.reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "running"}, "is not over"),
        ({"method": None}, "method is None"),
        ({"config": {"text": "x", "sha256": "y"}}, "config.sha256"),
        ({"schema": 99}, "has schema 99"),
    ],
)
def test_what_is_no_true_record_is_refused(tmp_path, change, said):
    write(tmp_path, record() | change, name="odd")
    filled, (refused,) = read(tmp_path)
    assert filled == {} and refused.names == ("odd",) and said in refused.reason
    assert str(tmp_path) not in refused.reason


def test_a_file_that_is_not_json_is_refused(tmp_path):
    write(tmp_path, record())
    (tmp_path / "records" / "broken.json").write_text("{")
    filled, (refused,) = read(tmp_path)
    assert len(filled) == 1 and refused.names == ("broken",)


def test_diverged_and_collapsed_runs_are_kept_as_what_they_are(tmp_path):
    write(
        tmp_path, record(seed=0, diverged=True), record(seed=1, accuracy=10.0, collapsed=True),
        record(seed=2, accuracy=50.0),
    )  # fmt: skip
    filled, refused = read(tmp_path)
    ((key, own),) = filled.items()
    cell = Cell(key, own)
    assert refused == []
    assert (cell.n, cell.diverged, cell.collapsed, cell.mean) == (2, 1, 1, 30.0)


@given(st.permutations(range(6)))
def test_the_order_of_records_does_not_matter(order):
    made = [results.reduce(record(seed=i % 3, accuracy=80.0 + i, method="AB"[i // 3]), f"r{i}")
            for i in range(6)]  # fmt: skip
    again = results.reduce(record(seed=0, accuracy=1.0, method="A"), "again")
    expected = results.cells([*made, again])
    assert results.cells([*(made[i] for i in order), again]) == expected
    assert results.cells([again, *(made[i] for i in order)]) == expected
