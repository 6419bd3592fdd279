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
    label_smoothing: share of the target that is divided among all classes, in [0, 1).
    microbatches: parts in which a batch is computed, one after another.
    """

    name: EngineName = "torch"

    def __init__(
        self,
        model: nn.Module,
        autocast: Autocast,
        label_smoothing: float = 0.0,
        microbatches: int = 1,
    ):
        self.model, self.autocast = model, autocast
        self.label_smoothing, self.microbatches = label_smoothing, microbatches
        self.steps = {"torch": 0}

    def forward_backward(
        self, images: Tensor, labels: Tensor, dense: bool = True
    ) -> tuple[Tensor, Tensor]:
        count = min(self.microbatches, len(images))
        parts = zip(images.tensor_split(count), labels.tensor_split(count), strict=True)
        results = [self._accumulate(x, y, len(x) / len(images)) for x, y in parts]
        self.steps["torch"] += 1
        if len(results) == 1:
            return results[0]
        losses, logits = zip(*results, strict=True)
        return torch.stack(losses).sum(), torch.cat(logits)

    def _accumulate(self, images: Tensor, labels: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Add a part's gradients, which are always dense; return (its share of the loss, logits).

        share: of the batch's images, the part's.
        """
        with self.autocast():
            logits = self.model(images)
        loss = cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        loss = loss * share if share < 1 else loss
        loss.backward()
        return loss.detach(), logits.detach()

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
