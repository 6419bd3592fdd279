"""Recomputes one record: its network's numbers, its accuracy, and its predictions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dstbench.boards.network_files import NetworkPlace, network_files, paths_of
from dstbench.boards.run_size import run_size
from dstbench.boards.validation import inconsistencies
from dstbench.core.state import State
from dstbench.data import datasets
from dstbench.data.batch_plan import BatchPlan
from dstbench.data.loaders import DataLoaders
from dstbench.errors import UserError
from dstbench.metrics.training_cost import dense_training_macs
from dstbench.recording import predictions
from dstbench.recording.record import read
from dstbench.recording.stored_network import read_network
from dstbench.recording.types import Record, StoredNetwork
from dstbench.training.engines.choose import evaluation_engine
from dstbench.training.evaluation import evaluate
from dstbench.training.settings import Run
from dstbench.verify.begin import begun, initial_weights_problem, repeated_weights_problem
from dstbench.verify.compare import (
    ROUNDING,
    budget_problems,
    health_problems,
    network_problems,
    unpruned_problems,
)
from dstbench.verify.forward_pass import (
    compare_predictions,
    compare_top5,
    compare_validation,
    images_evaluated,
)
from dstbench.verify.images import Images
from dstbench.verify.labels import Labels, test_labels
from dstbench.verify.outcome import Outcome
from dstbench.verify.rebuild import NotRecomputable, configured_run, rebuilt
from dstbench.verify.training_cost import training_flops, training_flops_problem


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
            evaluated = images_evaluated(loaders) * images.records  # kernels are compiled once
            engine = evaluation_engine(state, run.precision, evaluated)
            now = evaluate(engine, loaders.test())
            compare_predictions(run, device, now, loaders, predicted, outcome)
            compare_top5(record, accuracy, now, run, outcome)
            if final:
                compare_validation(record, engine, loaders, run, outcome)
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
    if claimed is None or abs(found - claimed) > ROUNDING:
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
