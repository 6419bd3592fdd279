"""Finds one network under several seeds: a seed decides weights, order and augmentation.

Two networks that were trained with different seeds share neither their tensors nor their mistakes.
Their initial weights may be equal, as with DCTpS, whose weights begin at zero.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np

from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.recording.types import Record

T = TypeVar("T")
Group = tuple[tuple[T, ...], str]

# Predictions are compared where both networks predict at least so many images outside the class
# that they predict most, and are wrong on so many: collapsed networks may all predict one class,
# and nearly perfect ones may honestly agree.
_FEWEST = 50
# Two networks of different seeds disagree on most of the images on which either is wrong: on
# CIFAR-10, on about as many as one of them has wrong. Below this fraction of the wrong ones it is
# one network, with some predictions changed.
_DISAGREEMENT = 0.1


def same_networks(records: list[tuple[T, Record]]) -> Iterator[Group[T]]:
    """Yield groups of records that have one network under several seeds, with a message.

    records: each with its key, such as its path; without inconsistencies.

    Equal under one seed is honest: a run may be repeated, and settings may have no effect.
    """
    for place in ("network", "network_at_best_val"):
        yield from _equal(records, place)
    yield from _agreeing(records)


def _equal(records: list[tuple[T, Record]], place: str) -> Iterator[Group[T]]:
    """Yield the records of several seeds that have one network at a place of the record."""
    holders: dict[str, list[tuple[T, int]]] = defaultdict(list)
    for key, record in records:
        stored: Any = record.get(place)
        sha256 = stored.get("sha256") if isinstance(stored, dict) else None
        if isinstance(sha256, str):
            holders[sha256].append((key, record["seed"]))
    for sha256, found in holders.items():
        if len({seed for _, seed in found}) > 1:
            message = f"have the same {place}, sha256 {sha256[:12]}…, {_under(found)}"
            yield tuple(key for key, _ in found), message


def _under(found: list[tuple[T, int]]) -> str:
    """Return the names of records, with their seeds."""
    named = (f"{getattr(key, 'stem', key)} (seed {seed})" for key, seed in found)
    return f"under different seeds: {' and '.join(named)}: train each seed by itself"


class _Predicted(NamedTuple):
    """What a record's network predicts.

    classes: uint8 or uint16 (n,), of the test images.
    wrong: number of images on which it is wrong.
    """

    classes: np.ndarray
    wrong: int


def _agreeing(records: list[tuple[T, Record]]) -> Iterator[Group[T]]:
    """Yield pairs of records of different seeds whose predictions are nearly all equal."""
    comparable: dict[str, list[tuple[T, int, _Predicted]]] = defaultdict(list)
    for key, record in records:
        if (predicted := _predicted(record)) is not None:
            images = [record["dataset"], record["provenance"]["dataset_sha256"]]
            comparable[json.dumps(images)].append((key, record["seed"], predicted))
    for group in comparable.values():
        for (one, seed, a), (other, other_seed, b) in itertools.combinations(group, 2):
            if seed == other_seed or len(a.classes) != len(b.classes):
                continue
            differ = int(np.count_nonzero(a.classes != b.classes))
            if differ <= _DISAGREEMENT * min(a.wrong, b.wrong):
                yield (
                    (one, other),
                    f"have the same predictions but for {differ} of {len(a.classes):,} images, "
                    f"{_under([(one, seed), (other, other_seed)])}",
                )


def _predicted(record: Record) -> _Predicted | None:
    """Return the predictions of the final network; None where they are not to be compared."""
    stored = record.get("predictions")
    if stored is None or record["status"] != "finished":
        return None
    try:
        classes = np.array(predictions.decode(stored["test"], stored["classes"]))
    except UserError:
        return None
    if not len(classes) or record["health"]["collapsed"]:
        return None
    outside = len(classes) - int(np.bincount(classes).max())
    wrong = round((1 - record["accuracy"]["test_final"] / 100) * len(classes))
    return None if min(outside, wrong) < _FEWEST else _Predicted(classes, wrong)
