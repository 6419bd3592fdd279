"""Measures every form of a network at every batch size."""

import copy
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn

from dstbench.errors import UserError
from dstbench.measure.execution_forms import (
    Form,
    dense_forms,
    deployed_form,
    differences,
    trained_forms,
)
from dstbench.measure.latency import (
    BURST,
    WARM_UP,
    Latency,
    calls_within,
    interleaved_latencies,
)
from dstbench.measure.measured_network import MeasuredNetwork, NetworkDescription
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
    best_dense: batch size → name of the fastest dense form.
    failed: name of a form that was not measured → reason.
    """

    forms: list[FormResult]
    timings: list[LatencyResult]
    best_dense: dict[str, str]
    failed: dict[str, str]


class _Schema(TypedDict):
    schema: int


class Measurement(_Schema, NetworkDescription, Conditions, Results):
    """The output of `dstbench measure --json`; see docs/measuring.md."""


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    seconds: of timed calls, over all batch sizes together.
    repeats: timed calls of each form at each batch size; None for as many as the time allows.
    """

    seconds: float = 60.0
    repeats: int | None = None


def measure(
    network: MeasuredNetwork,
    batches: Sequence[int],
    effort: Effort,
    device: torch.device,
    show: Callable[[str], None] = lambda text: None,
) -> Measurement:
    """Measure every form of a network.

    batches: batch sizes.
    effort: how many calls are timed.
    device: on which the forms run.
    show: called with a line for each batch size when it is done.

    Raises UserError: when a form computes another network than the trained one.
    """
    results = _results(network, batches, effort, device, show)
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
    network: MeasuredNetwork,
    batches: Sequence[int],
    effort: Effort,
    device: torch.device,
    show: Callable[[str], None],
) -> Results:
    rng = torch.Generator().manual_seed(0)
    examples = [
        torch.randn(batch, *network.image_shape, generator=rng).to(
            device, memory_format=torch.channels_last
        )
        for batch in batches
    ]
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # on missing GPUs
    _progress("preparing every form (compilers take a while)")
    trained = trained_forms(_on_device(network.model, device))
    dense, failed = dense_forms(_on_device(network.plain, device), examples)
    try:
        if device.type != "cpu":
            raise UserError("it runs on the CPU: --device cpu")
        trained.append(deployed_form(network.model, network.masks, network.image_shape, batches))
    except (UserError, ImportError, TimeoutError) as error:
        failed["deployed"] = str(error)
    difference = differences(trained, examples[-1])
    forms = [*dense, *trained]
    latencies: list[Latency] = []
    for x in examples:
        repeats = effort.repeats or calls_within(forms, x, effort.seconds / len(examples))
        title = f"batch {len(x)}: {len(forms)} forms, {repeats} calls each"
        with progress(title, len(forms) * -(-repeats // BURST)) as tick:
            found = interleaved_latencies(forms, x, repeats, tick)
        latencies += found
        show(_line(found, _best(found, dense, len(x)), len(x)))
    return {
        "forms": [_form_result(form, difference.get(form.name)) for form in forms],
        "timings": [_latency_result(latency) for latency in latencies],
        "best_dense": {str(batch): _best(latencies, dense, batch) for batch in batches},
        "failed": failed,
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


def _line(latencies: list[Latency], best: str, batch: int) -> str:
    """Return the result of one batch size in one line."""
    shown = ", ".join(f"{t.form} {t.latency_ms:.4g}" for t in latencies)
    return f"batch {batch}, ms: {shown}; best dense: {best}"


def _best(latencies: list[Latency], dense: list[Form], batch: int) -> str:
    """Return the name of the fastest dense form at this batch size."""
    names = {form.name for form in dense}
    candidates = [t for t in latencies if t.batch == batch and t.form in names]
    return min(candidates, key=lambda t: t.latency_ms).form


def _progress(text: str) -> None:
    print(f"measure: {text}", file=sys.stderr, flush=True)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar of `total` steps in a terminal, else the title alone; yields what ends a step."""
    console = Console(file=sys.stderr, highlight=False)
    if not console.is_terminal:
        _progress(title)
        yield lambda: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
