"""Measures every form of a network at every batch size."""

import copy
import logging
import sys
import time
from collections.abc import Collection, Sequence
from typing import NotRequired, TypedDict

import torch
from torch import nn

from dstbench.errors import UserError
from dstbench.measure.budget import Budget
from dstbench.measure.dense_forms import dense_forms, failure
from dstbench.measure.execution_forms import (
    Form,
    deployed_form,
    differences,
    trained_forms,
)
from dstbench.measure.latency import WARM_UP, Latency
from dstbench.measure.measured_network import MeasuredNetwork, NetworkDescription
from dstbench.measure.time_batches import time_batches
from dstbench.recording.provenance import collect_provenance
from dstbench.training.device import device_name

SCHEMA = 1


class Conditions(TypedDict):
    """Where, with what and when a network was measured."""

    device: str
    cpu: str | None
    threads: int
    platform: str
    versions: dict[str, str]
    commit: str | None
    dirty: bool | None
    command: list[str]
    dtype: str
    memory_format: str
    repeats: int
    warm_up: int
    time: float


class FormResult(TypedDict):
    """One form; difference: of its logits, None for dense forms."""

    name: str
    how: str
    trained: bool
    precision: NotRequired[str]  # absent in older files, whose forms are fp32
    difference: float | None


class LatencyResult(TypedDict):
    """Latency of one form at one batch size."""

    form: str
    batch: int
    latency_ms: float
    quartiles_ms: list[float]
    images_per_s: float
    calls: NotRequired[int]  # timed ones; absent in older files, which have `repeats` for all


class Results(TypedDict):
    """What was measured.

    forms: all forms that were measured.
    timings: of each form at each batch size.
    best_dense: batch size → name of the fastest dense fp32 form.
    best_dense_any: the same of any precision; absent in older files, whose forms are fp32.
    failed: name of a form that was not measured → reason.
    not_timed: batch size that was left out → reason; absent in older files.
    """

    forms: list[FormResult]
    timings: list[LatencyResult]
    best_dense: dict[str, str]
    failed: dict[str, str]
    best_dense_any: NotRequired[dict[str, str]]
    not_timed: NotRequired[dict[str, str]]


class _Schema(TypedDict):
    schema: int


class Measurement(_Schema, NetworkDescription, Conditions, Results):
    """The output of `dstbench measure --json`; see docs/measuring.md."""


def measure(
    network: MeasuredNetwork, batches: Sequence[int], budget: Budget, device: torch.device
) -> Measurement:
    """Measure every form of a network.

    A batch size for which the time does not suffice is left out, but not the smallest. Ctrl-C ends
    the measurement with what was timed.

    batches: batch sizes, ascending.
    budget: how long it may take, and how many calls are timed.
    device: on which the forms run.

    Raises UserError: when a form computes another network than the trained one.
    Raises KeyboardInterrupt: on Ctrl-C before every form was timed at one batch size.
    """
    results = _results(network, batches, budget, device)
    fewest = min(timing["calls"] for timing in results["timings"])
    return {
        "schema": SCHEMA,
        **network.description,
        **_conditions(device, fewest),
        **results,
    }


def _conditions(device: torch.device, repeats: int) -> Conditions:
    found = collect_provenance(
        command=["dstbench", *sys.argv[1:]],
        device=device_name(device),
        threads=torch.get_num_threads(),
        dataset_sha256="",
        sessions=1,
        before=None,
    )
    return {
        "device": found["device"],
        "cpu": found["cpu"],
        "threads": found["threads"],
        "platform": found["platform"],
        "versions": found["versions"],
        "commit": found["commit"],
        "dirty": found["dirty"],
        "command": found["command"],
        "dtype": "float32",
        "memory_format": "channels_last",
        "repeats": repeats,
        "warm_up": WARM_UP,
        "time": time.time(),
    }


def _results(
    network: MeasuredNetwork, batches: Sequence[int], budget: Budget, device: torch.device
) -> Results:
    rng = torch.Generator().manual_seed(0)
    examples = [
        torch.randn(batch, *network.image_shape, generator=rng).to(
            device, memory_format=torch.channels_last
        )
        for batch in batches
    ]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # on missing GPUs
    trained = trained_forms(_on_device(network.model, device))
    failed: dict[str, str] = {}
    try:
        if device.type != "cpu":
            raise UserError("it runs on the CPU: --device cpu")
        with budget.preparing("deployed", interrupt=True):
            form = deployed_form(network.model, network.masks, network.image_shape, batches)
        trained.append(form)
    except (UserError, ImportError, TimeoutError) as error:
        failed["deployed"] = failure(error)
    dense, failed_dense = dense_forms(_on_device(network.plain, device), examples, budget)
    failed = failed_dense | failed
    budget.show("comparing logits")
    difference = differences(trained, examples[0])
    forms = [*dense, *trained]
    latencies, not_timed = time_batches(forms, examples, budget)
    timed = sorted({latency.batch for latency in latencies})
    fp32 = {form.name for form in dense if form.precision == "fp32"}
    every = {form.name for form in dense}
    return {
        "forms": [_form_result(form, difference.get(form.name)) for form in forms],
        "timings": [_latency_result(latency) for latency in latencies],
        "best_dense": {str(batch): _best(latencies, fp32, batch) for batch in timed},
        "best_dense_any": {str(batch): _best(latencies, every, batch) for batch in timed},
        "failed": failed,
        "not_timed": not_timed,
    }


def _on_device(model: nn.Module, device: torch.device) -> nn.Module:
    if device.type == "cpu":
        return model
    return copy.deepcopy(model).to(device)


def _form_result(form: Form, difference: float | None) -> FormResult:
    return {
        "name": form.name,
        "how": form.how,
        "trained": form.trained,
        "precision": form.precision,
        "difference": difference,
    }


def _latency_result(latency: Latency) -> LatencyResult:
    return {
        "form": latency.form,
        "batch": latency.batch,
        "latency_ms": latency.latency_ms,
        "quartiles_ms": list(latency.quartiles_ms),
        "images_per_s": latency.images_per_s,
        "calls": latency.calls,
    }


def _best(latencies: list[Latency], names: Collection[str], batch: int) -> str:
    """Return the name of the fastest of the named forms at this batch size."""
    candidates = [t for t in latencies if t.batch == batch and t.form in names]
    return min(candidates, key=lambda t: t.latency_ms).form
