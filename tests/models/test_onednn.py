"""oneDNN is switched off for networks on which it corrupts memory."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from dstbench.models.onednn import (
    disable_onednn_if_unsafe,
    is_overrun_by_onednn,
    onednn_restored,
)


@pytest.mark.parametrize(
    "capability, channels, stride, unsafe",
    [("AVX2", 4, 2, True), ("AVX2", 8, 2, False), ("AVX2", 4, 1, False), ("AVX512", 4, 2, False)],
)
def test_onednn_is_unsafe_for_strided_pointwise_convolutions_of_few_channels(
    monkeypatch, capability, channels, stride, unsafe
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    model = nn.Sequential(nn.Conv2d(channels, 8, 1, stride), nn.Conv2d(8, 8, 3, 2))
    assert is_overrun_by_onednn(model) is unsafe


def test_onednn_is_on_again_after_a_network_that_is_unsafe_with_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with onednn_restored():
        disable_onednn_if_unsafe(nn.Conv2d(4, 8, 1, 2))
        assert not torch.backends.mkldnn.enabled
    assert torch.backends.mkldnn.enabled


@pytest.mark.slow  # a process that imports torch
def test_narrow_shortcut_trains_without_memory_corruption():
    code = """
import torch
from torch import nn
from dstbench.models.onednn import disable_onednn_if_unsafe

torch.set_num_threads(1)
model = nn.Conv2d(4, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
disable_onednn_if_unsafe(model)
for _ in range(30):
    model(torch.randn(64, 4, 8, 8).to(memory_format=torch.channels_last)).sum().backward()
    junk = [torch.empty(7 * i + 1) for i in range(50)]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
