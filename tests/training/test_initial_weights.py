"""The hash of initial weights: what it covers, and what a difference means."""

from pathlib import Path

import pytest
import torch
from torch import nn

from dstbench.errors import UserError
from dstbench.recording import provenance
from dstbench.training import initial_weights


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def record(sha256, **changes):
    here = {"versions": provenance.versions(), "cpu": provenance.cpu()}
    return {"provenance": here | {"initial_weights_sha256": sha256} | changes}


def test_sha256_ignores_the_memory_layout():
    changed = network().to(memory_format=torch.channels_last)
    assert initial_weights.sha256_of(changed) == initial_weights.sha256_of(network())


@pytest.mark.parametrize("name", ["0.weight", "0.bias", "1.running_var"])
def test_sha256_covers_parameters_and_buffers(name):
    model = network()
    model.state_dict()[name].view(-1)[0] += 1e-6
    assert initial_weights.sha256_of(model) != initial_weights.sha256_of(network())


def test_refuse_changed_refuses_other_weights_on_the_same_machine():
    assert initial_weights.refuse_changed(record("a" * 64), "a" * 64, Path("run")) is None
    with pytest.raises(UserError, match=r"run holds a run that began with other .*--fresh"):
        initial_weights.refuse_changed(record("a" * 64), "b" * 64, Path("run"))


def test_refuse_changed_reports_other_weights_on_another_machine():
    other = record("a" * 64, cpu="another processor")
    assert "another processor" in initial_weights.refuse_changed(other, "b" * 64, Path("run"))
