"""The engine that runs the torch model itself."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.models.precision import Autocast
from dstbench.recording.types import EngineName


class TorchEngine:
    """Runs the torch model and autograd; holds nothing beside the model.

    model: the network, on the device.
    autocast: makes the context in which its forward pass computes.
    """

    name: EngineName = "torch"

    def __init__(self, model: nn.Module, autocast: Autocast):
        self.model, self.autocast = model, autocast
        self.steps = {"torch": 0}

    def forward_backward(
        self, images: Tensor, labels: Tensor, dense: bool = True
    ) -> tuple[Tensor, Tensor]:
        with self.autocast():
            logits = self.model(images)
        loss = cross_entropy(logits.float(), labels)
        self.steps["torch"] += 1
        loss.backward()  # gradients are always dense
        return loss, logits

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        was_training = self.model.training
        self.model.eval()
        try:
            with self.autocast():
                return self.model(images)
        finally:
            self.model.train(was_training)

    def push_back_(self) -> None:
        pass
