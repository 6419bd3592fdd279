"""Evaluation protocols: how a run splits its data, and which test accuracy tables show.

A protocol is part of a run's identity: results under different protocols are never mixed. Splits
are made of the training images in the order in which a dataset is loaded; of CIFAR-10 and CIFAR-100
this is the order of the images' digests, whatever their container.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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


def validation_accuracy(record: Mapping[str, Any]) -> float | None:
    """Return the accuracy on validation images at the epoch that the protocol shows, in percent.

    None for a run that is not finished, and where the validation images are the test images.

    record: of a run.
    """
    accuracy, protocol = record["accuracy"], PROTOCOLS.get(record["protocol"])
    if protocol is None or not protocol.selects_epoch or accuracy.get("selected_on_test"):
        return None
    found: float | None = accuracy.get(
        "val_final" if protocol.shown == "test_final" else "best_val"
    )
    return found
