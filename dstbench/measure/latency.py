"""Interleaved latency measurement: forms take turns on one batch; medians and quartiles."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dstbench.measure.execution_forms import Form, Network

WARM_UP = 3  # untimed calls of each form before any is timed
FEWEST, MOST = 3, 100  # timed calls of a form, where they follow the time
BURST = 10  # timed calls of a form in one turn, after one untimed call


@dataclass(frozen=True)
class Latency:
    """Latency of one form at one batch size.

    form: its name.
    batch: images of one call.
    latency_ms: median of the calls, milliseconds.
    quartiles_ms: lower and upper quartile, milliseconds.
    calls: how many were timed.
    """

    form: str
    batch: int
    latency_ms: float
    quartiles_ms: tuple[float, float]
    calls: int

    @property
    def images_per_s(self) -> float:
        return 1000 * self.batch / self.latency_ms


def calls_within(forms: Sequence[Form], x: Tensor, seconds: float) -> int:
    """Return how many timed calls of every form fit into a time, FEWEST to MOST.

    x: images (B, C, H, W). seconds: for all forms together, warm-up included.
    """
    with torch.no_grad():
        once = 0.0
        for form in forms:
            call = (form.network, form.prepare(x), x.device)
            _seconds(*call)  # the first call may compile or allocate
            once += _seconds(*call)
    left = seconds - (WARM_UP + 2) * once
    calls = int(left / max(once * (1 + 1 / BURST), 1e-9))
    return min(MOST, max(FEWEST, calls))


def interleaved_latencies(
    forms: Sequence[Form], x: Tensor, repeats: int, tick: Callable[[], None] = lambda: None
) -> list[Latency]:
    """Return the latency of every form on one batch.

    The forms take turns of at most BURST calls, so that a machine that slows down slows all of
    them. A turn starts with an untimed call, because the previous form has emptied the caches. On
    a GPU each call is timed until the device is done.

    x: images (B, C, H, W).
    repeats: timed calls of each form.
    tick: called after each turn of a form.
    """
    seconds: dict[str, list[float]] = {form.name: [] for form in forms}
    calls = {form.name: (form.network, form.prepare(x), x.device) for form in forms}
    with torch.no_grad():
        for call in calls.values():
            for _ in range(WARM_UP):
                _seconds(*call)
        for done in range(0, repeats, BURST):
            for name, call in calls.items():
                _seconds(*call)
                turn = (_seconds(*call) for _ in range(min(BURST, repeats - done)))
                seconds[name].extend(turn)
                tick()
    return [_latency(name, len(x), times) for name, times in seconds.items()]


def _seconds(network: Network, x: Any, device: torch.device) -> float:
    _synchronize(device)
    start = time.perf_counter()
    network(x)
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _latency(name: str, batch: int, seconds: list[float]) -> Latency:
    times = [1000 * s for s in seconds]
    lower, median, upper = (
        statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    )
    return Latency(name, batch, median, (lower, upper), len(seconds))
