"""`weights.safetensors`: weights and masks survive a file, other files are refused."""

import json

import pytest
import torch
from helpers.tiny_runs import logits, started, tiny_resnet
from safetensors.torch import load, save

from dstbench.core.budgets import ERK
from dstbench.core.sparse_weights import read_weights_, write_weights
from dstbench.errors import UserError
from dstbench.utils.safetensors_bytes import split


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


def test_damaged_weights_are_refused_and_a_file_without_a_checksum_is_read(state, path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match="does not match its checksum"):
        read_weights_(path, state.model, state.masks)
    header, _ = split(content)
    metadata = {k: v for k, v in header["__metadata__"].items() if k != "sha256"}
    path.write_bytes(save(load(content), metadata))  # as earlier versions wrote it
    read_weights_(path, state.model, state.masks)


def test_same_network_gives_the_same_bytes(state):
    first = write_weights(state.model, state.masks)
    assert all(write_weights(state.model, state.masks) == first for _ in range(20))


@pytest.mark.parametrize("indices", [[0, 0], [1, 0], [-1, 3], [0, 10**6]])
def test_indices_that_are_not_ascending_or_in_range_are_refused(state, path, indices):
    content = path.read_bytes()
    shapes = {name: list(mask.shape) for name, mask in state.masks.items()}
    name = next(iter(shapes))
    tensors = load(content)
    tensors[f"{name}.indices"] = torch.tensor(indices, dtype=torch.int32)
    tensors[f"{name}.values"] = torch.zeros(2)
    metadata = {"format": "dstbench.weights", "version": "1", "shapes": json.dumps(shapes)}
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(UserError, match="ascending indices"):
        read_weights_(path, state.model, state.masks)


def test_tensor_that_the_model_lacks_is_refused(state, path):
    shapes = {name: list(mask.shape) for name, mask in state.masks.items()}
    tensors = load(path.read_bytes()) | {"foo": torch.ones(1)}
    metadata = {"format": "dstbench.weights", "version": "1", "shapes": json.dumps(shapes)}
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(UserError, match="has foo, which the model lacks"):
        read_weights_(path, state.model, state.masks)


def test_tensor_that_would_be_broadcast_is_refused(state, path):
    shapes = {name: list(mask.shape) for name, mask in state.masks.items()}
    tensors = load(path.read_bytes())
    name = next(name for name, t in tensors.items() if name.endswith("running_var") and len(t) > 1)
    tensors[name] = torch.ones(1)
    metadata = {"format": "dstbench.weights", "version": "1", "shapes": json.dumps(shapes)}
    path.write_bytes(save(tensors, metadata))
    with pytest.raises(UserError, match=f"{name} has shape"):
        read_weights_(path, state.model, state.masks)
