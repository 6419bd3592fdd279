"""Compares a record with a new forward pass of its network, within the noise of devices."""

from typing import Any

from dstbench.data.loaders import DataLoaders
from dstbench.recording.types import Record
from dstbench.training.engines.engine import Engine
from dstbench.training.evaluation import Scores, evaluate
from dstbench.training.settings import Run
from dstbench.verify.compare import ROUNDING
from dstbench.verify.noise import most_changed, most_gained
from dstbench.verify.outcome import Outcome


def compare_top5(record: Record, key: str, now: Scores, run: Run, outcome: Outcome) -> None:
    """Compare the top-5 accuracy with that of a new forward pass, within the noise of devices."""
    claimed: Any = record["accuracy"].get(f"{key}_top5")
    if (claimed is None) != (now.top5 is None):
        outcome.problems.append(f"accuracy.{key}_top5 is {claimed!r}, not {now.top5!r}")
    elif claimed is not None and now.top5 is not None:
        count = len(now.predicted)
        most = most_changed(run.precision, record["provenance"]["device"], count)
        if (claimed - now.top5) * count / 100 > most_gained(most, count) + ROUNDING:
            outcome.problems.append(
                f"accuracy.{key}_top5 is {claimed}; a new forward pass has {now.top5}"
            )


def images_evaluated(loaders: DataLoaders) -> int:
    """Return how many images a new forward pass evaluates."""
    split = loaders.split
    return len(loaders.dataset.test) + (0 if split.val_augmented else len(split.val))


def compare_validation(
    record: Record, engine: Engine, loaders: DataLoaders, run: Run, outcome: Outcome
) -> None:
    """Compare the final validation accuracy with that of a new forward pass.

    Augmented validation images, which differ between epochs, are not compared.
    """
    if loaders.split.val_augmented:
        return
    now, claimed = evaluate(engine, loaders.validation(0)), record["accuracy"]["val_final"]
    count = len(now.predicted)
    most = most_gained(most_changed(run.precision, record["provenance"]["device"], count), count)
    if (claimed - now.accuracy) * count / 100 > most + ROUNDING:
        outcome.problems.append(
            f"accuracy.val_final is {claimed}; a new forward pass has {now.accuracy:.2f}, and "
            f"noise explains at most {most} of {count:,} images"
        )


def compare_predictions(
    run: Run,
    device: str,
    scores: Scores,
    loaders: DataLoaders,
    predicted: list[int],
    outcome: Outcome,
) -> None:
    """Compare the predictions with those of a new forward pass on this machine.

    device: that made the predictions.
    scores: of the new forward pass.
    """
    now = scores.predicted.tolist()
    if len(now) != len(predicted):
        return  # the accuracy reports it
    changed = sum(a != b for a, b in zip(now, predicted, strict=True))
    outcome.changed = max(changed, outcome.changed or 0)
    labels = loaders.dataset.test.labels.tolist()
    right = [(a == y, b == y) for a, b, y in zip(predicted, now, labels, strict=True)]
    better = sum(one and not other for one, other in right)
    worse = sum(other and not one for one, other in right)
    most_better = most_gained(better + worse, len(now))
    if changed > (most := most_changed(run.precision, device, len(now))):
        outcome.problems.append(
            f"a new forward pass changes {changed} of {len(now):,} predictions; devices differ in "
            f"at most {most}"
        )
    elif better - worse > most_better:
        outcome.problems.append(
            f"a new forward pass changes {changed} of {len(now):,} predictions and has "
            f"{better - worse} fewer right ({better} lost, {worse} won); noise explains at most "
            f"{most_better}"
        )
