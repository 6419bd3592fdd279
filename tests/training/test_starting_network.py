"""Runs that begin with the network of another run, or with a pruned network of torch."""

import copy
import json
from types import SimpleNamespace

import pytest
import torch
from helpers.tiny_runs import operated, tiny_resnet
from torch import nn
from torch.nn.utils import prune

from dstbench.config.choices import Choices
from dstbench.core.budgets import ERK, Uniform
from dstbench.core.packing import kept_tensors
from dstbench.errors import UserError
from dstbench.methods.top_kast import TopKAST
from dstbench.metrics.health import exploration_rate
from dstbench.recording.file_names import CURVES, RECORD
from dstbench.training.build import choose_first_masks
from dstbench.training.configure import assemble
from dstbench.training.starting_network import StartingNetwork, starting_bindings
from dstbench.training.stored_tensors import read

FIRST = "stem.conv1.weight"


def saved(model, path):
    """A model's state dict as a file."""
    torch.save(model.state_dict(), path)
    return path


def start(path, take="both"):
    return StartingNetwork(read(path).sha256(), take, str(path))


def begun(path, take, parts, model=None):
    """The State of a run that begins with the network in a file."""
    given = start(path, take)
    method, state = operated(model or tiny_resnet(seed=1), parts)
    given.load_weights_(state)
    choose_first_masks(SimpleNamespace(start=given, method=method), state)
    return state


def pruned(sparsity=0.5, seed=5):
    """A network with all its prunable weights pruned by torch, and their live weights."""
    model = tiny_resnet(seed=seed).to(memory_format=torch.contiguous_format)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            prune.random_unstructured(module, "weight", sparsity)
    masks = {
        name.removesuffix("_mask"): buffer.bool()
        for name, buffer in model.named_buffers()
        if name.endswith("_mask")
    }
    return model, masks


def sparsity_of(masks):
    live, numel = (sum(int(f(m)) for m in masks.values()) for f in (torch.sum, torch.numel))
    return 1 - live / numel


def test_weights_are_there_before_the_first_masks(tmp_path):
    source = tiny_resnet(seed=5)
    state = begun(saved(source, tmp_path / "a.pt"), "weights", [Uniform(0.5)])
    for name, tensor in kept_tensors(state.model).items():
        given = source.state_dict()[name]
        expected = given * state.masks[name] if name in state.masks else given
        assert torch.equal(tensor, expected), name


def test_masks_alone_keep_the_initial_weights(tmp_path):
    model, masks = pruned()
    own = tiny_resnet(seed=1)
    path = saved(model, tmp_path / "a.pt")
    state = begun(path, "masks", [ERK(sparsity_of(masks))], copy.deepcopy(own))
    for name in masks:
        assert torch.equal(state.masks[name], masks[name])
        initial = dict(own.named_parameters())[name]
        assert torch.equal(state.masks.parameters[name], initial * masks[name])
    assert torch.equal(state.model.stem.bn1.weight, own.stem.bn1.weight)


def test_both_are_those_of_a_network_pruned_by_torch(tmp_path):
    model, masks = pruned()
    state = begun(saved(model, tmp_path / "a.pt"), "both", [ERK(sparsity_of(masks))])
    modules = dict(model.named_modules())
    for name, mask in masks.items():
        assert torch.equal(state.masks[name], mask)
        weight = modules[name.removesuffix(".weight")].weight.detach()
        assert torch.equal(state.masks.parameters[name], weight)


def test_only_the_masks_that_train_count_as_explored(tmp_path):
    model, masks = pruned()
    state = begun(saved(model, tmp_path / "a.pt"), "both", [ERK(sparsity_of(masks))])
    live = sum(int(mask.sum()) for mask in masks.values())
    assert exploration_rate(state) == live / sum(mask.numel() for mask in masks.values())


def test_masks_of_a_method_that_remembers_its_own_are_refused(tmp_path):
    model, masks = pruned()
    path = saved(model, tmp_path / "a.pt")
    parts = [TopKAST(ERK(sparsity_of(masks)), update_interval=10)]
    with pytest.raises(UserError, match=r"\(top_kast_explored, top_kast_waiting\).*take weights"):
        begun(path, "masks", parts, tiny_resnet(seed=1))


def test_zeros_of_a_state_dict_are_dead_weights(tmp_path):
    model, masks = pruned()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            prune.remove(module, "weight")
    state = begun(saved(model, tmp_path / "a.pt"), "both", [ERK(sparsity_of(masks))])
    assert all(torch.equal(state.masks[name], mask) for name, mask in masks.items())


def test_another_number_of_live_weights_is_refused(tmp_path):
    path = saved(pruned()[0], tmp_path / "a.pt")
    with pytest.raises(
        UserError, match=r"live weights \(sparsity .*\), and the method begins with"
    ):
        begun(path, "both", [ERK(0.9)])


def test_other_shapes_and_names_are_refused(tmp_path):
    path = saved(tiny_resnet(), tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"other shapes .* \[4, 3, 3, 3\], not \[8, 3, 3, 3\]"):
        begun(path, "weights", [ERK(0.5)], tiny_resnet(width=8))
    torch.save({"stem.conv.weight": torch.zeros(4, 3, 3, 3)}, path)
    with pytest.raises(UserError, match=r"has no stem\.conv1\.weight, .* and \d+ more"):
        begun(path, "weights", [ERK(0.5)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network_is_refused(tmp_path, value):
    model = tiny_resnet()
    model.stem.bn1.running_var[0] = value
    with pytest.raises(UserError, match=r"NaN or infinity in stem\.bn1\.running_var"):
        begun(saved(model, tmp_path / "a.pt"), "weights", [ERK(0.5)])


def test_another_network_than_that_of_the_identity_is_refused(tmp_path):
    path = saved(tiny_resnet(seed=2), tmp_path / "a.pt")
    given = start(path)
    saved(tiny_resnet(seed=3), path)
    fresh = StartingNetwork(given.sha256, "both", str(path))
    _, state = operated(tiny_resnet(), [ERK(0.5)])
    with pytest.raises(UserError, match="is another network"):
        fresh.load_weights_(state)
    with pytest.raises(UserError, match=r"StartingNetwork\.file does not say where"):
        StartingNetwork(given.sha256).load_weights_(state)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_state_dicts_of_wrapped_models_are_taken(tmp_path, prefix, key):
    model, masks = pruned()
    stored = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({key: stored, "epoch": 3} if key else stored, tmp_path / "a.pt")
    state = begun(tmp_path / "a.pt", "both", [ERK(sparsity_of(masks))])
    assert all(torch.equal(state.masks[name], mask) for name, mask in masks.items())


def test_masks_alone_need_the_prunable_tensors_alone(tmp_path):
    _, masks = pruned()
    torch.save({name: mask.float() for name, mask in masks.items()}, tmp_path / "a.pt")
    state = begun(tmp_path / "a.pt", "masks", [ERK(sparsity_of(masks))])
    assert all(torch.equal(state.masks[name], mask) for name, mask in masks.items())
    with pytest.raises(UserError, match=r"has no stem\.bn1\.weight"):
        begun(tmp_path / "a.pt", "both", [ERK(sparsity_of(masks))])


def test_what_the_network_lacks_is_noted(tmp_path):
    stored = tiny_resnet().state_dict() | {"alpha": torch.ones(1)}
    torch.save(stored, tmp_path / "a.pt")
    _, state = operated(tiny_resnet(), [ERK(0.5)])
    (note,) = start(tmp_path / "a.pt", "weights").notes(state)
    assert note == f"{tmp_path / 'a.pt'}: alpha are not in this network."
    assert start(tmp_path / "a.pt", "masks").notes(state) == []


FOREIGN = [
    *(b"", b"no network", None, [1, 2], {"a": 1}, {}, {3: torch.zeros(2)}),
    *({"a": torch.zeros(2, 2).to_sparse()}, {"a": torch.zeros(2, dtype=torch.complex64)}),
]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
def test_files_that_are_no_networks_are_refused(tmp_path, content):
    path = tmp_path / "a.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match="cannot be read as a network"):
        read(path)
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "absent.pt")


def test_a_record_is_told_from_a_network(tmp_path):
    (tmp_path / "rigl.json").write_text("{}")
    with pytest.raises(UserError, match=r"rigl\.json: is a record\. Make its run's folder"):
        read(tmp_path / "rigl.json")


def test_the_place_of_the_file_is_no_part_of_the_identity(tmp_path):
    resolved = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = saved(tiny_resnet(seed=2), tmp_path / folder / "net.pt")
        sets = starting_bindings(str(path), "weights")
        resolved.append(assemble(Choices(("static",), "digits", sets=sets), "fp32")[1])
    other = saved(tiny_resnet(seed=3), tmp_path / "c.pt")
    sets = starting_bindings(str(other), "weights")
    third = assemble(Choices(("static",), "digits", sets=sets), "fp32")[1]
    plain = assemble(Choices(("static",), "digits"), "fp32")[1]
    assert resolved[0].sha256 == resolved[1].sha256
    assert len({resolved[0].sha256, third.sha256, plain.sha256}) == 3
    assert "Run.start" not in plain.text and "net.pt" not in resolved[0].text


SMALL = (
    *("--set", "ResNet20.width=4", "--set", "Run.train_images=256", "--tracking", "off"),
    *("--threads", "1", "--quiet"),
)


def only(runs, pattern):
    (found,) = runs.glob(pattern)
    return found


@pytest.mark.slow
def test_a_chain_of_runs_on_the_command_line(tmp_path, call):
    runs = tmp_path / "runs"
    where = (*SMALL, "--runs", str(runs))
    kept = ("--set", "Run.kept_epochs=[0, 1]")
    assert call("run", "dense", *where, "--epochs", "2", *kept)[0] == 0
    dense = only(runs, "dense-*")
    assert {p.name for p in dense.glob("epoch-*")} == {"epoch-0.pt", "epoch-1.pt"}
    assert (dense / "network.pt").exists()
    later = ("--set", "Run.kept_epochs=[1, 2]")
    code, _, err = call("run", "dense", *where, "--epochs", "2", *later)
    assert code == 0 and "epoch-2.pt not kept" in err and "--fresh" in err

    code, _, err = call(
        "run", "static", *where, "--epochs", "1", "--from", str(dense), "--take", "weights"
    )
    assert code == 0, err
    static = only(runs, "static-*")
    code, _, err = call("run", "static", *where, "--epochs", "2", "--from", str(static))
    assert code == 0, err
    longer = next(path for path in runs.glob("static-*") if path != static)
    records = [json.loads((path / RECORD).read_text()) for path in (static, longer)]
    assert records[0]["cost"]["layers"] == records[1]["cost"]["layers"]  # the same masks
    assert (
        records[0]["provenance"]["initial_weights_sha256"]
        != (records[1]["provenance"]["initial_weights_sha256"])
    )
    losses = [json.loads((path / CURVES).read_text().splitlines()[0]) for path in (static, longer)]
    assert losses[1]["train_loss"] < losses[0]["train_loss"]  # it goes on where the first ended

    code, out, err = call("run", "static", *where, "--epochs", "2", "--from", str(static))
    assert code == 0 and "test accuracy" in out  # it is done already
    code, _, err = call("run", "rigl", *where, "--epochs", "1", "--from", str(dense))
    assert code == 2 and "--take weights" in err
    code, _, err = call("run", "rigl", *where, "--take", "masks")
    assert code == 2 and "--from" in err
