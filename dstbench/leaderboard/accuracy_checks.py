"""Checks the accuracies of a finished record: against its protocol, and as counts of images."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dstbench.data.protocols import PROTOCOLS
from dstbench.data.splits import HELD_OUT, ITOP_SELECTS_ON_TEST
from dstbench.errors import UserError
from dstbench.leaderboard.numbers import is_finite
from dstbench.records import predictions

_TEST = ("test_final", "test_at_best_val", "test_final_top5", "test_at_best_val_top5")
_VALIDATION = ("best_val", "val_final")
_ROUNDING = 1e-6  # of a number of images


class _Images(NamedTuple):
    """Numbers of images of a dataset that always has the same."""

    train: int
    test: int


_IMAGES = {
    "digits": _Images(1438, 359),
    "cifar10": _Images(50_000, 10_000),
    "cifar100": _Images(50_000, 10_000),
}


def accuracy_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each impossible accuracy of a finished record."""
    accuracy = record["accuracy"]
    for key in (*_TEST, *_VALIDATION):
        value = accuracy.get(key)
        if value is not None and (not is_finite(value) or not 0 <= value <= 100):
            yield f"accuracy.{key} is {value!r}, not a percentage"
            return
    for section, key in (("accuracy", "selected_on_test"), ("health", "collapsed")):
        if not isinstance(record[section].get(key), bool):
            yield f"{section}.{key} is {record[section].get(key)!r}, not true or false"
    yield from _protocol_problems(record)
    yield from _count_problems(record)


def _protocol_problems(record: Mapping[str, Any]) -> Iterator[str]:
    accuracy, name = record["accuracy"], record["protocol"]
    protocol = PROTOCOLS.get(name)
    if protocol is None:
        yield f"protocol is {name!r}; known: {', '.join(PROTOCOLS)}"
        return
    shown = accuracy["shown"]
    if shown != protocol.shown:
        yield f"accuracy.shown is {shown!r}; the protocol {name} shows {protocol.shown!r}"
    elif accuracy[shown] is None:
        yield f"has no accuracy to show: accuracy.{shown} is empty"
    if not protocol.selects_epoch:
        for key in ("test_at_best_val", "best_val", "best_epoch"):
            if accuracy[key] is not None:
                yield f"accuracy.{key} is {accuracy[key]!r}; the protocol {name} chooses no epoch"
    on_test = _selects_on_test(record)
    if accuracy["selected_on_test"] is not on_test:
        yield (
            f"accuracy.selected_on_test is {accuracy['selected_on_test']!r}; with the protocol "
            f"{name} on {record['dataset']} it is {on_test!r}"
        )


def _count_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each accuracy that is not k of n images."""
    known = _IMAGES.get(record["dataset"])
    stored = record.get("predictions")
    if stored is not None:
        try:
            predicted = [
                len(predictions.decode(stored[key], stored["classes"]))
                for key in ("test", "test_at_best_val")
                if key == "test" or key in stored
            ]
        except UserError as error:
            yield f"predictions: {error.message.rstrip('.')}"
            return
        except (KeyError, TypeError) as error:
            yield f"predictions are not complete ({error})"
            return
        tests = known.test if known else predicted[0]
        if set(predicted) != {tests}:
            yield f"predictions are of {predicted[0]:,} images; the test images are {tests:,}"
            return
    elif known:
        tests = known.test
    else:
        return
    counts = dict.fromkeys(_TEST, tests)
    if known:
        on_test = _selects_on_test(record) or record["protocol"] == "all_images"
        counts |= dict.fromkeys(_VALIDATION, tests if on_test else known.train // HELD_OUT)
    for key, images in counts.items():
        value = record["accuracy"].get(key)
        if value is not None and not _is_fraction(value, images):
            yield f"accuracy.{key} is {value!r}, which no number of {images:,} images gives"


def _selects_on_test(record: Mapping[str, Any]) -> bool:
    """Return whether the record's protocol chooses the best epoch on the test images."""
    return record["protocol"] == "itop_compat" and record["dataset"] in ITOP_SELECTS_ON_TEST


def _is_fraction(percent: float, images: int) -> bool:
    hits = percent * images / 100
    return abs(hits - round(hits)) < _ROUNDING
