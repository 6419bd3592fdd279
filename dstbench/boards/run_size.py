"""How long a run is, from its configuration alone: images and steps of an epoch, epochs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dstbench.boards.numbers import is_count
from dstbench.config.resolved_text import read_resolved
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.splits import HELD_OUT, ITOP_SELECTS_ON_TEST


class Images(NamedTuple):
    """Numbers of images of a dataset that always has the same."""

    train: int
    test: int


KNOWN_IMAGES = {
    "digits": Images(1438, 359),
    "cifar10": Images(50_000, 10_000),
    "cifar100": Images(50_000, 10_000),
}


class RunSize(NamedTuple):
    """The length of a run.

    epochs: passes over the training images.
    images: training images of an epoch.
    steps: optimizer steps of an epoch.
    """

    epochs: int
    images: int
    steps: int


def run_size(record: Mapping[str, Any]) -> RunSize | None:
    """Return the length of a record's run; None where its dataset has an unknown number of images.

    record: whose configuration is without problems.
    """
    bindings = read_resolved(record["config"]["text"]).bindings
    epochs, batch_size, images = (
        bindings[f"Run.{name}"] for name in ("epochs", "batch_size", "train_images")
    )
    if images is None:
        images = _training_images(record)
    if not all(is_count(number) and number for number in (epochs, batch_size, images)):
        return None
    return RunSize(epochs, images, -(-images // batch_size))


def selects_on_test(record: Mapping[str, Any]) -> bool:
    """Return whether the record's protocol chooses the best epoch on the test images."""
    return record["protocol"] == "itop_compat" and record["dataset"] in ITOP_SELECTS_ON_TEST


def _training_images(record: Mapping[str, Any]) -> int | None:
    known, chosen = KNOWN_IMAGES.get(record["dataset"]), PROTOCOLS.get(record["protocol"])
    if known is None or chosen is None:
        return None
    keeps_all = not chosen.selects_epoch or selects_on_test(record)
    return known.train if keeps_all else known.train - known.train // HELD_OUT
