"""Records into cells: seeds are averaged, contradictory records are rejected by name."""

import statistics

import pytest
from helpers.lab import write_records
from helpers.record_factory import PRUNABLE, make_record
from hypothesis import given
from hypothesis import strategies as st

from dstbench.boards.cells import Cell
from dstbench.boards.read_results import group_by_cell, read_results, result_from_record
from dstbench.errors import UserError


def read(out):
    found, rejected = read_results(out / "records")
    filled, contradictions = group_by_cell(found)
    return filled, [*rejected, *contradictions]


def test_a_cell_is_the_mean_over_seeds(tmp_path):
    accuracies = [90.0, 91.5, 92.25]
    write_records(tmp_path, *(make_record(seed=i, accuracy=a) for i, a in enumerate(accuracies)))
    filled, rejected = read(tmp_path)
    ((key, own),) = filled.items()
    cell = Cell(key, own)
    assert rejected == []
    assert [r.seed for r in cell.results] == [0, 1, 2]
    assert cell.mean == pytest.approx(statistics.mean(accuracies))
    assert cell.std == pytest.approx(statistics.stdev(accuracies))


def test_a_single_seed_has_no_std(tmp_path):
    write_records(tmp_path, make_record(accuracy=90.0))
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
def test_cells_are_never_averaged_across_an_axis(tmp_path, axis, other):
    write_records(
        tmp_path,
        make_record(seed=0, accuracy=90.0),
        make_record(seed=1, accuracy=50.0, **{axis: other}),
    )
    filled, rejected = read(tmp_path)
    assert rejected == []
    assert sorted(Cell(key, own).mean for key, own in filled.items()) == [50.0, 90.0]


def test_two_configurations_in_one_cell_are_rejected_with_their_difference(tmp_path):
    names = write_records(
        tmp_path,
        make_record(seed=0),
        make_record(seed=1),
        make_record(seed=2, settings={"SGD.lr": "0.2"}),
    )
    filled, (rejected,) = read(tmp_path)
    assert filled == {}
    assert sorted(names) == list(rejected.names)
    assert "differ in SGD.lr" in rejected.reason and "RigL" in rejected.reason
    assert "Method.name" in rejected.reason


def test_two_sets_of_images_in_one_cell_are_rejected(tmp_path):
    write_records(tmp_path, make_record(seed=0), make_record(seed=1, images="other"))
    filled, (rejected,) = read(tmp_path)
    assert filled == {} and "their images" in rejected.reason


def test_two_versions_of_a_plugin_in_one_cell_are_rejected(tmp_path):
    one, other = make_record(seed=0), make_record(seed=1)
    one["provenance"]["plugins"] = {"mine.py": "aa"}
    other["provenance"]["plugins"] = {"mine.py": "bb"}
    write_records(tmp_path, one, other)
    filled, (rejected,) = read(tmp_path)
    assert filled == {} and "plugin mine.py" in rejected.reason


def test_a_copy_of_a_result_counts_once(tmp_path):
    write_records(tmp_path, make_record(seed=0, accuracy=90.0), make_record(seed=1, accuracy=80.0))
    write_records(tmp_path, make_record(seed=0, accuracy=90.0), name="a-copy")
    filled, rejected = read(tmp_path)
    (own,) = filled.values()
    assert rejected == [] and [r.accuracy for r in own] == [90.0, 80.0]


def test_two_results_of_one_seed_are_rejected_and_other_seeds_kept(tmp_path):
    (first,) = write_records(tmp_path, make_record(seed=0, accuracy=90.0))
    write_records(tmp_path, make_record(seed=0, accuracy=91.0), name="again")
    write_records(tmp_path, make_record(seed=1, accuracy=80.0))
    filled, (rejected,) = read(tmp_path)
    (own,) = filled.values()
    assert [r.seed for r in own] == [1]
    assert set(rejected.names) == {first, "again"} and "different results" in rejected.reason


@pytest.mark.parametrize("off", [-1, 1])
def test_a_record_off_its_budget_is_rejected(tmp_path, off):
    (name,) = write_records(tmp_path, make_record(live=PRUNABLE // 100 + off))
    filled, (rejected,) = read(tmp_path)
    assert filled == {} and rejected.names == (name,)
    assert "off its budget" in rejected.reason and "leaves 1,000" in rejected.reason


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "running"}, "is not finished"),
        ({"method": None}, "method is None"),
        ({"config": {"text": "x", "sha256": "y"}}, "config.sha256"),
        ({"schema": 99}, "has schema 99"),
    ],
)
def test_an_inconsistent_record_is_rejected(tmp_path, change, message):
    write_records(tmp_path, make_record() | change, name="odd")
    filled, (rejected,) = read(tmp_path)
    assert filled == {} and rejected.names == ("odd",) and message in rejected.reason
    assert str(tmp_path) not in rejected.reason


def test_a_file_that_is_not_json_is_rejected(tmp_path):
    write_records(tmp_path, make_record())
    (tmp_path / "records" / "broken.json").write_text("{")
    filled, (rejected,) = read(tmp_path)
    assert len(filled) == 1 and rejected.names == ("broken",)


def test_diverged_and_collapsed_runs_are_counted_in_their_cell(tmp_path):
    write_records(
        tmp_path,
        make_record(seed=0, status="diverged"),
        make_record(seed=1, accuracy=10.0, collapsed=True),
        make_record(seed=2, accuracy=50.0),
    )
    filled, rejected = read(tmp_path)
    ((key, own),) = filled.items()
    cell = Cell(key, own)
    assert rejected == []
    assert (cell.n, cell.diverged, cell.collapsed, cell.mean) == (2, 1, 1, 30.0)


@given(st.permutations(range(6)))
def test_grouping_does_not_depend_on_the_order_of_records(order):
    records = [make_record(seed=i % 3, accuracy=80.0 + i, method="AB"[i // 3]) for i in range(6)]
    made = [result_from_record(record, f"r{i}") for i, record in enumerate(records)]
    again = result_from_record(make_record(seed=0, accuracy=1.0, method="A"), "again")
    expected = group_by_cell([*made, again])
    assert group_by_cell([*(made[i] for i in order), again]) == expected
    assert group_by_cell([again, *(made[i] for i in order)]) == expected


def test_a_folder_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "records").write_text("no folder")
    with pytest.raises(UserError, match=r"records: cannot be read"):
        read_results(tmp_path / "records")
    assert read_results(tmp_path / "absent") == ([], [])
