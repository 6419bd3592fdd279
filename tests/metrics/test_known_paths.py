"""KnownPaths: the same result as find_live_paths, found anew only after changes."""

import torch
from helpers.tiny_runs import IMAGE, started, tiny_resnet
from torch import nn

from dstbench.core.budgets import ERK
from dstbench.methods.weight_sharing import WeightSharing
from dstbench.metrics import known_paths
from dstbench.metrics.known_paths import KnownPaths
from dstbench.metrics.live_paths import find_live_paths


def test_live_paths_are_found_anew_only_after_changes(monkeypatch):
    _, state = started(tiny_resnet(), [WeightSharing(), ERK(0.9)])
    calls = []

    def find(*args):
        calls.append(args)
        return find_live_paths(*args)

    monkeypatch.setattr(known_paths, "find_live_paths", find)
    known = KnownPaths()

    def count():
        before = len(calls)
        found = known.find(state.model, state.masks, IMAGE)
        assert found == find_live_paths(state.model, state.masks, IMAGE)
        return len(calls) - before

    assert [count(), count()] == [1, 0]
    with torch.no_grad():
        state.model.stem.conv1.weight.mul_(2)
    assert count() == 0
    name = next(iter(state.masks))
    state.set_live_(name, state.masks.index(name)[1:])
    assert [count(), count()] == [1, 0]
    scale = next(p for n, p in state.model.named_parameters() if n.endswith("scale"))
    with torch.no_grad():
        scale.zero_()
    assert [count(), count()] == [1, 0]
    state.model.relu = nn.ReLU()
    assert [count(), count()] == [1, 0]
