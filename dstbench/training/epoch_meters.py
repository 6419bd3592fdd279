"""Loss and accuracy of an epoch, summed on the device."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dstbench.recording.types import TrainMeters

AllReduceSum = Callable[[Sequence[float]], Sequence[float]]  # sums here → sums of all processes

_EPOCH = ("train/loss", "train/correct", "train/images")  # since the epoch began
_NOT_FINITE = "train/not_finite"  # losses since the run began
_ALL = (*_EPOCH, _NOT_FINITE)


class Meters:
    """Sums over the training images of an epoch: loss, correct answers, images.

    memory: the State's named tensors, which hold the sums (float64 scalars on the device), so that
        they are part of a checkpoint. They are created by the first batch.
    """

    def __init__(self, memory: dict[str, Tensor]):
        self.memory = memory

    @property
    def _started(self) -> bool:
        return _NOT_FINITE in self.memory

    @torch.no_grad()
    def add_(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one batch. Does not wait for the device.

        loss: mean over the batch, a scalar.
        logits: (B, classes).
        labels: int64 (B,).
        """
        memory = self.memory
        if not self._started:
            for name in _ALL:
                memory[name] = torch.zeros((), device=loss.device, dtype=torch.float64)
        memory["train/loss"] += loss.detach() * len(labels)
        memory["train/correct"] += (logits.argmax(1) == labels).sum()
        memory["train/images"] += len(labels)
        memory[_NOT_FINITE] += ~torch.isfinite(loss)

    def read_and_reset_(self) -> TrainMeters:
        """Return the epoch's mean loss and its accuracy in percent; the sums restart at zero."""
        images = float(self.memory["train/images"])
        means: TrainMeters = {
            "train_loss": float(self.memory["train/loss"]) / images,
            "train_accuracy": 100 * float(self.memory["train/correct"]) / images,
        }
        self.reset_()
        return means

    def reset_(self) -> None:
        """Restart the epoch's sums at zero; the count of losses that were not finite is kept."""
        if self._started:
            for name in _EPOCH:
                self.memory[name].zero_()

    def all_reduce_(self, all_reduce_sum: AllReduceSum) -> None:
        """Replace the sums by those of all processes."""
        if self._started:
            sums = all_reduce_sum([float(self.memory[name]) for name in _ALL])
            for name, value in zip(_ALL, sums, strict=True):
                self.memory[name].fill_(value)

    def any_loss_not_finite(self) -> bool:
        """Return whether a loss since the run began was NaN or infinite. Waits for the device."""
        return self._started and float(self.memory[_NOT_FINITE]) > 0
