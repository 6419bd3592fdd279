"""Checks the reduced curves of a run, and those of a finished one against its record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dstbench.boards.numbers import is_finite
from dstbench.boards.reduce_curves import read_reduced
from dstbench.errors import UserError
from dstbench.recording.configuration import epochs_of

_DIGITS = 1e-5  # curves keep six significant digits


def curve_problems(record: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Yield a message for each contradiction between a record and its curves, or within these.

    record: without inconsistencies.
    path: of the reduced curves; nothing is checked where there is no such file.
    """
    try:
        curves = read_reduced(path)
    except UserError as error:
        reason = error.message.removeprefix(f"{path}: ").removesuffix(".")
        yield f"{path.parent.name}/{path.name} {reason}"
        return
    if curves is None or record["status"] != "finished":
        return
    accuracies, sparsities = curves.get("val_accuracy", []), curves.get("sparsity", [])
    epochs = epochs_of(record["config"]["text"])
    if epochs and len(accuracies) != epochs:
        yield f"its curves have {len(accuracies)} epochs; its configuration has {epochs}"
        return
    if not accuracies or len(accuracies) != len(sparsities):
        yield (
            f"its curves have val_accuracy of {len(accuracies)} epochs and sparsity of "
            f"{len(sparsities)}"
        )
        return
    accuracy, best = record["accuracy"], record["accuracy"]["best_epoch"]
    pairs: list[tuple[str, Any, Any]] = [
        ("accuracy.val_final", accuracy["val_final"], accuracies[-1]),
        ("sparsity.measured", record["sparsity"]["measured"], sparsities[-1]),
    ]
    if best is not None:
        if not isinstance(best, int) or not 1 <= best <= len(accuracies):
            yield f"accuracy.best_epoch is {best!r}; its curves have {len(accuracies)} epochs"
            return
        pairs.append(("accuracy.best_val", accuracy["best_val"], accuracies[best - 1]))
        if best == len(accuracies) and accuracy["best_val"] != accuracy["val_final"]:
            yield (
                f"accuracy.best_val is {accuracy['best_val']!r} and accuracy.val_final "
                f"{accuracy['val_final']!r}; both are of epoch {best}"
            )
    for name, recorded, drawn in pairs:
        if not (is_finite(recorded) and is_finite(drawn) and _agree(recorded, drawn)):
            yield f"{name} is {recorded!r}; its curves have {drawn!r}"


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= _DIGITS * max(1.0, abs(one))
