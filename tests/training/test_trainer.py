"""Reports of a run: collapse, changes between sessions, a checkpoint of another network."""

import json
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import killing
from helpers.disk_datasets import png

from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.models.resnet import ResNet20
from dstbench.optim.settings import SGD
from dstbench.training.checkpoint import restore_


def test_collapsed_network_is_reported_once(tmp_path, call):
    code, _, errors = call(
        "run", "methods/rigl.gin", "--set", "Run.epochs=3", "--set", "ResNet20.width=4", "--set",
        "Run.train_images=256", "--set", "SGD.lr=1e-12", "--device", "cpu", "--tracking", "off",
        "--runs", str(tmp_path),
    )  # fmt: skip
    assert code == 0 and errors.count("Two epochs in a row no better than chance") == 1


def test_dataset_of_one_class_is_refused(tmp_path, call):
    for file in ("train/only/0.png", "train/only/1.png", "test/only/0.png"):
        (tmp_path / "mine" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / file).write_bytes(png(np.zeros((8, 8, 3), dtype=np.uint8)))
    code, _, errors = call(
        "run", "methods/rigl.gin", "--dataset", "mine", "--data-root", str(tmp_path), "--device",
        "cpu", "--tracking", "off", "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert code == 2 and "'mine' has one class, only" in errors
    assert not [*tmp_path.glob("runs/*/record.json")]


@pytest.mark.slow
def test_changes_between_sessions_are_reported_and_recorded(tmp_path):
    short = ("--set", "Run.epochs=4")
    process = killing.start(tmp_path, *short)
    process.wait_for("  loss ")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # a repeated signal changes nothing
    assert process.wait() == 143 and "everything is saved" in process.errors
    done = killing.finish(tmp_path, *short, "--threads", "2")
    assert "threads 1 → 2" in done.errors
    (record,) = tmp_path.glob("*/record.json")
    history = json.loads(record.read_text())["provenance"]["history"]
    assert [session["threads"] for session in history] == [1, 2]


def test_checkpoint_of_another_network_is_refused(tmp_path):
    states = []
    for width in (4, 8):
        state = State(ResNet20(num_classes=3, width=width), (3, 8, 8), 0, 10)
        state.optimizer = SGD().build(state.model, state.masks)
        states.append(state)
    run = SimpleNamespace(optimizer=SGD(), method=SimpleNamespace(name="Mine"), model=ResNet20)
    with pytest.raises(UserError, match=r"Mine and ResNet20 are now.*--fresh"):
        restore_(states[1], states[0].state_dict(), run, tmp_path)
    states[0].set_live_("stem.conv1.weight", torch.tensor([0, 7]))
    saved = states[0].state_dict()
    saved["network"]["live"]["stem.conv1.weight"][0][1] = 9999  # outside the tensor
    with pytest.raises(UserError, match=r"IndexError: stem.*--fresh"):
        restore_(states[0], saved, run, tmp_path)


LATE = '''
import torch
from dstbench.config.registry import register
from dstbench.core.part import Part
from dstbench.core.budgets import Uniform


@register("parts")
class Late(Part):
    """Prunes after most of the run, and declares nothing about it."""

    def __init__(self, sparsity: float):
        self.sparsity = sparsity

    def after_step(self, state):
        if state.step == int(0.7 * state.total_steps):
            Uniform(self.sparsity).init_masks(state)
'''
LATE_GIN = """
Run.method = @Method()
Method.name = 'Late'
Method.parts = [@Late()]
Late.sparsity = 0.99
"""


@pytest.mark.slow
def test_best_epoch_is_chosen_by_measured_live_weights_whatever_a_part_declares(tmp_path, call):
    (tmp_path / "late.py").write_text(LATE)
    (tmp_path / "late.gin").write_text(LATE_GIN)
    code, _, errors = call(
        "run", str(tmp_path / "late.gin"), "--plugin", str(tmp_path / "late.py"), "--set",
        "Run.epochs=4", "--set", "ResNet20.width=4", "--set", "protocol='paper'", "--device", "cpu",
        "--threads", "1", "--tracking", "off", "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert code == 0, errors
    (path,) = tmp_path.glob("runs/*/record.json")
    record = json.loads(path.read_text())
    lines = [json.loads(x) for x in path.with_name("curves.jsonl").read_text().splitlines()]
    assert [line["sparsity"] > 0.98 for line in lines] == [False, False, True, True]
    accuracy, cost = record["accuracy"], record["cost"]
    assert accuracy["best_epoch"] in (3, 4)  # the dense epochs 1 and 2 are better
    assert max(line["val_accuracy"] for line in lines[2:]) == accuracy["best_val"]
    assert accuracy["live_at_best"] == cost["live_weights"] == round(cost["prunable_weights"] / 100)
    assert 0 < cost["training_flops"] < cost["dense_training_flops"]
