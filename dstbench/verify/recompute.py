"""Recomputes one record: its network's numbers, its accuracy, and its predictions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dstbench.boards.network_files import NetworkPlace, network_files, paths_of
from dstbench.boards.run_size import run_size
from dstbench.boards.validation import inconsistencies
from dstbench.boards.verified import Recomputed
from dstbench.core.state import State
from dstbench.data import datasets
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.datasets import load_images
from dstbench.data.images import Dataset
from dstbench.data.loaders import DataLoaders
from dstbench.errors import UserError
from dstbench.metrics.training_cost import dense_training_macs
from dstbench.recording import predictions
from dstbench.recording.record import read
from dstbench.recording.stored_network import read_network
from dstbench.recording.types import Record, StoredNetwork
from dstbench.training.engines.choose import evaluation_engine
from dstbench.training.engines.engine import Engine
from dstbench.training.evaluation import Scores, evaluate
from dstbench.training.run import data_loaders
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.verify.begin import begun, initial_weights_problem, repeated_weights_problem
from dstbench.verify.compare import (
    budget_problems,
    health_problems,
    network_problems,
    unpruned_problems,
)
from dstbench.verify.labels import Labels, test_labels
from dstbench.verify.noise import most_changed, most_gained
from dstbench.verify.rebuild import NotRecomputable, configured_run, rebuilt
from dstbench.verify.training_cost import training_flops, training_flops_problem

_ROUNDING = 1e-9  # of a percentage


@dataclass
class Outcome:
    """What recomputing a record gave.

    path: of the record.
    problems: what differs.
    recomputed: what was recomputed and agrees; empty for a self-reported record.
    reason: why nothing was recomputed.
    notes: what could not be compared, and why.
    changed: predictions that a new forward pass changed; None without images.
    images: number of test images.
    """

    path: Path
    problems: list[str] = field(default_factory=list)
    recomputed: list[Recomputed] = field(default_factory=list)
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    changed: int | None = None
    images: int = 0

    @property
    def line(self) -> str:
        """The outcome in one line."""
        if self.problems:
            return f"{self.path}: differs: {'; '.join(self.problems)}"
        if not self.recomputed:
            return f"{self.path}: self-reported: {self.reason}"
        text = f"{self.path}: recomputed: {', '.join(self.recomputed)}"
        if self.changed is not None:
            text += f" (a new forward pass changes {self.changed} of {self.images:,} predictions)"
        return "; ".join([text, *self.notes])


class Images:
    """Test images of the datasets that are on this machine, loaded once.

    records: how many records will be recomputed with them.
    """

    def __init__(self, data_root: Path | None, cache: Path | None, records: int = 1):
        self.data_root, self.cache, self.records = data_root, cache, records
        self._known: dict[tuple[str, bool, int | None], Dataset[Any] | None] = {}

    def loaders(self, run: Run) -> DataLoaders | None:
        """Return the loaders of a run; None where its dataset is not on this machine."""
        key = run.dataset, run.pipeline.decoded, run.pipeline.scaled_to
        if key not in self._known:
            try:
                self._known[key] = load_images(
                    run.dataset, run.pipeline, self.data_root, self.cache
                )
            except UserError:
                self._known[key] = None
        dataset = self._known[key]
        if dataset is None:
            return None
        return data_loaders(run, dataset, RuntimeOptions())


def recompute(path: Path, leaderboard: Path, images: Images) -> Outcome:
    """Return what recomputing the record in a file gives.

    path: of the record.
    leaderboard: folder with the labels.
    images: datasets of this machine.

    Raises UserError for a file that is no record.
    """
    record, outcome = read(path), Outcome(path)
    outcome.problems += inconsistencies(record)
    if outcome.problems:
        return outcome
    if record["status"] != "finished":
        outcome.reason = f"its status is {record['status']}"
    elif missing := [key for key in ("network", "predictions") if key not in record]:
        outcome.reason = f"it carries no {' and no '.join(missing)}"
    else:
        try:
            _recompute(record, outcome, leaderboard, images)
        except NotRecomputable as error:
            outcome.reason = str(error)
        except UserError as error:
            outcome.problems.append(error.message)
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
    if outcome.problems:
        outcome.recomputed = []
    return outcome


def _recompute(record: Record, outcome: Outcome, leaderboard: Path, images: Images) -> None:
    """Fill in the outcome. Raises NotRecomputable, and UserError for what differs."""
    run = configured_run(record)
    loaders = images.loaders(run)
    labels = test_labels(record["dataset"], leaderboard)
    if loaders is not None:
        found = Labels(loaders.dataset.test.labels.tolist(), loaders.dataset.sha256)
        if labels is not None and found != labels:
            raise NotRecomputable(f"the images of {run.dataset} here are not the known ones")
        labels = found
    if labels is None:
        raise NotRecomputable(f"neither images nor labels of {run.dataset} are on this machine")
    if labels.dataset_sha256 != record["provenance"]["dataset_sha256"]:
        outcome.problems.append("provenance.dataset_sha256 is not that of the dataset")
    classes = record["predictions"]["classes"]
    if loaders is not None:
        shape = loaders.image_shape
    elif run.dataset in datasets.KNOWN:
        shape = datasets.KNOWN[run.dataset].image
    else:
        raise NotRecomputable(f"the shape of {run.dataset}'s images is not known")
    outcome.images = len(labels.test)
    plan = _plan_of(run, record, loaders)
    total_steps = run.epochs * (plan.steps_per_epoch if plan else 1)
    begin = begun(run, shape, classes, total_steps)
    if run.start is not None:
        outcome.notes.append(
            "initial weights, first masks and training FLOPs not comparable: it began with the "
            "network of another run, which the record does not carry"
        )
    else:
        problem, note = initial_weights_problem(record, begin)
        if note is not None:
            problem = repeated_weights_problem(record, run, begin, total_steps, leaderboard)
            outcome.notes.append(note)
        outcome.problems += [problem] if problem else []
    outcome.problems += unpruned_problems(record, begin)
    if record.get("dense_to_sparse", False) is not run.method.dense_to_sparse:
        outcome.problems.append(
            f"dense_to_sparse is {record.get('dense_to_sparse', False)!r}; for its method it is "
            f"{run.method.dense_to_sparse!r}"
        )
    for place, key, accuracy in _networks(record, outcome.path):
        stored: StoredNetwork = record[place.key]  # type: ignore[literal-required]
        content = read_network(stored, paths_of(outcome.path, place))
        state, training_only = rebuilt(run, shape, classes, content, outcome.path)
        final = place.key == "network"
        outcome.problems += (
            network_problems(record, state, training_only)
            if final
            else budget_problems(record, state)
        )
        if final:
            outcome.problems += health_problems(record, state, labels.test)
            if plan is not None and run.start is None:
                _compare_training(record, run, begin, state, plan, outcome)
        predicted = predictions.decode(record["predictions"][key], classes).tolist()
        if loaders is not None:
            device = record["provenance"]["device"]
            evaluated = _evaluated(loaders) * images.records  # by kernels that are compiled once
            engine = evaluation_engine(state, run.precision, evaluated)
            now = evaluate(engine, loaders.test())
            _compare_forward(run, device, now, loaders, predicted, outcome)
            _compare_top5(record, accuracy, now, run, outcome)
            if final:
                _compare_validation(record, engine, loaders, run, outcome)
        _compare_accuracy(record, accuracy, predicted, labels, outcome)
    if "test_at_best_val" in record["predictions"] and "network_at_best_val" not in record:
        predicted = predictions.decode(record["predictions"]["test_at_best_val"], classes).tolist()
        _compare_accuracy(record, "test_at_best_val", predicted, labels, outcome)
    outcome.recomputed = ["network", "predictions"]
    if loaders is not None:
        outcome.recomputed.append("images")


def _networks(
    record: Record, path: Path
) -> Iterator[tuple[NetworkPlace, Literal["test", "test_at_best_val"], str]]:
    """Yield each network's place, its predictions and the name of its accuracy."""
    final, best = network_files(path.stem)
    yield final, "test", "test_final"
    if record["accuracy"]["shown"] == "test_at_best_val":
        if best.key not in record or "test_at_best_val" not in record["predictions"]:
            raise NotRecomputable("it carries no network of the epoch that it shows")
        yield best, "test_at_best_val", "test_at_best_val"


def _compare_accuracy(
    record: Record, key: str, predicted: list[int], labels: Labels, outcome: Outcome
) -> None:
    if len(predicted) != len(labels.test):
        outcome.problems.append(f"{len(predicted)} predictions for {len(labels.test)} test images")
        return
    found = predictions.accuracy(predicted, labels.test)
    claimed = record["accuracy"][key]  # type: ignore[literal-required]
    if claimed is None or abs(found - claimed) > _ROUNDING:
        outcome.problems.append(f"accuracy.{key} is {claimed}, but its predictions give {found}")


def _plan_of(run: Run, record: Record, loaders: DataLoaders | None) -> BatchPlan | None:
    """Return the batches of an epoch; None where the number of training images is not known."""
    if loaders is not None:
        return loaders.training.plan
    size = run_size(record)
    return None if size is None else BatchPlan(size.images, run.batch_size)


def _compare_training(
    record: Record,
    run: Run,
    begin: State,
    final: State,
    plan: BatchPlan,
    outcome: Outcome,
) -> None:
    """Compare the training FLOPs.

    begin: before the first masks. final: with the finished network.
    """
    limits = training_flops(run, begin, final, plan)
    if problem := training_flops_problem(record, limits):
        outcome.problems.append(problem)
    dense = 2 * dense_training_macs(record["cost"]["dense_macs"], run.epochs * plan.count)
    if record["cost"].get("dense_training_flops", dense) != dense:
        outcome.problems.append(
            f"cost.dense_training_flops is {record['cost']['dense_training_flops']}, not {dense}"
        )


def _compare_top5(record: Record, key: str, now: Scores, run: Run, outcome: Outcome) -> None:
    """Compare the top-5 accuracy with that of a new forward pass, within the noise of devices."""
    claimed: Any = record["accuracy"].get(f"{key}_top5")
    if (claimed is None) != (now.top5 is None):
        outcome.problems.append(f"accuracy.{key}_top5 is {claimed!r}, not {now.top5!r}")
    elif claimed is not None and now.top5 is not None:
        count = len(now.predicted)
        most = most_changed(run.precision, record["provenance"]["device"], count)
        if (claimed - now.top5) * count / 100 > most_gained(most, count) + _ROUNDING:
            outcome.problems.append(
                f"accuracy.{key}_top5 is {claimed}; a new forward pass has {now.top5}"
            )


def _evaluated(loaders: DataLoaders) -> int:
    """Return how many images a new forward pass evaluates."""
    split = loaders.split
    return len(loaders.dataset.test) + (0 if split.val_augmented else len(split.val))


def _compare_validation(
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
    if (claimed - now.accuracy) * count / 100 > most + _ROUNDING:
        outcome.problems.append(
            f"accuracy.val_final is {claimed}; a new forward pass has {now.accuracy:.2f}, and "
            f"noise explains at most {most} of {count:,} images"
        )


def _compare_forward(
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
