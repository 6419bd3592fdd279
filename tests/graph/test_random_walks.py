"""RandomWalks: every walk is a path, of every length; probabilities are those of magnitudes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.graph.channel_graph import ChannelGraph
from dstbench.graph.random_walks import RandomWalks
from dstbench.graph.trace import trace
from dstbench.models.resnet import ResNet20

SHAPE = (3, 8, 8)


def walks_of(model, shape=SHAPE, seed=0):
    graph = ChannelGraph(trace(model, shape), shape)
    weights = {use.tensor: model.get_parameter(use.tensor).detach() for use in graph.uses}
    magnitudes = {n: w.reshape(*w.shape[:2], -1).abs().numpy() for n, w in weights.items()}
    return RandomWalks(graph, magnitudes, np.random.default_rng(seed))


def place(walks, tensor, number):
    """Output, input and position of a weight, by its number."""
    return np.unravel_index(number - walks.starts[tensor], walks.magnitudes[tensor].shape)


@settings(max_examples=4)
@given(st.integers(0, 99))
def test_walks_on_a_residual_network_are_paths_that_pass_every_block(seed):
    """ResNet-20 has two projections: 20, 19 or 18 convolutions, without a gap."""
    torch.manual_seed(seed)
    walks = walks_of(ResNet20(10, width=4), seed=seed)
    tensors = [use.tensor for use in walks.graph.uses]
    lengths = set()
    for forward in (True, False):
        starts = np.arange(60) % (3 if forward else 10)
        met = walks.forward(starts) if forward else walks.backward(starts)[:, ::-1]
        for start, numbers in zip(starts, met, strict=True):
            places = {
                t: place(walks, t, n) for t, n in zip(tensors, numbers, strict=True) if n >= 0
            }
            channel = start if forward else places["stem.conv1.weight"][1]
            order = ["stem.conv1.weight"]
            for stage in range(3):
                for block in range(3):
                    name = f"stages.{stage}.{block}"
                    convolutions = {f"{name}.conv1.weight", f"{name}.conv2.weight"}
                    shortcut = f"{name}.shortcut.0.weight"
                    passed = convolutions & places.keys()
                    assert passed in (convolutions, set()) and bool(passed) != (shortcut in places)
                    order += sorted(passed) or [shortcut]
            for tensor in [*order, "classifier.weight"]:
                output, source, _ = places[tensor]
                assert source == channel
                channel = output
            assert forward or channel == start
            lengths.add(len(places))
    assert lengths == {18, 19, 20}


def test_a_walk_goes_on_in_proportion_to_kernels_and_meets_positions_by_magnitude():
    """Kernels [[1, 2], [3, 0]] and [[0, 0], [4, 0]]: sums 6 and 4; forward 60 and 40 %."""
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[[[1.0, -2], [3, 0]]], [[[0, 0], [-4, 0]]]]))
        model[2].weight.copy_(torch.tensor([[1.0, 3], [0, 0]]))
    walks = walks_of(model, (1, 2, 2))
    met = walks.forward(np.zeros(20000, np.int64))
    counts = np.bincount(met[:, 0], minlength=8) / 20000
    assert counts == pytest.approx([0.1, 0.2, 0.3, 0, 0, 0, 0.4, 0], abs=0.015)
    assert set(met[:, 1]) == {8, 9}  # to the only logit with weights
    met = walks.backward(np.arange(20000) % 2)
    inputs = [np.bincount(met[k::2, 0], minlength=12)[8:] / 10000 for k in (0, 1)]
    assert inputs[0] == pytest.approx([0.25, 0.75, 0, 0], abs=0.02)
    assert inputs[1] == pytest.approx([0, 0, 0.5, 0.5], abs=0.02)  # no weights: equally likely


class Branches(nn.Module):
    """Two convolutions beside each other, another one that is not used, and a shortcut."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.fc = (nn.Conv2d(3, 3, 1, bias=False) for _ in range(4))

    def forward(self, x):
        self.c(x)
        x = self.fc(x + self.a(x) + self.b(x))
        return nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


def test_ways_are_equally_likely_and_lead_to_a_logit():
    torch.manual_seed(0)
    walks = walks_of(Branches())
    for met in (walks.forward(np.zeros(4000, np.int64)), walks.backward(np.zeros(4000, np.int64))):
        tensor = np.searchsorted(list(walks.starts.values()), met[met >= 0], side="right") - 1
        names = np.array(list(walks.starts))[tensor]
        assert (names == "fc.weight").sum() == 4000 and not (names == "c.weight").any()
        assert (names == "a.weight").sum() + (names == "b.weight").sum() == 4000
        assert abs((names == "a.weight").sum() - 2000) < 200
