"""Loss and accuracy of an epoch, summed on the device."""

import torch
from torch import Tensor

from dstbench.records.types import TrainMeters
from dstbench.training.evaluation import Total

METERS = ("train/loss", "train/correct", "train/images", "train/not_finite")


@torch.no_grad()
def add_to_meters_(memory: dict[str, Tensor], loss: Tensor, logits: Tensor, y: Tensor) -> None:
    """Add one batch to the epoch's sums, on the device."""
    if "train/loss" not in memory:
        for name in METERS:
            memory[name] = torch.zeros((), device=loss.device, dtype=torch.float64)
    memory["train/loss"] += loss.detach() * len(y)
    memory["train/correct"] += (logits.argmax(1) == y).sum()
    memory["train/images"] += len(y)
    memory["train/not_finite"] += ~torch.isfinite(loss)


def read_meters_(memory: dict[str, Tensor]) -> TrainMeters:
    """The epoch's mean loss and accuracy (percent); the sums start again from zero."""
    images = float(memory["train/images"])
    result: TrainMeters = {
        "train_loss": float(memory["train/loss"]) / images,
        "train_accuracy": 100 * float(memory["train/correct"]) / images,
    }
    clear_meters_(memory)
    return result


def clear_meters_(memory: dict[str, Tensor]) -> None:
    """Start the epoch's sums again from zero; a loss that was not finite stays noted."""
    for name in ("train/loss", "train/correct", "train/images"):
        memory[name].zero_()


def pool_meters_(memory: dict[str, Tensor], total: Total) -> None:
    """Make the sums those of all processes."""
    if "train/loss" in memory:
        sums = total([float(memory[name]) for name in METERS])
        for name, value in zip(METERS, sums, strict=True):
            memory[name].fill_(value)
