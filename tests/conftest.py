"""Settings and fixtures of all tests.

One thread in this process and in those that tests start, few hypothesis examples, and no skip
without a missing component. Fixtures return functions without state, so hypothesis may share them
between examples.
"""

import os

# Both before torch is imported. Waiting threads of a process with more do not spin for long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import pytest
import torch
from helpers.skips import fail_unexpected_skip
from hypothesis import settings
from torch import nn

from dstbench.cli.main import main
from dstbench.core.state import State

torch.set_num_threads(1)
if torch.backends.cpu.get_cpu_capability() == "AVX2":  # see dstbench/models/onednn.py
    torch.backends.mkldnn.set_flags(False)
settings.register_profile("dstbench", deadline=None, max_examples=50)
settings.load_profile("dstbench")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    fail_unexpected_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    fail_unexpected_skip(report)
    return report


@pytest.fixture
def call(capsys):
    """Return a function that runs a command line in this process: (exit code, stdout, stderr)."""

    def run(*argv):
        with pytest.raises(SystemExit) as exit:
            main([*argv])
        torch.set_num_threads(1)  # the command may have set it
        output = capsys.readouterr()
        return exit.value.code, output.out, output.err

    return run


@pytest.fixture(scope="session")
def eight():
    """Return a function that builds a State with one tensor of eight weights, called `weight`.

    weights: its values, eight.
    live: flat indices of its live weights.
    """

    def build(weights=range(1, 9), live=range(8), seed=0, total_steps=100):
        model = nn.Linear(8, 1, bias=False)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[float(w) for w in weights]]))
        state = State(model, (1, 1, 8), seed, total_steps)
        state.set_live_("weight", torch.tensor(list(live), dtype=torch.int64))
        return state

    return build


@pytest.fixture(scope="session")
def small_net():
    """Return a function that builds a network with convolutions and a linear layer.

    Its images are 3×8×8, its logits 5.
    """

    def build(seed=0, memory_format=torch.channels_last, dtype=torch.float32):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 1, bias=False),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 5),
        )
        return model.to(dtype=dtype, memory_format=memory_format)

    return build
