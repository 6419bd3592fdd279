"""Dead weights that a part makes non-zero end the run before any accuracy is measured."""

import json

import pytest
import torch

from dstbench.core.masks import Masks
from dstbench.models.resnet import ResNet20
from dstbench.training.dead_weights import nonzero_dead

PLUGIN = '''
import torch
from dstbench import Part, register


@register("parts")
class {name}(Part):
    """Writes into dead weights."""

    @torch.no_grad()
    def {hook}(self, state):
        for parameter in state.masks.parameters.values():
            parameter.add_(0.01)
'''
GIN = """
Run.method = @Method()
Method.name = 'Refilled'
Method.parts = [@ERK(), @{name}()]
ERK.sparsity = %sparsity
"""


@pytest.mark.parametrize("hook", ["after_step", "finish"])
def test_part_that_writes_dead_weights_fails_the_run(tmp_path, call, hook):
    name = f"Refill_{hook}"
    (tmp_path / "refill.py").write_text(PLUGIN.format(hook=hook, name=name))
    (tmp_path / "refill.gin").write_text(GIN.format(name=name))
    code, out, errors = call(
        "run", str(tmp_path / "refill.gin"), "--plugin", str(tmp_path / "refill.py"), "--set",
        "Run.epochs=1", "--set", "ResNet20.width=4", "--set", "Run.train_images=256", "--device",
        "cpu", "--tracking", "off", "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert code == 2 and "accuracy" not in out and "Traceback" not in errors
    assert "dead weights are not zero" in errors and f"the part {name} ({hook})" in errors
    assert "State.set_live_" in errors and "masks.apply_()" in errors
    (record,) = tmp_path.glob("runs/*/record.json")
    record = json.loads(record.read_text())
    assert record["status"] == "failed" and "dead weights are not zero" in record["error"]
    assert not record["accuracy"] and not [*tmp_path.glob("runs/*/*.safetensors")]


def test_nonzero_dead_counts_each_tensor():
    model = ResNet20(num_classes=3, width=4).to(memory_format=torch.channels_last)
    masks = Masks(model)
    first, second = [*masks.parameters][1:3]
    for name in (first, second):
        masks.write_(name, torch.arange(5))
    masks.apply_()
    assert nonzero_dead(masks) == {}
    with torch.no_grad():
        masks.parameters[second].add_(masks[second].logical_not())
    assert nonzero_dead(masks) == {second: masks.parameters[second].numel() - 5}
    masks.parameters[first].data[-1, -1] = float("nan")
    assert nonzero_dead(masks)[first] == 9
