"""Finished networks: found by whatever names them, loaded as they were trained, or refused."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dstbench.api import find_run
from dstbench.config.shipped_files import shipped
from dstbench.data import datasets
from dstbench.errors import UserError
from dstbench.methods.dyrelu import DyReLU
from dstbench.tracking.sync import sync
from dstbench.training import trained_network

# Every test here needs trained runs.
pytestmark = pytest.mark.slow

METHODS = ("dense", "rigl", "east", "dctps_rigl")
SHORT = ("--set", "Run.epochs=2", "--set", "ResNet20.width=4",
         "--quiet", "--tracking", "off", "--threads", "1")  # fmt: skip


def command(method, runs):
    more = [] if method == "dense" else ["--sparsity", "0.9"]
    more += ["--set", "RigL.update_interval=20"] if method == "dctps_rigl" else []
    return ["run", str(shipped("methods")[method]), "--runs", str(runs), *more, *SHORT]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of finished runs, one of each method."""
    from dstbench.cli.main import main

    runs = tmp_path_factory.mktemp("runs")
    for method in METHODS:
        with pytest.raises(SystemExit) as exit:
            main(command(method, runs))
        assert exit.value.code == 0
    return runs


@pytest.fixture
def one(runs, tmp_path):
    """A copy of the RigL run, to be spoiled."""
    return Path(shutil.copytree(folder_of("rigl", runs), tmp_path / folder_of("rigl", runs).name))


def folder_of(method, runs):
    return next(runs.glob(f"{method.replace('dctps_rigl', 'dctps*rigl')}-*"))


def accuracy(done):
    """Percent of the test images, by nothing but what a Finished says of itself."""
    test = datasets.load("digits", None, None).test
    x = torch.from_numpy(test.pixels).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (done.mean, done.std))
    with torch.no_grad():
        guessed = done.model((x - mean) / std).argmax(1)
    return 100 * (guessed == torch.from_numpy(test.labels)).double().mean().item()


# --- loading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("best", [False, True], ids=["final", "best"])
@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_network_has_the_accuracy_of_its_record(method, best, runs):
    done = trained_network.load(folder_of(method, runs), best=best)
    told = done.record["accuracy"]["test_at_best_val" if best else "test_final"]
    assert accuracy(done) == pytest.approx(told, abs=0.3)  # an image may fall the other way
    assert done.image_shape == (1, 8, 8) and len(done.classes) == 10
    assert done.dense_numel == done.record["cost"]["prunable_weights"]


@pytest.mark.parametrize("method", METHODS)
def test_masks_and_layout_are_those_of_the_run(method, runs):
    done = trained_network.load(folder_of(method, runs))
    assert not done.model.training
    assert done.masks.total() == done.record["cost"]["live_weights"]
    assert bool(done.masks) == (method != "dense")
    for name, mask in done.masks.items():
        assert not done.masks.parameters[name][~mask].any()
    convolutions = [m for m in done.model.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convolutions)
    assert not any(isinstance(m, DyReLU) for m in done.model.modules())


def test_shared_weights_stay_shared(runs):
    model = trained_network.load(folder_of("east", runs)).model
    owner, follower = model.stages[1][1], model.stages[1][2]
    assert owner.conv1.weight is follower.conv1.weight


def test_loading_draws_no_random_numbers(runs):
    before = torch.get_rng_state()
    trained_network.load(folder_of("east", runs))
    assert torch.equal(torch.get_rng_state(), before)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["running", "interrupted", "diverged", "failed"])
def test_a_run_that_is_not_finished_is_refused(status, one):
    told = json.loads((one / "record.json").read_text())
    (one / "record.json").write_text(json.dumps(told | {"status": status}))
    with pytest.raises(UserError, match=f"not finished .{status}."):
        trained_network.load(one)


def test_a_missing_network_is_refused(one):
    (one / "best.pt").unlink()
    trained_network.load(one)
    with pytest.raises(UserError, match=r"best\.pt: no such file"):
        trained_network.load(one, best=True)


@settings(max_examples=15)
@given(st.data())
def test_a_damaged_network_is_never_taken_for_a_sound_one(runs, tmp_path_factory, data):
    source = folder_of("rigl", runs)
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copy(source / "record.json", folder)
    whole = (source / "network.pt").read_bytes()
    sound = trained_network.load(source)
    if data.draw(st.booleans(), "truncate"):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1), "length")]
    else:
        at = data.draw(st.integers(0, len(whole) - 1), "position")
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    (folder / "network.pt").write_bytes(damaged)
    try:
        done = trained_network.load(folder)
    except UserError:
        return
    theirs = done.model.state_dict()  # the byte said nothing of the tensors, as those of times
    assert all(torch.equal(v, theirs[name]) for name, v in sound.model.state_dict().items())


@pytest.mark.parametrize("content", [{"network": {}}, [1, 2], torch.zeros(3)])
def test_a_foreign_file_is_refused(content, one):
    torch.save(content, one / "network.pt")
    with pytest.raises(UserError, match="is no network of this suite"):
        trained_network.load(one)


def test_an_archive_of_something_else_is_refused(one):
    with zipfile.ZipFile(one / "network.pt", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(UserError, match="cannot be read as a network"):
        trained_network.load(one)


def test_the_network_of_another_run_is_refused(one, runs):
    shutil.copy(folder_of("east", runs) / "network.pt", one)
    with pytest.raises(UserError, match="of another run than the record"):
        trained_network.load(one)


def test_tensors_that_do_not_fit_are_refused(one):
    payload = torch.load(one / "network.pt")
    payload["network"]["live"].pop("classifier.weight")
    torch.save(payload, one / "network.pt")
    with pytest.raises(UserError, match="do not fit the network of its configuration"):
        trained_network.load(one)


# --- finding --------------------------------------------------------------------------------------


def test_a_run_is_found_by_its_folder_its_name_and_its_record(runs, tmp_path):
    folder = folder_of("rigl", runs)
    for given_ in (str(folder), folder.name, str(folder / "record.json")):
        assert find_run.find(given_, runs, "off").resolve() == folder.resolve()
    committed = shutil.copy(folder / "record.json", tmp_path / f"{folder.name}.json")
    assert find_run.find(str(committed), runs, "off") == folder
    renamed = shutil.copy(folder / "record.json", tmp_path / "any name.json")
    assert find_run.find(str(renamed), runs, "off") == folder


@pytest.mark.parametrize("method", METHODS)
def test_a_record_without_its_folder_is_unpacked_with_the_same_network(method, runs, tmp_path):
    folder = folder_of(method, runs)
    board = tmp_path / "board"
    for name in ("records", "networks"):
        (board / name).mkdir(parents=True)
    committed = shutil.copy(folder / "record.json", board / "records" / "a.json")
    for own in folder.glob("network.safetensors"):
        shutil.copy(own, board / "networks" / "a.safetensors")
    found = find_run.find(str(committed), tmp_path / "elsewhere", "off")
    assert found == tmp_path / "elsewhere" / folder.name
    assert find_run.find(str(committed), tmp_path / "elsewhere", "off") == found
    ours, theirs = trained_network.load(found), trained_network.load(folder)
    assert (ours.mean, ours.std, ours.classes) == (theirs.mean, theirs.std, theirs.classes)
    images = torch.randn(8, *ours.image_shape)
    with torch.no_grad():
        assert torch.equal(ours.model(images), theirs.model(images))


@pytest.mark.parametrize("wrong", ["nothing", "", ".", "0" * 32])
def test_what_is_no_run_is_refused(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        find_run.find(wrong, tmp_path / "runs", "off")
    assert not list(tmp_path.iterdir())


def test_an_mlflow_run_is_downloaded_where_its_folder_is_gone(runs, tmp_path):
    store = f"sqlite:///{tmp_path}/mlflow.db"
    source = Path(shutil.copytree(folder_of("rigl", runs), tmp_path / "rigl-run"))
    assert all(outcome.complete for outcome in sync([source], store))
    run_id = json.loads((source / "mlflow.json").read_text())["run_id"]
    assert find_run.find(run_id, tmp_path, store) == source
    fetched = find_run.find(run_id, tmp_path / "elsewhere", store)
    assert fetched == tmp_path / "elsewhere" / "rigl-run"
    for name in ("record.json", "network.pt", "best.pt", "run.gin"):
        assert (fetched / name).read_bytes() == (source / name).read_bytes()
    assert [p.name for p in fetched.parent.iterdir()] == ["rigl-run"]
    assert find_run.find(run_id, tmp_path / "elsewhere", store) == fetched
    told = json.loads((fetched / "record.json").read_text())
    told["provenance"]["attempt"] = "another"
    (fetched / "record.json").write_text(json.dumps(told))
    beside = find_run.find(run_id, tmp_path / "elsewhere", store)
    assert beside.name == f"rigl-run-{run_id[:8]}"
    with pytest.raises(UserError, match="cannot be fetched"):
        find_run.find("0" * 32, tmp_path, store)
