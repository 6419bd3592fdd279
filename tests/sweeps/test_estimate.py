"""The estimated time of a run, from finished runs on disk."""

import pytest
from helpers.example_run import ExampleRun
from helpers.planned_runs import run_of

from dstbench.sweeps.estimate import Estimate


def test_estimate_prefers_similar_runs_of_the_same_method(tmp_path):
    def text(epochs, batch=64):
        return (
            f"ResNet20.width = 16\nRun.batch_size = {batch}\nRun.dataset = 'digits'\n"
            f"Run.epochs = {epochs}\nRun.model = @ResNet20\n"
        )

    def recorded(name, method, epochs, seconds, batch=64):
        example = ExampleRun(tmp_path / name)
        example.record |= {"method": method, "config": {"text": text(epochs, batch), "sha256": "x"}}
        example.record["provenance"]["train_seconds"] = seconds
        example.status("finished")

    recorded("a", "RigL", 10, 30.0)
    recorded("b", "RigL", 20, 20.0)
    recorded("c", "SET", 10, 90.0)
    recorded("d", "SET", 10, 7000.0, batch=128)
    run = run_of(tmp_path, "new", text(100), epochs=100)
    assert Estimate(tmp_path, "cpu").seconds_left(run) == pytest.approx(200)  # median of 3 and 1
    other = run_of(tmp_path, "new", text(100), epochs=100, method="New")
    assert Estimate(tmp_path, "cpu").seconds_left(other) == pytest.approx(300)  # of 3, 1 and 9
    assert Estimate(tmp_path, "NVIDIA").seconds_left(run) is None
    unlike = run_of(tmp_path, "new", text(100).replace("width = 16", "width = 8"))
    assert Estimate(tmp_path, "cpu").seconds_left(unlike) is None
    ExampleRun(run.folder).epochs(25)
    assert Estimate(tmp_path, "cpu").seconds_left(run) == pytest.approx(150)
