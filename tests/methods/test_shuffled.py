"""Shuffled: another part's layer counts, other weights, initial values kept."""

import pytest
import torch
from helpers.tiny_runs import started, tiny_resnet

from dstbench.core.budgets import EPL
from dstbench.core.state import State
from dstbench.errors import UserError
from dstbench.methods.rigl import RigL
from dstbench.methods.shuffled import Shuffled
from dstbench.methods.synflow import SynFlow


@pytest.mark.parametrize("of", [SynFlow(0.9, rounds=5), SynFlow(0.99, rounds=5), EPL(0.8)])
def test_shuffled_keeps_layer_counts_and_moves_weights(of):
    _, chosen = started(tiny_resnet(), [of])
    _, shuffled = started(tiny_resnet(), [Shuffled(of)])
    assert shuffled.masks.counts() == chosen.masks.counts()
    assert any(
        not torch.equal(shuffled.masks.index(name), chosen.masks.index(name))
        for name in chosen.masks
    )
    initial = dict(tiny_resnet().named_parameters())
    for name, mask in shuffled.masks.items():
        weight = shuffled.masks.parameters[name]
        assert torch.equal(weight[mask], initial[name][mask]) and not weight[~mask].any()
        ever = shuffled.memory[f"ever_live/{name}"]
        assert int(ever.sum()) == shuffled.masks.live(name)


def test_shuffled_differs_by_seed_and_repeats():
    masks = [
        started(tiny_resnet(), [Shuffled(SynFlow(0.9, rounds=3))], seed=seed)[1].masks
        for seed in (0, 0, 1)
    ]
    same, other = (
        all(torch.equal(masks[0][name], masks[i][name]) for name in masks[0]) for i in (1, 2)
    )
    assert same and not other


def test_shuffled_needs_a_part_that_chooses_masks():
    with pytest.raises(UserError, match=r"RigL.*chooses no first masks"):
        Shuffled(RigL(update_interval=3))


def test_shuffled_leaves_the_stream_of_batches_to_the_other_part(small_net):
    """`state.batches` is a generator, which cannot be copied."""
    state = State(small_net(), (3, 8, 8), 0, 10)
    state.batches = (batch for batch in [(torch.ones(1), torch.ones(1))])
    Shuffled(SynFlow(0.5, rounds=3)).init_masks(state)
    assert state.masks.total() == state.dense_numel // 2
    assert torch.equal(state.next_batch()[0], torch.ones(1))
