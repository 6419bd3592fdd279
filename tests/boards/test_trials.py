"""Search tables: trials ranked by validation accuracy, counted by method; no test accuracy."""

import re

import pytest
from helpers.lab import list_runs, write_records
from helpers.record_factory import make_record

from dstbench.boards.build_board import build_board
from dstbench.boards.markdown import overview, table_file, value_tables
from dstbench.boards.page.render_page import render_page
from dstbench.boards.trials import trials_text
from dstbench.config import grid

GRID = """\
Table.title = 'A search'
Table.kind = 'search'
Table.sections = [@as_given/Section(), @lr/Section()]
Section.methods = ['set', 'rigl']
Section.recipes = ['cifar10_resnet34']
Section.sparsities = [0.99]
Section.protocol = 'strict'
lr/Section.vary = {'SGD.lr': [0.2]}
"""
STRICT = {"protocol": "strict"}


def trial(method, seed, test, validation, **options):
    """The record of a run whose accuracies on test and validation images differ."""
    record = make_record(method, seed, test, **STRICT, **options)
    if record["status"] == "finished":
        accuracy = record["accuracy"] | {"val_final": validation, "best_val": validation}
        record = record | {"accuracy": accuracy}
    return record


@pytest.fixture
def board(tmp_path):
    """RigL is better on validation images, SET on test images; one trial diverged."""
    path = tmp_path / "search.gin"
    path.write_text(GRID)
    write_records(
        tmp_path,
        trial("SET", 0, 91.11, 80.5),
        trial("RigL", 0, 71.11, 83.0),
        trial("RigL", 1, 72.22, 84.0),
        trial("RigL (SGD.lr=0.2)", 0, 81.11, 10.0, collapsed=True),
        trial("SET (SGD.lr=0.2)", 0, None, None, status="diverged"),
    )
    list_runs(tmp_path, path)
    return build_board(tmp_path, [grid.read(path)])


def test_trials_are_ranked_by_validation_accuracy(board):
    (table,) = board.tables
    shown = [(r.method, r.accuracy, len(r.seeds), r.collapsed, r.diverged) for r in table.trials]
    assert shown == [
        ("RigL", 83.5, 2, 0, 0),
        ("SET", 80.5, 1, 0, 0),
        ("RigL (SGD.lr=0.2)", 10.0, 1, 1, 0),
        ("SET (SGD.lr=0.2)", None, 1, 0, 1),
    ]
    assert table.trials[0].std == pytest.approx(0.5**0.5)
    assert (table.runs, table.has_results, table.blocks) == (5, True, ())


def test_no_test_accuracy_of_a_trial_is_shown(board):
    (table,) = board.tables
    texts = [table_file.render(table), overview.render(board), render_page(board)]
    for text in texts:
        assert not re.search(r"\b(91\.11|71\.11|72\.22|81\.11)\b", text)
    assert "| 83.50 ± 0.71 |" in re.sub(" +", " ", texts[0])
    for text in (texts[0], texts[2]):  # each seed has its record
        assert len(set(re.findall(r"records/rigl-cifar10-resnet34-s0.99-seed\d", text))) == 2
    assert "rigl 2 of 2" in texts[2]
    assert board.results == ()  # so no figure shows one
    assert len(board.runs) == 5
    assert board.others == ()


def test_trials_are_counted_by_method(board, tmp_path):
    (table,) = board.tables
    assert "rigl 2 of 2, set 2 of 2" in table_file.render(table)
    for path in (tmp_path / "records").glob("set*.json"):
        path.unlink()
    (rest,) = build_board(tmp_path, [grid.read(tmp_path / "search.gin")]).tables
    text = table_file.render(rest)
    assert "rigl 2 of 2, set 0 of 2" in text
    assert "| SET" not in text  # trials to come are counted, not listed


def test_two_precisions_are_two_trials(tmp_path):
    path = tmp_path / "search.gin"
    path.write_text(GRID)
    write_records(
        tmp_path,
        trial("SET", 0, 90.0, 80.0, precision="fp32"),
        trial("SET", 0, 90.0, 82.0, precision="bf16"),
    )
    list_runs(tmp_path, path)
    (table,) = build_board(tmp_path, [grid.read(path)]).tables
    first, second, *rest = table.trials
    assert [(r.precision, r.accuracy, len(r.seeds)) for r in (first, second)] == [
        ("bf16", 82.0, 1),
        ("fp32", 80.0, 1),
    ]
    assert not any(row.seeds for row in rest)
    assert "set 1 of 2" in value_tables.trial_table(table.trials)[1]


def test_a_search_without_runs_says_so(tmp_path):
    path = tmp_path / "search.gin"
    path.write_text(GRID)
    (tmp_path / "records").mkdir()
    list_runs(tmp_path, path)
    board = build_board(tmp_path, [grid.read(path)])
    assert not board.tables[0].has_results
    assert "No results yet: [search](search.md)" in overview.render(board)
    assert "set 0 of 2, rigl 0 of 2" in table_file.render(board.tables[0])


def built(tmp_path, text, *made):
    path = tmp_path / "search.gin"
    path.write_text(text)
    write_records(tmp_path, *made)
    list_runs(tmp_path, path)
    return build_board(tmp_path, [grid.read(path)]).tables[0]


def test_test_images_are_no_validation_images(tmp_path):
    """With all_images, the accuracy under "val_final" is that of the test images."""
    record = make_record("SET", 0, 64.9, protocol="all_images")
    names = ("test_at_best_val", "best_val", "best_epoch")
    accuracy = record["accuracy"] | dict.fromkeys(names) | {"shown": "test_final"}
    accuracy |= {"val_final": 64.9, "test_final": 64.9}
    table = built(tmp_path, GRID.replace("strict", "all_images"), record | {"accuracy": accuracy})
    (row,) = [row for row in table.trials if row.seeds]
    assert row.accuracy is None
    assert "64.90" not in table_file.render(table)


def test_every_sparsity_is_a_trial_ranked_among_its_own(tmp_path):
    table = built(
        tmp_path,
        GRID.replace("[0.99]", "[0.999, 0.99]"),
        trial("SET", 0, 90.0, 80.0),
        trial("RigL", 0, 90.0, 20.0, sparsity=0.999),
        trial("SET", 0, 90.0, 30.0, sparsity=0.999),
    )
    shown = [(row.method, row.sparsity) for row in table.trials if row.seeds]
    assert shown == [("SET", 0.999), ("RigL", 0.999), ("SET", 0.99)]
    assert trials_text(table.trials) == "set 2 of 4, rigl 1 of 4"


def test_a_trial_that_diverged_on_some_seeds_is_not_ahead(tmp_path):
    table = built(
        tmp_path,
        GRID,
        trial("RigL", 0, 90.0, 90.0),
        trial("RigL", 1, None, None, status="diverged"),
        trial("SET", 0, 80.0, 80.0),
    )
    assert [row.method for row in table.trials][:2] == ["SET", "RigL"]
    assert "90.00 (diverged 1 of 2)" in table_file.render(table)
