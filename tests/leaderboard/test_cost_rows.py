"""Costs, the paper's numbers and measurements: read, never typed, and shown with contradictions."""

import json
from pathlib import Path

import pytest
from helpers.lab import GRID

from dstbench.config import grid
from dstbench.config.shipped_files import shipped
from dstbench.errors import UserError
from dstbench.leaderboard import cost_rows, paper, timings
from dstbench.leaderboard.build_board import build
from dstbench.leaderboard.markdown import tables

OWN = Path(__file__).parents[2] / "leaderboard"


@pytest.fixture(scope="module")
def table2():
    (shown,) = build(OWN, [grid.read("table2")]).tables
    return {(row.method, row.sparsity): row for row in shown.costs}, tables.render(shown)


def test_every_cost_of_table_2_is_counted(table2):
    rows, _ = table2
    assert len(rows) == 13
    assert all(row.figures and row.paper_macs and row.paper_stored for row in rows.values())


@pytest.mark.parametrize(
    "name", ["set-cifar10-resnet50-s0.9999", "dctps_rigl_erk_-cifar10-resnet50-s0.9995"]
)
def test_the_kept_costs_are_what_the_command_prints(call, name):
    kept = json.loads((OWN / "costs" / f"{name}.json").read_text())
    assert kept["command"][:2] == ["dstbench", "cost"]
    code, out, err = call(*kept["command"][1:])
    assert code == 0, err
    printed = {k: v for k, v in json.loads(out).items() if k not in cost_rows.LEFT_OUT}
    assert kept["figures"] == printed


def test_ours_and_the_papers_macs_agree_where_the_paper_agrees_with_itself(table2):
    rows, text = table2
    for row in rows.values():
        agree = f"{row.figures['macs'] / 1e6:.2f}" == f"{row.paper_macs / 1e6:.2f}"
        assert agree == (row.note is None)
    assert {method for (method, _), row in rows.items() if row.note} == {
        "SET",
        "RigL",
        "EAST w/o WS",
    }
    assert "1.24 **?**" in text and "+0.23" in text


def test_a_cost_that_was_not_counted_is_a_dash(tmp_path):
    (tmp_path / "mine.gin").write_text(GRID + "Table.kind = 'cost'\n")
    (shown,) = build(tmp_path, [grid.read(tmp_path / "mine.gin")]).tables
    assert [row.figures for row in shown.costs] == [None] * 6
    assert "–" in tables.render(shown)


def test_a_file_that_is_no_cost_is_refused_by_name(tmp_path):
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(UserError, match=r"odd\.json: is no output of `dstbench cost"):
        cost_rows.read(tmp_path)


# --- the paper's numbers --------------------------------------------------------------------------


def test_the_papers_tables_fill_the_suites_grids():
    made = build(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
    for table in made.tables:
        cells = [cell for block in table.blocks for cell in block.cells.values()]
        printed = [cell.paper or paper.read(OWN).value(cell.key) for cell in cells]
        assert cells and all(printed), table.name


def test_the_paper_is_read_to_the_digit():
    """A few cells of each table, by hand from the paper's text."""
    found = paper.read(OWN)
    made = build(OWN, [grid.read(name) for name in ("table1", "table3", "table4")])
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


def test_without_the_papers_file_there_is_nothing_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "roots", lambda: [])
    assert paper.read(tmp_path).content == {}


def test_a_broken_file_of_the_paper_is_named(tmp_path):
    (tmp_path / "paper.json").write_text("{")
    with pytest.raises(UserError, match=r"paper\.json: cannot be read"):
        paper.read(tmp_path)


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


def test_measurements_stand_in_the_table_of_their_cell(tmp_path):
    measured(tmp_path)
    measured(tmp_path, method="worst case", dataset=None, model="ResNet50")
    made = build(tmp_path, [grid.read(shipped(grid.FOLDER)["table3"])])
    (table,) = made.tables
    assert [(m.method, m.form, m.latency_ms) for m in table.measurements] == [
        ("RigL", "dense", 100.0), ("RigL", "deployed", 8.0),
    ]  # fmt: skip
    assert {m.method for m in made.measurements} == {"worst case"}
    text = tables.render(table)
    assert "EPYC, 1 thread" in text and "measurements/0.json" in text and "250.0" in text


def test_the_papers_speeds_contradict_each_other_and_say_so():
    (table,) = build(OWN, [grid.read("table3")]).tables
    assert [speed.consistent for speed in table.paper_speeds] == [False, False]
    assert "1,229.25" in tables.render(table) and "contradict" in tables.render(table)


def test_a_file_that_is_no_measurement_is_refused_by_name(tmp_path):
    (tmp_path / "odd.json").write_text('{"method": "RigL"}')
    with pytest.raises(UserError, match=r"odd\.json: is no output of `dstbench measure"):
        timings.read(tmp_path)
