"""Disables oneDNN for networks with a convolution on which it corrupts memory.

oneDNN 3.12 (torch 2.14.1), on CPUs that have AVX2 but not AVX-512, writes past its buffers in the
backward pass of 1×1 convolutions with a stride and fewer than eight input channels, as the
shortcuts of very narrow ResNets are. The process crashes, or continues with wrong values.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

_SAFE_CHANNELS = 8  # no overrun was observed with this many input channels or more


def overruns(inputs: int, kernel: Sequence[int], stride: Sequence[int]) -> bool:
    """Return whether oneDNN corrupts memory on this CPU in a convolution's backward pass.

    inputs: channels that an output reads.
    kernel, stride: rows, columns.
    """
    few = tuple(kernel) == (1, 1) and max(stride) > 1 and inputs < _SAFE_CHANNELS
    return few and torch.backends.cpu.get_cpu_capability() == "AVX2"


def is_overrun_by_onednn(model: nn.Module) -> bool:
    """Return whether the model has a convolution on which oneDNN corrupts memory on this CPU."""
    return any(
        overruns(module.in_channels // module.groups, module.kernel_size, module.stride)
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    )


def disable_onednn_if_unsafe(model: nn.Module) -> None:
    """Switch oneDNN off for this process if the model is unsafe with it: slower, but correct."""
    if is_overrun_by_onednn(model):
        torch.backends.mkldnn.set_flags(False)


@contextmanager
def without_onednn(unsafe: bool) -> Iterator[None]:
    """Switch oneDNN off inside, if what is computed there is unsafe with it."""
    with onednn_restored():
        if unsafe:
            torch.backends.mkldnn.set_flags(False)
        yield


@contextmanager
def onednn_restored() -> Iterator[None]:
    """Leave oneDNN on, or off, as it was before."""
    enabled = torch.backends.mkldnn.enabled
    try:
        yield
    finally:
        if torch.backends.mkldnn.enabled != enabled:  # every backward pass of a convolution asks
            torch.backends.mkldnn.set_flags(enabled)
