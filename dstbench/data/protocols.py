"""Evaluation protocols: how a run splits its data, and which test accuracy tables show.

A protocol is part of a run's identity: results under different protocols are never mixed. Splits
are made of the training images in the order in which a dataset is loaded; of CIFAR-10 and CIFAR-100
this is the order of the images' digests, whatever their container.
"""

from dataclasses import dataclass
from typing import Literal

from dstbench.data.splits import Divide, all_images, itop_split, random_tenth


@dataclass(frozen=True)
class Protocol:
    """One evaluation protocol.

    name: the value of Run.protocol.
    shown: the accuracy that tables show: after the last epoch, or at the best validation accuracy.
    divide: (dataset, split_seed) → Split.
    selects_epoch: whether the best epoch by validation accuracy is kept and tested.
    """

    name: str
    shown: Literal["test_final", "test_at_best_val"]
    divide: Divide
    selects_epoch: bool = True


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("strict", "test_final", random_tenth),
        Protocol("paper", "test_at_best_val", random_tenth),
        Protocol("itop_compat", "test_at_best_val", itop_split),
        Protocol("all_images", "test_final", all_images, selects_epoch=False),
    )
}
