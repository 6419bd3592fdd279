"""Counted costs: written by `leaderboard --count-costs`, read from files, shown in their table."""

import json
from pathlib import Path

import pytest
from helpers.lab import GRID

from dstbench.boards.build_board import build_board
from dstbench.boards.cost_files import NOT_KEPT, read_costs
from dstbench.boards.markdown import table_file
from dstbench.config import grid
from dstbench.errors import UserError

OWN = Path(__file__).parents[2] / "leaderboard"


@pytest.fixture(scope="module")
def table2():
    (shown,) = build_board(OWN, [grid.read("table2")]).tables
    return {(row.method, row.sparsity): row for row in shown.costs}, table_file.render(shown)


def test_table_2_has_a_counted_cost_in_every_row(table2):
    rows, _ = table2
    assert len(rows) == 13
    assert all(row.counted and row.paper_macs and row.paper_stored for row in rows.values())


@pytest.mark.parametrize(
    "name", ["set-cifar10-resnet50-s0.9999", "dctps_rigl_erk_-cifar10-resnet50-s0.9995"]
)
def test_cost_files_match_the_cost_command(call, name):
    kept = json.loads((OWN / "costs" / f"{name}.json").read_text())
    assert kept["command"][:2] == ["dstbench", "cost"]
    code, out, err = call(*kept["command"][1:])
    assert code == 0, err
    printed = {k: v for k, v in json.loads(out).items() if k not in NOT_KEPT}
    assert kept["figures"] == printed


def test_count_costs_writes_what_the_cost_table_shows(call, tmp_path):
    grid_file = tmp_path / "mine.gin"
    text = GRID.replace("['set', 'rigl', 'east']", "['dense', 'set']")
    grid_file.write_text(text.replace("cifar10_resnet34", "digits") + "Table.kind = 'cost'\n")
    out = tmp_path / "out"
    code, printed, err = call("leaderboard", str(grid_file), "--out", str(out), "--count-costs")
    assert (code, err) == (0, "")
    (table,) = build_board(out, [grid.read(grid_file)]).tables
    assert [(row.method, row.sparsity) for row in table.costs] == [
        ("Dense", 0.0), ("SET", 0.99), ("SET", 0.999),
    ]  # fmt: skip
    assert all(row.counted and str(out / row.link) in printed for row in table.costs)
    assert table.costs[1].command[:2] == ("dstbench", "cost")
    assert table.costs[1].counted.macs < table.costs[0].counted.macs


def test_counted_macs_equal_the_papers_except_its_contradictions(table2):
    rows, text = table2
    for row in rows.values():
        agree = f"{row.counted.macs / 1e6:.2f}" == f"{row.paper_macs / 1e6:.2f}"
        assert agree == (row.note is None)
    doubtful = {method for (method, _), row in rows.items() if row.note}
    assert doubtful == {"SET", "RigL", "EAST w/o WS"}
    assert "1.24 **?**" in text and "+0.23" in text


def test_table_2_has_the_papers_formulas_and_multiples_beside_the_counts(table2):
    rows, text = table2
    assert all(row.formulas for row in rows.values())
    formulas = {method: row.formulas for (method, _), row in rows.items()}
    assert formulas["Dense"] == "O(mn) · O(N) · O(N)"
    assert formulas["EAST"] == "O(pmn) · O(PN) · O(N − N_s)"
    assert formulas["DCTpS+RigL (ERK)"] == "O(q log q + pmn) · O(PN) · O(N)"
    stated = {key: row for key, row in rows.items() if row.paper_multiple is not None}
    assert {sparsity: row.paper_multiple for (_, sparsity), row in stated.items()} == {
        0.9995: 32, 0.9999: 150,
    }  # fmt: skip
    for (method, sparsity), row in stated.items():
        assert method == "DCTpS+RigL (ERK)"
        assert row.multiple == row.counted.macs / rows["RigL", sparsity].counted.macs
    assert all(row.multiple is None for key, row in rows.items() if key not in stated)
    assert "27.4 ×" in text and "133.0 ×" in text and "150 ×" in text


def test_cost_table_without_the_papers_formulas_has_no_column_of_them(tmp_path):
    (tmp_path / "paper.json").write_text("{}")
    (tmp_path / "mine.gin").write_text(GRID + "Table.kind = 'cost'\n")
    (shown,) = build_board(tmp_path, [grid.read(tmp_path / "mine.gin")]).tables
    text = table_file.render(shown)
    assert "difference (M)" in text and "standard DST" not in text and "size on a GPU" not in text


def test_cost_table_shows_a_dash_for_an_uncounted_cost(tmp_path):
    (tmp_path / "mine.gin").write_text(GRID + "Table.kind = 'cost'\n")
    (shown,) = build_board(tmp_path, [grid.read(tmp_path / "mine.gin")]).tables
    assert [row.counted for row in shown.costs] == [None] * 6
    assert "–" in table_file.render(shown)


def test_read_costs_rejects_other_files(tmp_path):
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match=r"odd\.json: is not the output of `dstbench cost"):
        read_costs(tmp_path)
