"""Search tables: trials ranked by validation accuracy, counted by method; no test accuracy."""

import re

import pytest
from helpers.lab import list_runs, write_records
from helpers.record_factory import make_record

from dstbench.boards.build_board import build_board
from dstbench.boards.markdown import overview, table_file, value_tables
from dstbench.boards.page.render_page import render_page
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
    shown = [(row.method, row.accuracy, row.runs, row.state) for row in table.trials]
    assert shown == [
        ("RigL", 83.5, 2, ""),
        ("SET", 80.5, 1, ""),
        ("RigL (SGD.lr=0.2)", 10.0, 1, "collapsed"),
        ("SET (SGD.lr=0.2)", None, 1, "diverged"),
    ]
    assert table.trials[0].std == pytest.approx(0.5**0.5)
    assert (table.runs, table.has_results, table.blocks) == (5, True, ())


def test_no_test_accuracy_of_a_trial_is_shown(board):
    (table,) = board.tables
    texts = [table_file.render(table), overview.render(board), render_page(board)]
    for text in texts:
        assert not re.search(r"\b(91\.11|71\.11|72\.22|81\.11)\b", text)
    assert "| 83.50 ± 0.71 |" in re.sub(" +", " ", texts[0])
    assert re.search(r'<a href="./records/rigl-[^"]*">83.50 ± 0.71</a>', texts[2])
    assert "rigl 2 of 2" in texts[2]
    assert board.results == ()  # so no figure shows one
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
    assert [(r.precision, r.accuracy, r.runs) for r in (first, second)] == [
        ("bf16", 82.0, 1),
        ("fp32", 80.0, 1),
    ]
    assert not any(row.runs for row in rest)
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
