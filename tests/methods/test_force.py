"""FORCE and iterative SNIP: compared with a slow reference that masks in the forward pass."""

import copy
from itertools import pairwise

import pytest
import torch
from helpers.pruned_at_init import live_of, pruned, state_of
from helpers.tiny_runs import Noise, tiny_resnet
from torch import nn
from torch.nn.functional import cross_entropy

from dstbench.core.masks import flat
from dstbench.methods.force import FORCE, IterativeSNIP
from dstbench.methods.snip import SNIP


def reference(model, revives, lefts, batches):
    """The live weights, by full sorts of scores from gradients at masked weights."""
    model = copy.deepcopy(model).train()
    names = [n for n, p in model.named_parameters() if p.dim() > 1]
    weights = {n: model.get_parameter(n).detach() for n in names}
    initial = torch.cat([flat(w) for w in weights.values()])
    live, step = torch.ones(len(initial)), 0
    for left in lefts:
        total = torch.zeros_like(initial)
        for _ in range(batches):
            parts = (initial * live).split([w.numel() for w in weights.values()])
            used = {
                n: torch.as_strided(p, w.shape, w.stride()).clone().requires_grad_()
                for p, (n, w) in zip(parts, weights.items(), strict=True)
            }
            images, labels = Noise().at(step)
            loss = cross_entropy(torch.func.functional_call(model, used, images), labels)
            gradients = torch.autograd.grad(loss, list(used.values()))
            total += torch.cat(
                [
                    flat(torch.empty_like(w).copy_(g))
                    for w, g in zip(weights.values(), gradients, strict=True)
                ]
            )
            step += 1
        scores = (initial * total).abs()
        if not revives:
            scores[live == 0] = -1
        live = torch.zeros(len(initial)).index_fill_(0, scores.argsort(descending=True)[:left], 1)
    return live.bool()


@pytest.mark.parametrize("cls", [IterativeSNIP, FORCE])
@pytest.mark.parametrize("batches", [1, 2])
def test_masks_equal_those_of_the_reference(cls, batches):
    model, total = tiny_resnet(width=6), state_of(tiny_resnet(width=6)).dense_numel
    lefts = [int(0.3 ** (i / 4) * total) for i in (1, 2, 3)] + [round(0.3 * total)]
    expected = reference(model, cls.revives, lefts, batches)
    assert torch.equal(live_of(pruned(cls(0.7, 4, batches), model)), expected)


def test_pruned_weights_come_back_in_force_only():
    """The weights of the last round are a subset of the round before in iterative SNIP."""
    for cls in (IterativeSNIP, FORCE):
        kept = []

        class Watched(cls):
            def scores(self, state, network, kept=kept):
                kept.append(network.live.clone())
                return super().scores(state, network)

        kept.append(live_of(pruned(Watched(0.9, rounds=4))))
        came_back = sum(int((after & ~before).sum()) for before, after in pairwise(kept))
        assert len(kept) == 5 and (came_back > 0) == (cls is FORCE)


@pytest.mark.parametrize("cls", [IterativeSNIP, FORCE])
def test_one_round_is_snip_in_training_mode(cls):
    once = live_of(pruned(cls(0.9, rounds=1)))
    assert torch.equal(once, live_of(pruned(SNIP(0.9, batch_statistics=True))))


@pytest.mark.parametrize("cls", [IterativeSNIP, FORCE])
def test_every_round_reads_batches_of_its_own(cls):
    state = pruned(cls(0.9, rounds=3, batches=2))
    assert torch.equal(state.next_batch()[0], Noise().at(6)[0])


@pytest.mark.parametrize("cls", [IterativeSNIP, FORCE])
def test_count_is_exact_where_pruning_cuts_the_network(cls):
    """Two weights connect no image with a logit through six layers: no weight has a gradient."""
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(48, 4, bias=False)]
    for _ in range(5):
        layers += [nn.LeakyReLU(), nn.Linear(4, 4, bias=False)]
    assert pruned(cls(0.9926, rounds=6), nn.Sequential(*layers)).masks.total() == 2
