"""Figures are drawn from run folders alone; what cannot be drawn is said."""

import json

import pytest

from dstbench import figures
from dstbench.errors import UserError

pytest.importorskip("matplotlib")


def run(method, sparsity, accuracy, norm=1.0, status="finished"):
    record = {
        "method": method,
        "status": status,
        "sparsity": {"asked": sparsity},
        "accuracy": {"shown": "test_final", "test_final": accuracy},
    }
    curves = [
        {
            "epoch": epoch,
            "grad_norm_live": norm,
            "sparsity": sparsity,
            "live_path_share": None,
            "layers_positive": {"a": 0.5, "b": 0.1 * epoch},
        }
        for epoch in (1, 2, 3)
    ]
    return figures.RunData(record, curves)


def lines(name, runs):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    figures.FIGURES[name](axes, runs)
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
            for line in axes.get_lines()}  # fmt: skip


def test_accuracy_is_the_median_over_seeds_of_finished_runs():
    runs = [run("A", 0.9, a) for a in (50.0, 70.0, 60.0)] + [run("A", 0.99, 20.0)]
    runs.append(run("A", 0.99, 99.0, status="running"))
    xs, ys = lines("accuracy_over_sparsity", runs)["A"]
    assert ys == [20.0, 60.0] and xs == pytest.approx([0.01, 0.1])


def test_curves_are_medians_and_what_is_unknown_is_left_out():
    runs = [run("A", 0.9, 50.0, norm) for norm in (1.0, 3.0, 2.0)]
    assert lines("gradient_norm", runs)["A"] == ([1, 2, 3], [2.0, 2.0, 2.0])
    assert lines("live_paths", runs) == {}
    assert lines("positive_preactivations", runs)["A"][1] == pytest.approx([50.0, 30.0])


def test_every_figure_is_written_and_the_same_runs_give_the_same_bytes(tmp_path):
    runs = [run("A", 0.9, 50.0), run("B", 0.99, 40.0)]
    written = figures.draw(runs, tmp_path / "one")
    assert {p.suffix for p in written} == {".png", ".svg"}
    assert len(written) == 2 * len(figures.FIGURES)
    for path in figures.draw(runs, tmp_path / "two"):
        if path.suffix == ".png":
            assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


def test_nothing_to_draw(tmp_path):
    (tmp_path / "curves.jsonl").write_text("")
    with pytest.raises(UserError, match="nothing to draw"):
        figures.read([tmp_path])


def test_folders_are_read(tmp_path):
    one = run("A", 0.9, 50.0)
    lines = "".join(json.dumps(line) + "\n" for line in one.curves)
    (tmp_path / "curves.jsonl").write_text(lines)
    with pytest.raises(UserError, match="no such record"):
        figures.read([tmp_path])
