"""SNIP: sensitivities by hand and from a factor on every weight; its masks under other parts."""

import copy
from itertools import pairwise

import pytest
import torch
from helpers.pruned_at_init import linear, live_of, pruned, state_of
from helpers.tiny_runs import Noise, go, operated, tiny_resnet
from torch.nn.functional import cross_entropy

from dstbench.core.masks import flat
from dstbench.methods.global_pruning import ScoredCopy
from dstbench.methods.magnitude_at_init import MagnitudeAtInit
from dstbench.methods.rigl import RigL
from dstbench.methods.shuffled import Shuffled
from dstbench.methods.snip import SNIP
from dstbench.optim.settings import SGD


def test_masks_by_hand():
    """With two classes |∂L/∂z| is the same for both logits z = W x: scores are as |w · x|."""
    image = torch.tensor([1.0, 4.0]).view(1, 1, 1, 2)
    batches = [(image, torch.tensor([1]))]
    weights = [[1.0, -0.5], [3.0, 0.1]]  # scores in proportion 1, 2, 3, 0.4
    state = pruned(SNIP(0.5), linear(weights), batches)
    assert live_of(state).tolist() == [False, True, True, False]
    by_magnitude = pruned(MagnitudeAtInit(0.5), linear(weights), batches)
    assert live_of(by_magnitude).tolist() == [True, False, True, False]


@pytest.mark.parametrize("batch_statistics", [False, True])
@pytest.mark.parametrize("batches", [1, 3])
def test_score_is_the_gradient_of_a_factor_on_every_weight(batches, batch_statistics):
    part, state = SNIP(0.9, batches, batch_statistics), state_of()
    scores = part.scores(state, ScoredCopy(state.model, batch_statistics))
    model = copy.deepcopy(state.model).train(batch_statistics)
    weights = {n: model.get_parameter(n).detach() for n in state.masks.parameters}
    factors = {n: torch.ones_like(w).requires_grad_() for n, w in weights.items()}
    loss = sum(
        cross_entropy(
            torch.func.functional_call(model, {n: w * factors[n] for n, w in weights.items()}, x), y
        )
        for x, y in map(Noise().at, range(batches))
    )
    gradients = torch.autograd.grad(loss / batches, list(factors.values()))
    expected = torch.cat(
        [
            flat(torch.empty_like(w).copy_(g))
            for w, g in zip(weights.values(), gradients, strict=True)
        ]
    )
    torch.testing.assert_close(scores, expected.abs(), rtol=1e-4, atol=1e-7)


def test_masks_depend_on_the_images():
    one, other = (live_of(pruned(SNIP(0.9), batches=[Noise().at(step)])) for step in (0, 1))
    assert not torch.equal(one, other)


def test_each_batch_is_read_once():
    state = pruned(SNIP(0.9, batches=2))
    assert torch.equal(state.next_batch()[0], Noise().at(2)[0])


def test_shuffled_keeps_the_layer_counts_of_snip():
    chosen, shuffled = pruned(SNIP(0.9)), pruned(Shuffled(SNIP(0.9)))
    assert shuffled.masks.counts() == chosen.masks.counts()
    assert not torch.equal(live_of(shuffled), live_of(chosen))
    assert torch.equal(shuffled.next_batch()[0], Noise().at(1)[0])


def test_rigl_moves_the_masks_of_snip_and_empty_layers_stay_empty():
    method, state = operated(tiny_resnet(), [SNIP(0.995), RigL(update_interval=3)], total_steps=12)
    state.batches = iter([Noise().at(0)])
    method.init_masks(state)
    state.optimizer = SGD(0.05).build(state.model, state.masks)
    counts = state.masks.counts()
    assert 0 in counts.values()
    seen = []
    go(method, state, each=lambda state: seen.append((live_of(state), state.masks.counts())))
    assert all(found == counts for _, found in seen)
    assert any(not torch.equal(one, other) for (one, _), (other, _) in pairwise(seen))
