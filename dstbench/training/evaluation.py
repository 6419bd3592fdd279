"""Scores of a network on labelled images: accuracy, loss, top-5 accuracy."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from dstbench.training.engines.engine import Engine
from dstbench.training.epoch_meters import AllReduceSum

TOP = 5  # of so many highest logits, where there are more than twice as many classes


class Scores(NamedTuple):
    """Scores of a network on some images.

    accuracy: percent of the images whose class has the highest logit.
    loss: mean cross-entropy.
    top5: percent of the images whose class is among the five highest logits; None for ten classes
        or fewer.
    predicted: int64 (n,), the class with the highest logit for each image of this process.
    """

    accuracy: float
    loss: float
    top5: float | None
    predicted: np.ndarray


def evaluate(
    engine: Engine,
    batches: Iterable[tuple[Tensor, Tensor]],
    all_reduce_sum: AllReduceSum = lambda sums: sums,
) -> Scores:
    """Return the scores, in evaluation mode, on the batches of all processes together.

    batches: this process's images (B, C, H, W) and labels int64 (B,).
    """
    correct, among, loss, images, ranked = 0.0, 0.0, 0.0, 0, False
    predicted = [torch.empty(0, dtype=torch.int64)]
    for x, y in batches:
        logits = engine.logits(x)
        ranked = logits.shape[1] > 2 * TOP
        loss += float(cross_entropy(logits.float(), y, reduction="sum"))
        classes = logits.argmax(1)
        predicted.append(classes.cpu())
        correct += float((classes == y).sum())
        if ranked:
            among += float((logits.topk(TOP).indices == y[:, None]).sum())
        images += len(y)
    correct, among, loss, count = all_reduce_sum((correct, among, loss, images))
    top5 = 100 * among / count if ranked else None
    return Scores(100 * correct / count, loss / count, top5, torch.cat(predicted).numpy())
