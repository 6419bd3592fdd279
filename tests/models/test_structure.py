"""Structure: which changes of a network are noticed."""

import pytest
import torch
from torch import nn

from dstbench.models.structure import Structure


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


def replace_module(model):
    model[2] = nn.ReLU()


def change_setting(model):
    model[0].stride = (2, 2)


def replace_parameter(model):
    model[1].weight = nn.Parameter(model[1].weight.detach().clone())


def replace_buffer(model):
    model[1].running_mean = torch.zeros(4)


def freeze(model):
    model[0].weight.requires_grad_(False)


def add_module(model):
    model.append(nn.Linear(1, 1))


def add_hook(model):
    model[1].register_forward_hook(lambda *_: None)


def replace_tensor_attribute(model):
    model[0].extra = torch.zeros(3)
    return lambda: setattr(model[0], "extra", torch.zeros(3))


CHANGES = [
    *(replace_module, change_setting, replace_parameter, replace_buffer, freeze, add_module),
    *(add_hook, replace_tensor_attribute),
]


@pytest.mark.parametrize("change", CHANGES)
def test_structure_notices_changes(change):
    model = network()
    later = change(model) if change is replace_tensor_attribute else lambda: change(model)
    structure = Structure(model)
    assert structure.is_current()
    later()
    assert not structure.is_current()
    assert Structure(model).is_current()


def test_structure_ignores_modes_and_values():
    model = network()
    structure = Structure(model.train())
    assert structure.is_training
    with torch.no_grad():
        model(torch.randn(2, 3, 8, 8))
        model[0].weight.zero_()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[1].eval()
    assert structure.is_current() and not structure.is_training
