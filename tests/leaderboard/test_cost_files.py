"""Counted costs, the paper's numbers and measurements: read from files, shown in their tables."""

import json
from pathlib import Path

import pytest
from helpers.lab import GRID

from dstbench.config import grid
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.leaderboard import paper_numbers
from dstbench.leaderboard.build_board import build_board
from dstbench.leaderboard.cost_files import NOT_KEPT, read_costs
from dstbench.leaderboard.markdown import table_file
from dstbench.leaderboard.measurement_files import read_measurements
from dstbench.leaderboard.paper_numbers import read_paper

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


def test_cost_table_shows_a_dash_for_an_uncounted_cost(tmp_path):
    (tmp_path / "mine.gin").write_text(GRID + "Table.kind = 'cost'\n")
    (shown,) = build_board(tmp_path, [grid.read(tmp_path / "mine.gin")]).tables
    assert [row.counted for row in shown.costs] == [None] * 6
    assert "–" in table_file.render(shown)


def test_read_costs_rejects_other_files(tmp_path):
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match=r"odd\.json: is not the output of `dstbench cost"):
        read_costs(tmp_path)


# --- the paper's numbers --------------------------------------------------------------------------


def test_paper_has_a_number_for_every_cell_of_the_suites_tables():
    made = build_board(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    for table in made.tables:
        cells = [cell for block in table.blocks for cell in block.cells.values()]
        printed = [cell.paper or read_paper(OWN).value(cell.key) for cell in cells]
        assert cells and all(printed), table.name


def test_paper_numbers_match_the_paper():
    """A few cells of each table, copied from the paper by hand."""
    found = read_paper(OWN)
    made = build_board(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    keys = {
        (k.method, k.column.dataset, k.column.model, k.column.sparsity): k
        for table in made.tables for block in table.blocks for k in block.cells
    }  # fmt: skip
    expected = {
        ("SynFlow", "cifar100", "ResNet34", 0.999): (22.91, 18.98),
        ("RigL", "cifar10", "ResNet50", 0.999): (58.41, 42.03),
        ("EAST", "cifar10", "ResNet50", 0.9999): (49.55, 4.69),
        ("DCTpS+RigL+EAST", "cifar100", "ResNet50", 0.99): (64.92, 1.41),
        ("RigL w/ WS", "cifar10", "ResNet34", 0.9999): (62.94, None),
        ("EAST w/o cycle", "imagenet", "ImageNetResNet50", 0.995): (34.45, None),
    }
    for name, printed in expected.items():
        value = found.value(keys[name])
        assert (value.mean, value.std) == printed
        assert value.source.startswith("arXiv:2411.13545, Table ")


def test_read_paper_is_empty_without_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(paper_numbers, "roots", lambda: [])
    assert read_paper(tmp_path).content == {}


def test_read_paper_names_a_broken_file(tmp_path):
    (tmp_path / "paper.json").write_text("{")
    with pytest.raises(UserError, match=r"paper\.json: cannot be read"):
        read_paper(tmp_path)


# --- measurements ---------------------------------------------------------------------------------


def measured(out, **changes):
    folder = out / "measurements"
    folder.mkdir(exist_ok=True)
    content = {
        "method": "RigL", "model": "ImageNetResNet50", "dataset": "imagenet",
        "sparsity": {"asked": 0.995, "measured": 0.995}, "device": "cpu", "cpu": "EPYC",
        "threads": 1,
        "timings": [
            {"form": form, "batch": 2, "latency_ms": ms, "images_per_s": 2000 / ms}
            for form, ms in (("dense", 100.0), ("deployed", 8.0))
        ],
    } | changes  # fmt: skip
    (folder / f"{len([*folder.iterdir()])}.json").write_text(json.dumps(content))


def test_measurements_are_shown_in_the_table_of_their_network(tmp_path):
    measured(tmp_path)
    measured(tmp_path, method="worst case", dataset=None, model="ResNet50")
    made = build_board(tmp_path, [grid.read(shipped(grid.FOLDER)["table3"])])
    (table,) = made.tables
    assert [(m.method, m.form, m.latency_ms) for m in table.measurements] == [
        ("RigL", "dense", 100.0), ("RigL", "deployed", 8.0),
    ]  # fmt: skip
    assert {m.method for m in made.measurements} == {"worst case"}
    text = table_file.render(table)
    assert "EPYC, 1 thread" in text and "measurements/0.json" in text and "250.0" in text


def test_inconsistent_paper_speeds_are_marked():
    (table,) = build_board(OWN, [grid.read("table3")]).tables
    assert [speed.consistent for speed in table.paper_speeds] == [False, False]
    assert "1,229.25" in table_file.render(table) and "contradict" in table_file.render(table)


def test_read_measurements_rejects_other_files(tmp_path):
    (tmp_path / "odd.json").write_text('{"method": "RigL"}')
    with pytest.raises(UserError, match=r"odd\.json: is not the output of `dstbench measure"):
        read_measurements(tmp_path)
