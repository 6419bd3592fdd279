"""A leaderboard's record becomes a run folder with its network, or nothing is written."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from helpers.recomputable import made
from helpers.record_factory import name_of, sha256

from dstbench.data.sources import digits
from dstbench.errors import UserError
from dstbench.recording import predictions
from dstbench.recording import record as records
from dstbench.training import trained_network
from dstbench.verify.images import Images
from dstbench.verify.unpack import unpack


@pytest.fixture
def unpacked(tmp_path):
    """Return a function that unpacks a record, with a large network's file if it is given."""

    def run(record, network=None):
        path = tmp_path / "board" / "records" / "a.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        records.write(path, record)
        if network is not None:
            (tmp_path / "board" / "networks").mkdir()
            (tmp_path / "board" / "networks" / "a.safetensors").write_bytes(network)
        return unpack(path, tmp_path / "runs", Images(tmp_path / "data", tmp_path / "cache"))

    yield run
    assert not list(tmp_path.glob("runs/.*")), "something was left half-written"


def predicted(folder):
    """Return the predicted classes of the test images."""
    network = trained_network.load(folder)
    images = torch.tensor(digits.load().test.pixels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(n).reshape(1, -1, 1, 1) for n in (network.mean, network.std))
    return network.model((images - mean) / std).argmax(1).tolist()


def test_the_network_predicts_what_the_record_says(unpacked, honest):
    folder = unpacked(honest)
    assert predicted(folder) == predictions.decode(honest["predictions"]["test"], 10).tolist()
    assert records.read(folder / "record.json") == honest
    assert (folder / "run.gin").read_text() == honest["config"]["text"]


def test_a_network_in_a_file_of_the_board_comes_along(unpacked, honest):
    del honest["network"]["data"]
    honest["network"]["file"] = "network.safetensors"
    content = made()[1]
    folder = unpacked(honest, content)
    assert (folder / "network.safetensors").read_bytes() == content
    assert predicted(folder) == predictions.decode(honest["predictions"]["test"], 10).tolist()


def test_a_protocol_that_shows_the_best_epoch_has_its_network_too(unpacked):
    record = copy.deepcopy(made(protocol="paper")[0])
    record["network_at_best_val"] = dict(record["network"])
    folder = unpacked(record)
    best = trained_network.load(folder, best=True)
    assert best.masks.total() == trained_network.load(folder).masks.total()


def with_text(record, old, new):
    text = record["config"]["text"].replace(old, new)
    assert text != record["config"]["text"]
    record["config"] = {"text": text, "sha256": sha256(text)}


def lacks_network(record):
    del record["network"]


def other_images(record):
    record["provenance"]["dataset_sha256"] = "0" * 64


def other_network(record):
    record["network"]["sha256"] = "0" * 64


def other_hash(record):
    record["config"]["sha256"] = "0" * 64


def plugin(record):
    imports = [n for n in record["config"]["text"].splitlines() if n.startswith("import ")]
    with_text(record, imports[-1], f"{imports[-1]}\nimport os")


def absent(record):
    record["dataset"] = "mine"
    with_text(record, "Run.dataset = 'digits'", "Run.dataset = 'mine'")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lacks_network, "carries no network.*--runs DIR"),
        (other_images, "not those it trained on"),
        (other_network, "sha256"),
        (other_hash, "contradicts itself"),
        (plugin, "not of the suite"),
        (absent, "not on this machine.*--data-root"),
    ],
)
def test_what_cannot_be_unpacked_leaves_nothing(unpacked, honest, tmp_path, spoil, message):
    spoil(honest)
    with pytest.raises(UserError, match=message):
        unpacked(honest)
    assert not (tmp_path / "runs").exists()


def test_another_run_of_that_name_is_kept(unpacked, honest, tmp_path):
    taken = tmp_path / "runs" / name_of(honest)
    taken.mkdir(parents=True)
    with pytest.raises(UserError, match="is not that run"):
        unpacked(honest)
    assert not list(taken.iterdir())


def test_a_large_network_is_found_from_inside_the_folder_of_records(honest, tmp_path, monkeypatch):
    del honest["network"]["data"]
    honest["network"]["file"] = "network.safetensors"
    for name in ("records", "networks"):
        (tmp_path / name).mkdir()
    records.write(tmp_path / "records" / "a.json", honest)
    (tmp_path / "networks" / "a.safetensors").write_bytes(made()[1])
    monkeypatch.chdir(tmp_path / "records")
    folder = unpack(Path("a.json"), Path("runs"), Images(tmp_path / "data", tmp_path / "cache"))
    assert (folder / "network.pt").is_file()


def test_of_two_processes_each_gets_the_folder(unpacked, honest, monkeypatch):
    rename = Path.rename

    def meanwhile(path, target):
        if not target.exists():
            shutil.copytree(path, target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", meanwhile)
    assert records.read(unpacked(honest) / "record.json") == honest


def test_a_place_for_runs_that_is_a_file_is_refused(unpacked, honest, tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(UserError, match="cannot be made"):
        unpacked(honest)
    (tmp_path / "runs").unlink()
