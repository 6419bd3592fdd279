"""A network that does not fit its data is refused before anything is written."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from dstbench.core.prunable import Unpruned
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
from dstbench.errors import UserError
from dstbench.models.precision import autocast_for
from dstbench.models.resnet import ResNet20
from dstbench.training import preflight

CPU = torch.device("cpu")
FP32 = autocast_for("fp32", CPU)

MODEL = '''
import torch
from torch import nn
from dstbench.config.registry import register


@register("models")
class {name}(nn.Module):
    """A custom model. num_classes: logits. in_channels, image_size: of the images."""

    def __init__(self, num_classes: int, in_channels: int, image_size: int):
        super().__init__()
        {first}
        self.conv = nn.Conv2d(in_channels, 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.linear = nn.Linear(4, {logits})

    def forward(self, x):
        x = self.norm(self.conv(x).mean((2, 3)))
        {returns}
'''
PARTS = {"first": "pass", "logits": "num_classes", "returns": "return self.linear(x)"}


@pytest.fixture
def refused(tmp_path, call, request):
    """Run the model with some of its lines replaced; returns the message."""

    def run(*argv, **changed):
        name = "Own" + "".join(c for c in request.node.name if c.isalnum())
        plugin = tmp_path / "own.py"
        plugin.write_text(MODEL.format(name=name, **(PARTS | changed)))
        code, _, errors = call(
            "run", "methods/rigl.gin", "--plugin", str(plugin), "--model", name, "--sparsity",
            "0.2", "--tracking", "off", "--runs", str(tmp_path / "runs"), "--set", "Run.epochs=1",
            "--device", "cpu", "--set", "precision='fp32'", *argv,
        )  # fmt: skip
        assert "Traceback" not in errors and not list(tmp_path.glob("runs/*/record.json"))
        assert code == 2
        return errors

    return run


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"first": "raise ValueError('no such depth')"},
         ["cannot be built", "10 classes", "ValueError: no such depth", "own.py:13"]),
        ({"returns": "return self.linear(x), x"}, ["returns a tuple", "[2, 10]"]),
        ({"returns": "return self.linear(x) if not self.training else [x]"},
         ["returns a list in training mode"]),
        ({"logits": "7"}, ["returns [2, 7] for two images", "num_classes"]),
        ({"returns": "return self.linear(x.double())"}, ["fails on images of 1×8×8", "own.py:"]),
    ],
    ids=["constructor", "tuple", "training", "logits", "forward"],
)  # fmt: skip
def test_models_that_do_not_fit_are_refused(refused, changed, words):
    message = refused(**changed)
    assert all(word in message for word in words), message


def test_last_batch_too_small_for_batch_norm_is_refused(refused):
    message = refused("--set", "Run.batch_size=1294")
    for word in ("batch of 1,", "1295 training images in batches of 1294", "Run.batch_size"):
        assert word in message


def test_network_that_can_train_on_one_image_is_accepted():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    preflight.refuse_small_batch(model, 1, (3, 2, 2), CPU, FP32, "")
    model = ResNet20(num_classes=3, width=4)
    preflight.refuse_small_batch(model, 1, (3, 8, 8), CPU, FP32, "")  # 2×2 positions at its end
    with pytest.raises(UserError, match=r"batch of 1, .*more than 1 value.* Do so\."):
        preflight.refuse_small_batch(model, 1, (3, 4, 4), CPU, FP32, "Do so.")


@pytest.mark.parametrize(
    ("last", "microbatches", "refused"), [(3, 2, True), (4, 2, False), (5, 2, False), (3, 1, False)]
)
def test_processes_that_would_synchronise_unequal_passes_are_refused(last, microbatches, refused):
    state = State(ResNet20(num_classes=3, width=4), (3, 8, 8), 0, 1)
    group = SimpleNamespace(size=2)
    options = SimpleNamespace(group=group, device=CPU, sync_batch_norm=True)
    plan = BatchPlan(8 + last, 8)
    with pytest.raises(UserError, match="unequal parts") if refused else nullcontext():
        preflight.refuse_small_batches(state, plan, options, "fp32", microbatches)


def test_preflight_leaves_network_and_random_numbers_unchanged():
    model = ResNet20(num_classes=3, width=4).train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    state = torch.get_rng_state()
    preflight.refuse_wrong_logits(model, 3, (3, 8, 8), CPU, FP32)
    preflight.refuse_small_batch(model, 2, (3, 8, 8), CPU, FP32, "")
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_refuse_unpruned_names_the_largest_weights():
    found = Unpruned({f"w{i}": i for i in range(1, 9)}, 0.04)
    message = preflight.refuse_unpruned(found, 0.05)
    assert "w8 (8), w7 (7)" in message and "2 more" in message and "4 %" in message
    with pytest.raises(UserError, match=r"w8 .*Run\.unpruned_fraction"):
        preflight.refuse_unpruned(found, 0.03)
    assert preflight.refuse_unpruned(Unpruned({}, 0.0), 0.0) is None
