"""Disables oneDNN for networks with a convolution on which it corrupts memory.

oneDNN 3.12 (torch 2.14.1), on CPUs that have AVX2 but not AVX-512, writes past its buffers in the
backward pass of 1×1 convolutions with a stride and fewer than eight input channels, as the
shortcuts of very narrow ResNets are. The process crashes, or continues with wrong values.
"""

import torch
from torch import nn

_SAFE_CHANNELS = 8  # no overrun was observed with this many input channels or more


def is_overrun_by_onednn(model: nn.Module) -> bool:
    """Return whether the model has a convolution on which oneDNN corrupts memory on this CPU."""
    if torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    return any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.in_channels // module.groups < _SAFE_CHANNELS
        for module in model.modules()
    )


def disable_onednn_if_unsafe(model: nn.Module) -> None:
    """Switch oneDNN off for this process if the model is unsafe with it: slower, but correct."""
    if is_overrun_by_onednn(model):
        torch.backends.mkldnn.set_flags(False)
