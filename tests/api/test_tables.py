"""`records`, `cost`, `load`, `compare`, `deploy`, `sweep` and `leaderboard` from Python."""

import shutil

import pytest

import dstbench
from dstbench.api.result import Result


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with runs of two methods, and one that a record says was stopped."""
    folder = tmp_path_factory.mktemp("lab") / "runs"
    for method in ("rigl", "static"):
        dstbench.run(
            method, epochs=1, sparsity=0.9, threads=1, tracking="off", quiet=True, runs=folder,
            set={"ResNet20.width": 4},
        )  # fmt: skip
    return folder


def test_records_has_a_row_a_run(runs):
    table = dstbench.records(runs)
    assert sorted(table["method"]) == ["RigL", "Static"]
    for _, row in table.iterrows():
        result = dstbench.load(row["path"])
        assert row["test_final"] == result.accuracy
        assert row["macs"] == result.record["cost"]["macs"]
        assert row["sparsity"] == 0.9


def test_records_reads_a_leaderboard_as_well(runs, tmp_path):
    dstbench.leaderboard("cifar10_tiny", runs=runs, out=tmp_path / "board")
    both = dstbench.records(tmp_path / "board" / "records")
    assert set(both["config_sha256"]) == set(dstbench.records(runs)["config_sha256"])


def test_leaderboard_returns_every_cell(runs, tmp_path):
    cells = dstbench.leaderboard("cifar10_tiny", runs=runs, out=tmp_path)
    assert len(cells) and (cells["n"] == 0).all()  # these runs are of no grid
    assert {"method", "sparsity", "mean", "paper"} <= set(cells.columns)
    assert (tmp_path / "cifar10_tiny.md").is_file()


def test_folder_without_runs_is_an_empty_table_and_a_missing_one_an_error(tmp_path):
    empty = dstbench.records(tmp_path)
    assert len(empty) == 0 and {"method", "test_final", "path"} <= {*empty.columns}
    with pytest.raises(dstbench.UserError, match="no such folder"):
        dstbench.records(tmp_path / "nowhere")


def test_damaged_record_is_left_out_with_a_warning(runs, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "record.json").write_text('{"a": 1')
    shutil.copytree(next(runs.glob("rigl-*")), tmp_path / "good")
    with pytest.warns(UserWarning, match=r"bad.record\.json"):
        assert len(dstbench.records(tmp_path)) == 1


def test_cost_counts_what_the_command_counts():
    counted = dstbench.cost("rigl", recipe="cifar10_resnet34", sparsity=0.9999)
    assert counted.live_weights == 2127
    assert counted.layers["live"].sum() == 2127
    assert counted.layers["macs"].sum() == counted.macs


def test_compare_takes_results_and_folders(runs):
    a, b = sorted(runs.glob("*-*"))
    by_path = dstbench.compare(a, str(b)).result
    by_result = dstbench.compare(dstbench.load(a), dstbench.load(b)).result
    assert by_path == by_result and by_path.images == 359


@pytest.mark.slow
def test_deploy_writes_a_network_with_the_same_answers(runs, tmp_path):
    pytest.importorskip("numba")
    import numpy as np
    import torch

    from dstbench.deployment import load

    result = dstbench.load(next(runs.glob("rigl-*")))
    deployed = dstbench.deploy(result, tmp_path / "out")
    network = result.network()
    images = torch.randn(4, *network.image_shape)
    with torch.no_grad():
        expected = network(images).numpy()
    found = load(deployed.folder / "network.dst")(images.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_sweep_returns_a_row_a_run_and_does_nothing_the_second_time(tmp_path):
    grid = tmp_path / "two.gin"
    grid.write_text(
        "Table.title = 'Two'\nTable.kind = 'accuracy'\nTable.sections = [@Section()]\n"
        "Section.methods = ['static', 'rigl']\nSection.recipes = ['digits']\n"
        "Section.sparsities = [0.9]\nSection.seeds = [0]\n"
        "Section.bindings = ['Run.epochs = 1', 'ResNet20.width = 4']\n"
    )
    given = {"runs": tmp_path / "runs", "tracking": "off", "workers": 1, "threads": 1}
    first = dstbench.sweep(grid, **given)
    assert sorted(first["method"]) == ["RigL", "Static"]
    assert (first["status"] == "finished").all()
    assert dstbench.sweep(grid, **given)["test_final"].tolist() == first["test_final"].tolist()
    assert len(dstbench.sweep(grid, only="method=RigL", **given)) == 1


def test_unfinished_run_has_no_network_and_no_accuracy(runs, tmp_path):
    done = dstbench.load(next(runs.glob("rigl-*")))
    record = {**done.record, "status": "interrupted", "accuracy": {}, "cost": {}, "health": {}}
    stopped = Result(tmp_path, record)
    assert stopped.accuracy is None and stopped.curves().empty
    assert "interrupted" in repr(stopped) and "interrupted" in stopped._repr_html_()
    with pytest.raises(dstbench.UserError, match="not finished"):
        stopped.layers()


def test_plot_has_a_panel_for_loss_accuracy_and_paths(runs):
    pytest.importorskip("matplotlib")
    figure = dstbench.load(next(runs.glob("rigl-*"))).plot()
    assert [axes.get_title() for axes in figure.axes] == [
        "loss", "accuracy, %", "live weights on a path",
    ]  # fmt: skip
    assert all(axes.lines for axes in figure.axes)
