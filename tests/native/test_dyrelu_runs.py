"""Whole runs with DyReLU phasing: native steps in all phases; resumed bit for bit."""

import json

import pytest
from helpers import killing

from dstbench.training import trainer

pytestmark = pytest.mark.slow

# The clipping norm of live gradients, because that of dense ones differs between the engines.
RUN = (
    *("--sparsity", "0.95", "--set", "Run.epochs=5", "--set", "ResNet20.width=4"),
    *("--set", "GradientClip.over='live'", "--set", "precision='fp32'"),
    *("--device", "cpu", "--threads", "1", "--tracking", "off"),
)


def curves(runs):
    (path,) = runs.glob("*/curves.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("method", ["rigl_dyrelu", "east"])
def test_native_run_with_dyrelu_begins_as_that_of_torch(tmp_path, call, method):
    """Rounding grows fast: where batch norm divides by a variance near zero, by 300 a layer."""
    for engine in ("torch", "native"):
        command = ("run", method, *RUN, "--engine", engine, "--runs", str(tmp_path / engine))
        code, _, errors = call(*command)
        assert code == 0 and "Steps run through torch" not in errors, errors
    (record,) = (tmp_path / "native").glob("*/record.json")
    assert json.loads(record.read_text())["provenance"]["engine_steps"]["native"] > 0
    first, second = curves(tmp_path / "torch")[0], curves(tmp_path / "native")[0]
    assert second["train_loss"] == pytest.approx(first["train_loss"], rel=2e-2)


def test_run_that_stops_while_dyrelu_is_blended_resumes_bit_for_bit(tmp_path, call, monkeypatch):
    command = ("run", "rigl_dyrelu", *RUN, "--engine", "native", "--checkpoint-seconds", "0.0001")
    after_epoch = trainer.Trainer._after_epoch

    def stop(self, state):
        after_epoch(self, state)
        if 0.25 < state.step / state.total_steps < 0.495:  # DyReLUPhasing blends there
            self.stop.received = 15

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_after_epoch", stop)
        assert call(*command, "--runs", str(tmp_path / "two"))[0] == 143
    for name in ("two", "one"):
        assert call(*command, "--runs", str(tmp_path / name))[0] == 0
    one, two = (killing.outcome(tmp_path / name) for name in ("one", "two"))
    assert killing.same(one["networks"], two["networks"])
    assert [line["train_loss"] for line in one["curves"]] == [
        line["train_loss"] for line in two["curves"]
    ]
