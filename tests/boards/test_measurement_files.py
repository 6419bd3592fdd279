"""Measured speeds: read from files, shown in the table of their network."""

import json
from pathlib import Path

import pytest

from dstbench.boards.build_board import build_board
from dstbench.boards.markdown import table_file
from dstbench.boards.measurement_files import read_measurements
from dstbench.config import grid
from dstbench.config.shipped_files import GRIDS, shipped
from dstbench.errors import UserError

OWN = Path(__file__).parents[2] / "leaderboard"


def measured(out, **changes):
    folder = out / "measurements"
    folder.mkdir(exist_ok=True)
    content = {
        "method": "RigL", "model": "ImageNetResNet50", "dataset": "imagenet",
        "sparsity": {"asked": 0.995, "measured": 0.995}, "device": "cpu", "cpu": "EPYC",
        "threads": 1, "best_dense": {"2": "dense"},
        "timings": [
            {"form": form, "batch": 2, "latency_ms": ms, "images_per_s": 2000 / ms}
            for form, ms in (("dense", 100.0), ("deployed", 8.0))
        ],
    } | changes  # fmt: skip
    (folder / f"{len([*folder.iterdir()])}.json").write_text(json.dumps(content))


def test_measurements_are_shown_in_the_table_of_their_network(tmp_path):
    measured(tmp_path)
    measured(tmp_path, method="worst case", dataset=None, model="ResNet50")
    made = build_board(tmp_path, [grid.read(shipped(GRIDS)["table3"])])
    (table,) = made.tables
    assert [(m.method, m.form, m.latency_ms) for m in table.measurements] == [
        ("RigL", "dense", 100.0), ("RigL", "deployed", 8.0),
    ]  # fmt: skip
    assert {m.method for m in made.measurements} == {"worst case"}
    text = table_file.render(table)
    assert "EPYC, 1 thread" in text and "measurements/0.json" in text and "250.0" in text
    assert "12.5" in text and "× best dense fp32" in text
    assert "× best dense |" not in text  # no form of another precision was measured


def test_speedups_are_over_the_best_dense_forms_that_the_file_names(tmp_path):
    latencies = {"dense": 100.0, "openvino bf16": 20.0, "deployed": 8.0}
    measured(
        tmp_path,
        timings=[
            {"form": form, "batch": 2, "latency_ms": ms, "images_per_s": 2000 / ms}
            for form, ms in latencies.items()
        ],
        best_dense_any={"2": "openvino bf16"},
    )
    measured(tmp_path, best_dense={})
    (rows,) = read_measurements(tmp_path / "measurements").values()
    assert [(row.speedup, row.speedup_any) for row in rows] == [
        (1.0, 0.2), (5.0, 1.0), (12.5, 2.5), (None, None), (None, None),
    ]  # fmt: skip


def test_inconsistent_paper_speeds_are_marked():
    (table,) = build_board(OWN, [grid.read("table3")]).tables
    assert [speed.consistent for speed in table.paper_speeds] == [False, False]
    assert "1,229.25" in table_file.render(table) and "contradict" in table_file.render(table)


def test_read_measurements_rejects_other_files(tmp_path):
    (tmp_path / "odd.json").write_text('{"method": "RigL"}')
    with pytest.raises(UserError, match=r"odd\.json: is not the output of `dstbench measure"):
        read_measurements(tmp_path)
