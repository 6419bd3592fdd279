"""Recomputes one record: its network's numbers, its accuracy, and its predictions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from dstbench.core.state import State
from dstbench.data import datasets
from dstbench.data.images import Dataset
from dstbench.data.loaders import DataLoaders
from dstbench.errors import UserError
from dstbench.leaderboard.network_files import NetworkPlace, network_files, paths_of
from dstbench.leaderboard.validation import inconsistencies
from dstbench.leaderboard.verified import Recomputed
from dstbench.models.precision import autocast_for
from dstbench.records import predictions
from dstbench.records.record import read
from dstbench.records.stored_network import read_network
from dstbench.records.types import Record, StoredNetwork
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.evaluation import evaluate
from dstbench.training.run import data_loaders, load_images
from dstbench.training.runtime_options import RuntimeOptions
from dstbench.training.settings import Run
from dstbench.verify.compare import budget_problems, network_problems
from dstbench.verify.labels import Labels, test_labels
from dstbench.verify.noise import most_changed, most_gained
from dstbench.verify.rebuild import NotRecomputable, configured_run, rebuilt

_ROUNDING = 1e-9  # of a percentage


@dataclass
class Outcome:
    """What recomputing a record gave.

    path: of the record.
    problems: what differs.
    recomputed: what was recomputed and agrees; empty for a self-reported record.
    reason: why nothing was recomputed.
    changed: predictions that a new forward pass changed; None without images.
    images: number of test images.
    """

    path: Path
    problems: list[str] = field(default_factory=list)
    recomputed: list[Recomputed] = field(default_factory=list)
    reason: str = ""
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
        return text


class Images:
    """Test images of the datasets that are on this machine, loaded once."""

    def __init__(self, data_root: Path | None, cache: Path | None):
        self.data_root, self.cache = data_root, cache
        self._known: dict[tuple[str, bool], Dataset[Any] | None] = {}

    def loaders(self, run: Run) -> DataLoaders | None:
        """Return the loaders of a run; None where its dataset is not on this machine."""
        key = run.dataset, run.pipeline.decoded
        if key not in self._known:
            try:
                self._known[key] = load_images(run, self.data_root, self.cache)
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
        predicted = predictions.decode(record["predictions"][key], classes).tolist()
        if loaders is not None:
            device = record["provenance"]["device"]
            _compare_forward(run, device, state, loaders, predicted, outcome)
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


def _compare_forward(
    run: Run,
    device: str,
    state: State,
    loaders: DataLoaders,
    predicted: list[int],
    outcome: Outcome,
) -> None:
    """Compare the predictions with those of a new forward pass on this machine.

    device: that made the predictions.
    """
    engine = TorchEngine(state.model, autocast_for(run.precision, torch.device("cpu")))
    now = evaluate(engine, loaders.test()).predicted.tolist()
    if len(now) != len(predicted):
        return  # the accuracy reports it
    changed = sum(a != b for a, b in zip(now, predicted, strict=True))
    outcome.changed = max(changed, outcome.changed or 0)
    labels = loaders.dataset.test.labels.tolist()
    gained = sum(a == y for a, y in zip(predicted, labels, strict=True)) - sum(
        b == y for b, y in zip(now, labels, strict=True)
    )
    if changed > (most := most_changed(run.precision, device, len(now))):
        outcome.problems.append(
            f"a new forward pass changes {changed} of {len(now):,} predictions; devices differ in "
            f"at most {most}"
        )
    elif gained > most_gained(changed):
        outcome.problems.append(
            f"a new forward pass changes {changed} of {len(now):,} predictions and has {gained} "
            f"fewer right; noise explains at most {most_gained(changed)}"
        )
