"""Interleaved timing: candidates take turns in one process, and their medians are compared."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dstbench.core.optimizer_interface import SparseOptimizer
from dstbench.models.precision import Autocast


def interleaved(
    repeats: int,
    /,
    clock: Callable[[], float] = time.perf_counter,
    **candidates: Callable[[], object],
) -> dict[str, float]:
    """Return the median seconds of a call of each candidate, after one warm-up call each.

    repeats: timed calls of each candidate.
    clock: `time.process_time` for CPU time.
    candidates: name → function to time.
    """
    for candidate in candidates.values():
        candidate()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            began = clock()
            candidate()
            seconds[name].append(clock() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def training_step(
    model: nn.Module, optimizer: SparseOptimizer, autocast: Autocast, x: Tensor, y: Tensor
) -> Callable[[], None]:
    """Return a function that makes one training step of the suite, without a mask update.

    x: images, (batch, channels, height, width).
    y: labels, (batch,).
    """

    def step() -> None:
        with autocast():
            logits = model(x)
        loss = cross_entropy(logits.float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(0.01)

    return step


def machine() -> str:
    """Return a line that describes the machine: processor, cores, threads, torch version."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((s.split(": ")[1] for s in lines if s.startswith("model name")), name)
    return (
        f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    )
