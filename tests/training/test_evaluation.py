"""Scores of a network on labelled images."""

import pytest
import torch
from torch import nn

from dstbench.models.precision import autocast_for
from dstbench.training.engines.torch_engine import TorchEngine
from dstbench.training.evaluation import evaluate


def engine_of(model):
    return TorchEngine(model, autocast_for("fp32", torch.device("cpu")))


def test_evaluate_counts_each_image_once_and_restores_the_mode():
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    y = torch.tensor([0, 1, 1])
    model.train()
    scores = evaluate(engine_of(model), [(x[:2], y[:2]), (x[2:], y[2:])])
    assert scores.accuracy == pytest.approx(100 * 2 / 3) and model.training
    assert scores.loss == pytest.approx(nn.functional.cross_entropy(x, y).item())
    assert scores.top5 is None


def test_evaluate_counts_top_5_for_more_than_ten_classes():
    x = torch.arange(12.0).expand(12, 12)  # class 11 ranks first, class 7 fifth, for every image
    scores = evaluate(engine_of(nn.Identity()), [(x, torch.arange(12))])
    assert scores.accuracy == pytest.approx(100 / 12) and scores.top5 == pytest.approx(500 / 12)
