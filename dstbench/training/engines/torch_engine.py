"""The engine that runs the torch model itself."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.models.precision import Autocast


class TorchEngine:
    """Runs the torch model and autograd; holds nothing beside the model.

    model: the network, on the device.
    autocast: makes the context in which its forward pass computes.
    """

    def __init__(self, model: nn.Module, autocast: Autocast):
        self.model, self.autocast = model, autocast

    def forward_backward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        with self.autocast():
            logits = self.model(images)
        loss = cross_entropy(logits.float(), labels)
        loss.backward()  # gradients are dense
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
