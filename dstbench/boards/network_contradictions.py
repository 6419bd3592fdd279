"""Checks that the accuracies of a finished record are those of the network that it describes."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dstbench.boards.numbers import is_finite
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.recording.configuration import epochs_of
from dstbench.sparsity import percent

_STANDARD_ERRORS = 5  # above chance, that an accuracy without live paths may be


def network_contradictions(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each accuracy that the described network cannot have.

    record: finished, with valid accuracies and sparsities.
    """
    yield from _last_epoch_problem(record)
    yield from _no_path_problem(record)


def _last_epoch_problem(record: Mapping[str, Any]) -> Iterator[str]:
    """The network of the last epoch is the final one, so that both have one test accuracy.

    A method whose `finish` changes what the network computes declares a `final_structure_step`
    after the last step, and then no epoch is the best one.
    """
    accuracy = record["accuracy"]
    best, at_best, final = (accuracy[k] for k in ("best_epoch", "test_at_best_val", "test_final"))
    epochs = epochs_of(record["config"]["text"])
    if epochs is not None and best == epochs and at_best is not None and at_best != final:
        yield (
            f"accuracy.best_epoch is {best}, the last one, but accuracy.test_at_best_val is "
            f"{at_best!r} and accuracy.test_final {final!r}: they are of one network"
        )


def _no_path_problem(record: Mapping[str, Any]) -> Iterator[str]:
    """Without a path from the input to the logits, each image has the same class."""
    effective, final = record["sparsity"]["effective"], record["accuracy"]["test_final"]
    stored = record.get("predictions")
    if effective != 1 or not is_finite(final) or not isinstance(stored, Mapping):
        return
    try:
        predicted = predictions.decode(stored["test"], stored["classes"])
    except (UserError, KeyError, TypeError):
        return  # accuracy_checks.py reports it
    classes = {*predicted}
    p = 1 / max(2, stored["classes"])
    chance = p + _STANDARD_ERRORS * math.sqrt(p * (1 - p) / max(1, len(predicted)))
    if len(classes) > 1 and final / 100 > chance:
        yield (
            f"sparsity.effective is {percent(effective)}, so that no input reaches a logit, but "
            f"accuracy.test_final is {final!r} with {len(classes)} different predictions"
        )
