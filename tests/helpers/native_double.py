"""A NativeNetwork for tests: torch computes, live gradients alone are handed out."""

import torch
from torch.nn.functional import cross_entropy

from dstbench.core.masks import live_gradient
from dstbench.graph.unsupported import Unsupported


class NativeDouble:
    """Behaves as NativeNetwork does towards its users; a missed recompile or push is an error.

    Between two steps it keeps the buffers to itself, so that the model's are stale.
    """

    def __init__(self, model, masks, image_shape, threads=1):
        self.model, self.masks = model, masks
        self.held, self.compiles = None, 0
        self.compile_()

    def compile_(self):
        assert self.held is None, "compiled before push_back_"
        for module in self.model.modules():
            if hasattr(module, "refused"):
                raise Unsupported(f"{type(module).__name__} is not supported.")
        self.version, self.compiles = self.masks.version, self.compiles + 1

    def remask_(self):
        self.compile_()

    def forward_backward(self, images, labels, label_smoothing=0.0):
        assert self.version == self.masks.version, "masks moved since the last compile_"
        assert all(p.grad is None for p in self.model.parameters())
        stale = self._buffers()
        self.push_back_()
        with torch.enable_grad():
            logits = self.model(images)
            loss = cross_entropy(logits, labels, label_smoothing=label_smoothing)
            loss.backward()
        for name in self.masks:
            gradient = live_gradient(self.masks, name)
            self.masks.parameters[name].grad = None
            if gradient is not None:
                self.masks.live_gradients[name] = gradient.clone()
        held = self._buffers()
        self._write(stale)
        self.held = held
        return loss.detach(), logits.detach()

    @torch.no_grad()
    def logits(self, images):
        assert self.version == self.masks.version, "masks moved since the last compile_"
        stale, held = self._buffers(), self.held
        self.push_back_()
        training = self.model.training
        logits = self.model.eval()(images)
        self.model.train(training)
        self._write(stale)
        self.held = held
        return logits

    def push_back_(self):
        if self.held is not None:
            self._write(self.held)
        self.held = None

    def _buffers(self):
        """Return what training steps change: running averages and their counters."""
        found = self.model.named_buffers()
        return {name: b.clone() for name, b in found if "running_" in name or "num_b" in name}

    @torch.no_grad()
    def _write(self, buffers):
        found = dict(self.model.named_buffers())
        for name, value in buffers.items():
            found[name].copy_(value)
