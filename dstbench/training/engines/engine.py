"""The interface between the training loop and what computes forward and backward passes."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from dstbench.recording.types import EngineName


class Engine(Protocol):
    """Computes losses, gradients and logits of one torch model.

    The torch model is the only state of a run: optimizers, parts, checkpoints and measurements read
    and write its parameters and buffers, and know no engine. So an engine reads the parameters anew
    at every call. What it may hold between two training steps is a copy of buffers that only
    training steps change, such as batch norm's running averages; `push_back_` returns them to the
    model, and afterwards the engine holds nothing.

    name: as a record has it.
    """

    name: EngineName

    @property
    def steps(self) -> Mapping[str, int]:
        """The training steps computed so far: 'torch' and 'native' → number."""

    def forward_backward(
        self, images: Tensor, labels: Tensor, dense: bool
    ) -> tuple[Tensor, Tensor]:
        """Return (loss, logits) of a training batch and set the gradients of the loss.

        images: float32 (B, C, H, W) on the device.
        labels: int64 (B,) on the device.
        dense: whether the gradients of dead weights are needed.

        loss is the mean cross-entropy with the run's smoothing of labels, a float32 scalar; logits
        are (B, classes). Neither is attached to a graph. The model is in
        training mode and its `.grad`s are None; afterwards each parameter that requires a gradient
        has its dense one there. Without `dense`, an engine may instead set the gradients of live
        weights in `masks.live_gradients`, for all masked tensors that require a gradient; their
        `.grad`s stay None. Does not wait for the device.
        """

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, C, H, W) in evaluation mode."""

    def push_back_(self) -> None:
        """Write everything the engine holds into the torch model.

        Called before the model's buffers are read or written by anything else: at the end of an
        epoch and before a checkpoint.
        """
