"""Compares the predictions of two finished runs on the same test images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from dstbench.config import plugins
from dstbench.config.shared_settings import shared_settings
from dstbench.data import datasets
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.recording import record as records
from dstbench.recording.configuration import configuration_of
from dstbench.recording.file_names import RECORD
from dstbench.recording.types import Record
from dstbench.sparsity import percent
from dstbench.statistics.same_images import ImageComparison, compare_predictions
from dstbench.training.configure import pipeline_from_text


@dataclass(frozen=True)
class ComparedRuns:
    """Two finished runs, and the comparison of their predictions.

    a, b: the runs' records.
    networks: which network of each run: "final" or "best epoch".
    differences: settings that differ and are not the method's own: (name, value of a, of b).
    """

    a: Record
    b: Record
    networks: tuple[str, str]
    result: ImageComparison
    differences: tuple[tuple[str, str, str], ...] = ()


def is_run(name: str) -> bool:
    """Return whether an argument names a run folder or a record, not a method."""
    return name.endswith(".json") or (Path(name) / RECORD).is_file()


def compare_runs(
    a: str, b: str, data_root: Path | None, cache: Path | None, files: Sequence[Path] = ()
) -> ComparedRuns:
    """Return the comparison of two runs.

    a, b: run folders or records.
    data_root, cache: where the dataset is, for its labels; see `data.datasets`.
    files: plugins, where the runs' pipeline is of one.

    Raises UserError for a run that is not finished or has no predictions, and for two runs on
    different images.
    """
    first, second = (_finished(name) for name in (a, b))
    images = [record["provenance"]["dataset_sha256"] for record in (first, second)]
    if images[0] != images[1]:
        raise UserError(
            f"{a} is on {first['dataset']} and {b} on {second['dataset']}, with other images: "
            "compare runs on the same images."
        )
    plugins.load(files)
    pipeline = pipeline_from_text(first["config"]["text"])
    dataset = datasets.load_images(first["dataset"], pipeline, data_root, cache)
    if dataset.sha256 != images[0]:
        raise UserError(
            f"{a} and {b} are of other images than {dataset.name} has here. Give the folder of "
            "their data with --data-root."
        )
    labels = dataset.test.labels
    (network_a, predicted_a), (network_b, predicted_b) = (
        _predicted(name, record, len(labels)) for name, record in ((a, first), (b, second))
    )
    result = compare_predictions(predicted_a, predicted_b, labels)
    differences = tuple(_differences(first, second))
    return ComparedRuns(first, second, (network_a, network_b), result, differences)


def _differences(a: Record, b: Record) -> Iterator[tuple[str, str, str]]:
    """Yield the settings that differ and are not the method's own, as columns of a board do."""
    sparsities = tuple(percent(record["sparsity"]["asked"]) for record in (a, b))
    if sparsities[0] != sparsities[1]:
        yield "sparsity", sparsities[0], sparsities[1]
    own, other = (
        dict(line.split(" = ", 1) for line in shared_settings(configuration_of(record)))
        for record in (a, b)
    )
    for name in sorted(own.keys() | other.keys()):
        pair = own.get(name, "–"), other.get(name, "–")
        if pair[0] != pair[1]:
            yield name.removeprefix("Run."), pair[0], pair[1]


def _finished(name: str) -> Record:
    path = Path(name)
    record = records.read(path / RECORD if path.is_dir() else path)
    if record["status"] != "finished":
        raise UserError(f"{name}: its status is {record['status']!r}; compare finished runs.")
    return record


def _predicted(name: str, record: Record, images: int) -> tuple[str, np.ndarray]:
    """Return which network is compared, the one that the protocol reports, and its predictions.

    images: number of test images.
    """
    stored = record.get("predictions")
    if not isinstance(stored, dict) or not isinstance(stored.get("classes"), int):
        raise UserError(
            f"{name}: the record has no predictions of the test images. Train the run again with "
            "this version of dstbench."
        )
    best = record["accuracy"]["shown"] == "test_at_best_val" and "test_at_best_val" in stored
    text = stored["test_at_best_val"] if best else stored.get("test")
    try:
        predicted = np.array(predictions.decode(text, cast(int, stored["classes"])))
    except UserError as error:
        raise UserError(f"{name}: {error.message}") from None
    if len(predicted) != images:
        raise UserError(f"{name}: has {len(predicted)} predictions of {images} test images.")
    return "best epoch" if best else "final", predicted
