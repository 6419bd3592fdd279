"""Recomputes one record: its network's numbers, its accuracy, and its predictions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dstbench.boards.network_files import NetworkPlace, network_files, paths_of
from dstbench.boards.validation import inconsistencies
from dstbench.core.state import State
from dstbench.data.batch_plan import BatchPlan
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
from dstbench.verify.known_dataset import known_dataset
from dstbench.verify.labels import Labels
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
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
    if outcome.problems:
        outcome.recomputed = []
    return outcome


def _recompute(record: Record, outcome: Outcome, leaderboard: Path, images: Images) -> None:
    """Fill in the outcome. Raises NotRecomputable, and UserError for what differs."""
    run = configured_run(record)
    data = known_dataset(record, run, leaderboard, images)
    outcome.images = len(data.labels.test)
    if data.labels.dataset_sha256 != record["provenance"]["dataset_sha256"]:
        outcome.problems.append("provenance.dataset_sha256 is not that of the dataset")
    classes = record["predictions"]["classes"]
    begin = begun(run, data.shape, classes, data.total_steps(run))
    _compare_beginning(record, run, begin, leaderboard, outcome)
    for place, key, accuracy in _networks(record, outcome.path):
        stored: StoredNetwork = record[place.key]  # type: ignore[literal-required]
        content = read_network(stored, paths_of(outcome.path, place))
        state, training_only = rebuilt(run, data.shape, classes, content, outcome.path)
        final = place.key == "network"
        if final:
            outcome.problems += network_problems(record, state, training_only)
            outcome.problems += health_problems(record, state, data.labels.test)
            if data.plan is not None and run.start is None:
                _compare_training(record, run, begin, state, data.plan, outcome)
        else:
            outcome.problems += budget_problems(record, state)
        predicted = predictions.decode(record["predictions"][key], classes).tolist()
        if data.loaders is not None:
            evaluated = images_evaluated(data.loaders) * images.records  # kernels: compiled once
            engine = evaluation_engine(state, run.precision, evaluated)
            now = evaluate(engine, data.loaders.test())
            device = record["provenance"]["device"]
            compare_predictions(run, device, now, data.loaders, predicted, outcome)
            compare_top5(record, accuracy, now, run, outcome)
            if final:
                compare_validation(record, engine, data.loaders, run, outcome)
        _compare_accuracy(record, accuracy, predicted, data.labels, outcome)
    if "test_at_best_val" in record["predictions"] and "network_at_best_val" not in record:
        predicted = predictions.decode(record["predictions"]["test_at_best_val"], classes).tolist()
        _compare_accuracy(record, "test_at_best_val", predicted, data.labels, outcome)
    outcome.recomputed = ["network", "predictions"]
    if data.loaders is not None:
        outcome.recomputed.append("images")


def _compare_beginning(
    record: Record, run: Run, begin: State, leaderboard: Path, outcome: Outcome
) -> None:
    """Compare initial weights, layers that are not pruned, and what kind of method it is.

    begin: before the first masks.
    """
    if run.start is not None:
        outcome.notes.append(
            "initial weights, first masks and training FLOPs not comparable: it began with the "
            "network of another run, which the record does not carry"
        )
    else:
        problem, note = initial_weights_problem(record, begin)
        if note is not None:
            problem = repeated_weights_problem(record, run, begin, leaderboard)
            outcome.notes.append(note)
        outcome.problems += [problem] if problem else []
    outcome.problems += unpruned_problems(record, begin)
    if record.get("dense_to_sparse", False) is not run.method.dense_to_sparse:
        outcome.problems.append(
            f"dense_to_sparse is {record.get('dense_to_sparse', False)!r}; for its method it is "
            f"{run.method.dense_to_sparse!r}"
        )


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
