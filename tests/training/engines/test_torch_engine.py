"""Engines: gradients and modes of the torch engine, and an engine that holds buffers back."""

import pytest
import torch
from helpers import killing
from torch import nn
from torch.nn.functional import cross_entropy

from dstbench.models.precision import autocast_for
from dstbench.training.engines import choose
from dstbench.training.engines.torch_engine import TorchEngine

FP32 = autocast_for("fp32", torch.device("cpu"))


def test_torch_engine_leaves_gradients_of_the_mean_loss(small_net):
    model, reference = small_net(), small_net()
    x, y = torch.randn(4, 3, 8, 8), torch.randint(5, (4,))
    loss, logits = TorchEngine(model, FP32).forward_backward(x, y)
    expected = cross_entropy(reference(x), y)
    expected.backward()
    assert torch.equal(loss, expected) and logits.shape == (4, 5)
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_torch_engine_smooths_labels(small_net):
    model, reference = small_net(), small_net()
    x, y = torch.randn(4, 3, 8, 8), torch.randint(5, (4,))
    loss, _ = TorchEngine(model, FP32, label_smoothing=0.2).forward_backward(x, y)
    log_p = reference(x).log_softmax(1)
    target = 0.8 * nn.functional.one_hot(y, 5) + 0.2 / 5
    expected = -(target * log_p).sum(1).mean()
    expected.backward()
    assert torch.allclose(loss, expected)
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6)


@pytest.mark.parametrize("microbatches", [2, 3, 7])
def test_microbatches_add_up_to_the_gradient_of_the_batch(microbatches):
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))

    model, reference = net(), net()
    x, y = torch.randn(7, 3, 8, 8), torch.randint(5, (7,))
    loss, logits = TorchEngine(model, FP32, 0.1, microbatches).forward_backward(x, y)
    expected, whole = TorchEngine(reference, FP32, 0.1).forward_backward(x, y)
    assert torch.allclose(loss, expected) and torch.allclose(logits, whole, atol=1e-6)
    assert loss.dim() == 0 and not loss.requires_grad
    for one, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_microbatches_normalise_by_their_own_images():
    norm = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    x = torch.tensor([0.0, 1.0, 10.0, 11.0]).reshape(4, 1, 1, 1)
    y = torch.zeros(4, dtype=torch.int64)
    _, logits = TorchEngine(norm, FP32, microbatches=2).forward_backward(x, y)
    assert torch.allclose(logits.view(-1), torch.tensor([-1.0, 1.0, -1.0, 1.0]), atol=1e-3)


def test_torch_engine_evaluates_in_eval_mode_and_restores_the_mode(small_net):
    model = small_net().train()
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    logits = TorchEngine(model, FP32).logits(torch.randn(4, 3, 8, 8))
    assert model.training and not logits.requires_grad
    assert all(torch.equal(buffers[name], b) for name, b in model.named_buffers())


class HoldingEngine(TorchEngine):
    """Keeps the model's buffers to itself between training steps, until `push_back_`."""

    def __init__(self, model: nn.Module, *settings):
        super().__init__(model, *settings)
        self.held = {}

    def forward_backward(self, images, labels, dense=True):
        stale = {name: b.clone() for name, b in self.model.named_buffers()}
        self.push_back_()
        result = super().forward_backward(images, labels)
        self.held = {name: b.clone() for name, b in self.model.named_buffers()}
        self._write(stale)
        return result

    def push_back_(self):
        self._write(self.held)
        self.held = {}

    @torch.no_grad()
    def _write(self, buffers):
        for name, buffer in self.model.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])


def test_engine_that_holds_buffers_trains_the_same_run(tmp_path, call, monkeypatch):
    command = [
        *("run", "methods/rigl.gin", "--set", "Run.epochs=2", "--set", "ResNet20.width=4"),
        *("--set", "Run.train_images=256"),
        *("--device", "cpu", "--tracking", "off", "--checkpoint-seconds", "0.001", "--quiet"),
    ]
    assert call(*command, "--runs", str(tmp_path / "torch"))[0] == 0
    monkeypatch.setattr(choose, "TorchEngine", HoldingEngine)
    assert call(*command, "--runs", str(tmp_path / "holding"))[0] == 0
    expected = killing.outcome(tmp_path / "torch")
    assert killing.same(expected, killing.outcome(tmp_path / "holding"))
