"""GraSP: scores compared with an explicit Hessian, images balanced over classes."""

import pytest
import torch
from helpers.pruned_at_init import live_of, pruned, state_of
from helpers.tiny_runs import CLASSES, Noise, tiny_resnet
from torch import nn
from torch.nn.functional import cross_entropy

from dstbench.core.selection import largest
from dstbench.errors import UserError
from dstbench.methods.global_pruning import ScoredCopy
from dstbench.methods.grasp import GraSP, redraw_linear_


def perceptron():
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)
    return nn.Sequential(*layers).double()


def batch(labels, seed=0):
    rng = torch.Generator().manual_seed(seed)
    images = torch.randn(len(labels), 1, 2, 2, generator=rng, dtype=torch.float64)
    return images, torch.tensor(labels)


@pytest.mark.parametrize("repeats", [1, 2])
def test_score_is_the_weight_times_hessian_times_gradient(repeats):
    images, labels = batch([0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0])
    batches = [(images[:6], labels[:6]), (images[6:], labels[6:])]
    part = GraSP(0.5, images_per_class=2, repeats=repeats, temperature=3.0, redraw_linear=False)
    state = state_of(perceptron(), batches)
    scores = part.scores(state, ScoredCopy(state.model, training=True))

    chosen = [[0, 3], [1, 2], [6, 8], [7, 9]][: 2 * repeats]  # the first two of each class
    if repeats == 2:
        chosen[2:] = [[7, 9], [6, 8]]
    names = list(state.masks.parameters)
    weights = [state.masks.parameters[n].detach() for n in names]
    model = state.model

    def loss(vector):
        parts = vector.split([w.numel() for w in weights])
        used = {n: p.view(w.shape) for n, p, w in zip(names, parts, weights, strict=True)}
        return sum(
            cross_entropy(torch.func.functional_call(model, used, images[half]) / 3.0, labels[half])
            for half in chosen
        )

    vector = torch.cat([w.reshape(-1) for w in weights])
    hessian = torch.autograd.functional.hessian(loss, vector)
    gradient = torch.autograd.functional.jacobian(loss, vector)
    torch.testing.assert_close(scores, vector * (hessian @ gradient))


def test_highest_scores_are_kept_with_their_sign():
    part, state = GraSP(0.7, images_per_class=2, redraw_linear=False), state_of()
    scores = part.scores(state, ScoredCopy(state.model, training=True))
    assert (scores < 0).any() and (scores > 0).any()
    kept = largest(scores, round(0.3 * len(scores)), state.rng)
    live = live_of(pruned(part))
    assert sorted(kept.tolist()) == live.nonzero().view(-1).tolist()


def test_images_are_balanced_sorted_and_halved():
    state = state_of(tiny_resnet())
    halves = GraSP(0.9, images_per_class=4)._halves(state, state.model)
    assert [labels.tolist() for _, labels in halves] == [[0, 0, 0, 0, 1, 1], [1, 1, 2, 2, 2, 2]]
    every, labels = (torch.cat([Noise().at(step)[i] for step in range(20)]) for i in (0, 1))
    first = [every[labels == c][:4] for c in range(CLASSES)]
    assert torch.equal(torch.cat([images for images, _ in halves]), torch.cat(first))


def test_a_class_without_enough_images_is_refused():
    images = torch.randn(8, 3, 4, 4)
    batches = [(images, torch.tensor([0, 2] * 4))] * 200
    with pytest.raises(UserError, match=r"0 are of class 1") as error:
        pruned(GraSP(0.9, images_per_class=2), batches=batches)
    assert error.value.binding == "GraSP.images_per_class"


def test_linear_layers_are_scored_at_other_weights_and_trained_at_their_own():
    own = live_of(pruned(GraSP(0.9, 2, redraw_linear=False)))
    model = tiny_resnet()
    before = model.classifier.weight.detach().clone()
    state = pruned(GraSP(0.9, 2), model)
    assert not torch.equal(live_of(state), own)
    assert torch.equal(model.classifier.weight, before * state.masks["classifier.weight"])


def test_redrawn_weights_have_the_variance_of_xavier():
    layer = nn.Linear(300, 100)
    redraw_linear_(layer, torch.Generator().manual_seed(0))
    assert float(layer.weight.detach().std()) == pytest.approx((2 / 400) ** 0.5, rel=0.02)
