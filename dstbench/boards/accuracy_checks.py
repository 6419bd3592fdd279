"""Checks the accuracies of a finished record: against its protocol, and as counts of images."""

from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.boards.numbers import is_finite
from dstbench.boards.run_size import KNOWN_IMAGES, selects_on_test
from dstbench.data.protocols import PROTOCOLS
from dstbench.data.splits import HELD_OUT
from dstbench.errors import UserError
from dstbench.recording import predictions

_TEST = ("test_final", "test_at_best_val", "test_final_top5", "test_at_best_val_top5")
_VALIDATION = ("best_val", "val_final")
_FEW_CLASSES = 10  # up to so many, top-5 accuracy is not measured
_ROUNDING = 1e-6  # of a number of images


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
    yield from _order_problems(record)


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
    on_test = selects_on_test(record)
    if accuracy["selected_on_test"] is not on_test:
        yield (
            f"accuracy.selected_on_test is {accuracy['selected_on_test']!r}; with the protocol "
            f"{name} on {record['dataset']} it is {on_test!r}"
        )


def _count_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each accuracy that is not k of n images."""
    known = KNOWN_IMAGES.get(record["dataset"])
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
        protocol = PROTOCOLS.get(record["protocol"])
        on_test = selects_on_test(record)
        on_test |= protocol is not None and not protocol.selects_epoch  # it measures them only
        counts |= dict.fromkeys(_VALIDATION, tests if on_test else known.train // HELD_OUT)
    for key, images in counts.items():
        value = record["accuracy"].get(key)
        if value is not None and not _is_fraction(value, images):
            yield f"accuracy.{key} is {value!r}, which no number of {images:,} images gives"


def _order_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each accuracy that is below one that it cannot be below."""
    accuracy = record["accuracy"]
    classes = (record.get("predictions") or {}).get("classes")
    for name in ("test_final", "test_at_best_val"):
        top1, top5 = accuracy.get(name), accuracy.get(f"{name}_top5")
        if top5 is None:
            continue
        if isinstance(classes, int) and classes <= _FEW_CLASSES:
            yield f"accuracy.{name}_top5 is {top5!r}; with {classes} classes there is none"
        elif top1 is None or top5 < top1:
            yield f"accuracy.{name}_top5 is {top5!r}, below accuracy.{name}, {top1!r}"
    best, final = accuracy["best_val"], accuracy["val_final"]
    if best is not None and final is not None and best < final:
        yield f"accuracy.best_val is {best!r}, below accuracy.val_final, {final!r}"


def _is_fraction(percent: float, images: int) -> bool:
    hits = percent * images / 100
    return abs(hits - round(hits)) < _ROUNDING
