"""Scores of a network on labelled images: accuracy, loss, top-5 accuracy."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.models.precision import Autocast

Total = Callable[[Sequence[float]], Sequence[float]]  # sums here → sums over all processes


TOP = 5  # of so many highest logits, where there are more than twice as many classes


class Scores(NamedTuple):
    """What a network scores on some images: shares in percent, and the mean loss.

    top5: images whose class is among the five highest logits; None for ten classes or fewer.
    """

    accuracy: float
    loss: float
    top5: float | None


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    autocast: Autocast,
    total: Total = lambda sums: sums,
) -> Scores:
    """Scores on the batches, and on those that other processes have, in eval mode."""
    was_training = model.training
    model.eval()
    correct, among, loss, images, ranked = 0.0, 0.0, 0.0, 0, False
    for x, y in batches:
        with autocast():
            logits = model(x)
        ranked = logits.shape[1] > 2 * TOP
        loss += float(cross_entropy(logits.float(), y, reduction="sum"))
        correct += float((logits.argmax(1) == y).sum())
        if ranked:
            among += float((logits.topk(TOP).indices == y[:, None]).sum())
        images += len(y)
    model.train(was_training)
    correct, among, loss, count = total((correct, among, loss, images))
    return Scores(100 * correct / count, loss / count, 100 * among / count if ranked else None)
