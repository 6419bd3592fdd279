"""`weights.safetensors`: weights and masks survive a file, other files are refused."""

import pytest
from helpers.tiny_runs import logits, started, tiny_resnet

from dstbench.core.budgets import ERK
from dstbench.deploy.sparse_weights import read_weights_, write_weights
from dstbench.errors import UserError


@pytest.fixture(scope="module")
def state():
    return started(tiny_resnet(seed=1), [ERK(0.6)])[1]


@pytest.fixture
def path(state, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(write_weights(state.model, state.masks))
    return path


def test_weights_and_masks_survive_a_file(state, path):
    _, other = started(tiny_resnet(seed=2), [ERK(0.6)], seed=3)
    read_weights_(path, other.model, other.masks)
    assert (logits(other.model) == logits(state.model)).all()
    assert all((other.masks[name] == mask).all() for name, mask in state.masks.items())


def test_weights_of_another_architecture_are_refused(path):
    _, wider = started(tiny_resnet(width=6), [ERK(0.6)])
    with pytest.raises(UserError, match=r"has shape \[.*\], the model's has \[.*\]"):
        read_weights_(path, wider.model, wider.masks)


def test_file_that_is_not_safetensors_is_refused(state, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_weights_(path, state.model, state.masks)
