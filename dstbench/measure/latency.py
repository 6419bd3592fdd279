"""Interleaved latency measurement: forms take turns on one batch; medians and quartiles."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dstbench.measure.execution_forms import Form, Network

WARM_UP = 3  # untimed calls of each form before any is timed, unless they are long
MOST = 100  # timed calls of a form, where they follow the time
BURST = 10  # timed calls of a form in one turn, after one untimed call
LONG_S = 0.5  # a call of this time needs no more warm-up: filling caches is a small part of it


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


class Turns:
    """Forms that take turns on one batch.

    The forms take turns of at most BURST calls, so that a machine that slows down slows all of
    them. A turn starts with an untimed call, because the previous form has emptied the caches. On
    a GPU each call is timed until the device is done.

    forms: distinct names.
    x: images (B, C, H, W).
    smaller: the turns on a smaller batch, whose calls take no longer; None for the first.
    """

    def __init__(self, forms: Sequence[Form], x: Tensor, smaller: "Turns | None" = None):
        self.batch = len(x)
        self._calls = {form.name: (form.network, form.prepare(x), x.device) for form in forms}
        self._cold = set(self._calls)  # not warmed up yet
        # Seconds of the last call, or of a call on the smaller batch.
        self._last: dict[str, float] = dict.fromkeys(self._calls, 0.0)
        if smaller is not None:
            self._last |= smaller._last
        self._timed: dict[str, list[float]] = {form.name: [] for form in forms}

    @property
    def needed(self) -> float:
        """Seconds until every form is warmed up and timed once, at least, as far as is known."""
        return sum(self._last.values()) + sum(self._last[name] for name in self._cold)

    def warm_up(self, check: Callable[[], None] = lambda: None) -> None:
        """Call every form WARM_UP times, or until a call is long.

        check: called before each form; may raise, to leave.
        """
        for name in self._calls:
            check()
            for _ in range(WARM_UP):
                if self._call(name) >= LONG_S:
                    break
            self._cold.remove(name)

    def calls_within(self, seconds: float) -> int:
        """Return how many timed calls of every form fit into a time, 1 to MOST."""
        each = sum(s if s >= LONG_S else s * (1 + 1 / BURST) for s in self._last.values())
        return int(min(MOST, max(1, seconds / max(each, 1e-9))))

    def run(self, repeats: int, go_on: Callable[[], bool] = lambda: True) -> None:
        """Time this many calls of every form.

        go_on: called after each round of turns; ends the calls by False.
        """
        burst = 1 if max(self._last.values()) >= LONG_S else BURST  # long turns could end late
        for done in range(0, repeats, burst):
            for name in self._calls:
                if self._last[name] < LONG_S:
                    self._call(name)
                for _ in range(min(burst, repeats - done)):
                    self._timed[name].append(self._call(name))
            if not go_on():
                break

    def latencies(self) -> list[Latency]:
        """Return the latency of every form so far; nothing while one of them was not timed."""
        if not all(self._timed.values()):
            return []
        return [_latency(name, self.batch, times) for name, times in self._timed.items()]

    def _call(self, name: str) -> float:
        network, x, device = self._calls[name]
        with torch.no_grad():
            self._last[name] = _seconds(network, x, device)
        return self._last[name]


def _seconds(network: Network, x: Any, device: torch.device) -> float:
    _synchronize(device)
    start = time.perf_counter()
    network(x)
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _latency(name: str, batch: int, seconds: list[float]) -> Latency:
    times = [1000 * s for s in seconds]
    lower, median, upper = (
        statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    )
    return Latency(name, batch, median, (lower, upper), len(seconds))
