"""Latency, fairly: forms take turns on one batch, and medians are told."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dstbench.measure.forms import Form, Network

WARM_UP = 3  # calls before anything is timed
BURST = 10  # timed calls of a form in one turn, after one that is not timed


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call: median, lower and upper quartile; images of the batch."""

    form: str
    batch: int
    latency_ms: float
    quartiles_ms: tuple[float, float]

    @property
    def images_per_s(self) -> float:
        return 1000 * self.batch / self.latency_ms


def in_turns(forms: Sequence[Form], x: Tensor, repeats: int) -> list[Timing]:
    """Time every form on one batch, `repeats` calls each.

    The forms take turns of at most BURST calls. A turn begins with a call that is not timed, since
    the form before has emptied the caches. On a GPU each call is timed to its end.
    """
    seconds: dict[str, list[float]] = {form.name: [] for form in forms}
    calls = {form.name: (form.network, form.given(x), x.device) for form in forms}
    with torch.no_grad():
        for call in calls.values():
            for _ in range(WARM_UP):
                _timed(*call)
        for done in range(0, repeats, BURST):
            for name, call in calls.items():
                _timed(*call)
                turn = (_timed(*call) for _ in range(min(BURST, repeats - done)))
                seconds[name].extend(turn)
    return [_timing(name, len(x), times) for name, times in seconds.items()]


def _timed(network: Network, x: Any, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    network(x)
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _timing(name: str, batch: int, seconds: list[float]) -> Timing:
    times = [1000 * s for s in seconds]
    lower, median, upper = (
        statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    )
    return Timing(name, batch, median, (lower, upper))
