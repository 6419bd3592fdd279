"""Commands from end to end: their output, files and exit codes."""

import json
import subprocess
import sys

import pytest
import torch
from helpers.forked import dstbench

from dstbench.cli.commands import new
from dstbench.config.catalog import KINDS
from dstbench.errors import UserError
from dstbench.recording import record


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSTBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


QUICK = (
    *("--set", "Run.epochs=2", "--set", "ResNet20.width=4", "--sparsity", "0.5"),
    *("--set", "Run.train_images=256"),
)


def test_run_writes_summary_record_curves_and_networks(call, empty_folder):
    code, out, err = call("run", "methods/rigl.gin", *QUICK, "--tracking", "off")
    assert code == 0
    for words in ("test accuracy", "asked 50 %", "measured", "effective", "MACs", "record.json"):
        assert words in out
    assert "epoch 2/2" in err
    (folder,) = (empty_folder / "runs").iterdir()
    written = record.read(folder / "record.json")
    assert written["status"] == "finished" and written["method"] == "RigL"
    assert written["accuracy"]["shown"] == "test_final"
    n, live = written["cost"]["prunable_weights"], written["cost"]["live_weights"]
    assert live == round(0.5 * n) and written["sparsity"]["measured"] == 1 - live / n
    curves = [json.loads(line) for line in (folder / "curves.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in curves] == [1, 2]
    keys = ("grad_norm", "grad_norm_live", "positive_preactivations", "live_path_share")
    layer_keys = ("layers_live", "layers_grad_norm", "layers_positive")
    for key in (*keys, *layer_keys, "effective_sparsity", "exploration"):
        assert curves[0][key] is not None
    packed = torch.load(folder / "network.pt", weights_only=True)["network"]
    assert sum(len(positions) for positions, _ in packed["live"].values()) == live


def test_run_with_an_infinite_loss_is_recorded_as_diverged(call, empty_folder):
    argv = ("run", "methods/dense.gin", *QUICK[:4], "--tracking", "off", "--set", "SGD.lr=1e30")
    code, out, _ = call(*argv)
    assert code == 1 and "diverged" in out and "NaN or infinite" in out
    (folder,) = (empty_folder / "runs").iterdir()
    assert record.read(folder / "record.json")["status"] == "diverged"
    assert not list(folder.glob("checkpoint*")) and not (folder / "network.pt").exists()
    code, out, err = call(*argv)
    assert code == 1 and "done already" in err


def test_run_fresh_starts_over(call, empty_folder):
    argv = ("run", "methods/static.gin", *QUICK, "--tracking", "off", "--quiet")
    call(*argv)
    (path,) = (empty_folder / "runs").glob("*/record.json")
    first = record.read(path)
    call(*argv)
    assert record.read(path) == first
    call(*argv, "--fresh")
    second = record.read(path)
    assert second["provenance"]["attempt"] != first["provenance"]["attempt"]
    assert second["accuracy"] == first["accuracy"]


@pytest.mark.parametrize("what", ["methods", "parts", "recipes", "datasets", "models"])
def test_list_prints_a_table_or_json(call, what):
    code, out, _ = call("list", what, "--json")
    names = [entry["name"] for entry in json.loads(out)]
    special = {"methods": "methods/rigl.gin", "parts": "RigL", "models": "ResNet34"}
    expected = special.get(what, "digits")
    assert code == 0 and expected in names
    code, out, _ = call("list", what)
    assert code == 0 and expected in out


def test_methods_are_listed_by_kind(call):
    _, out, _ = call("list", "methods", "--json")
    kinds = [entry["kind"] for entry in json.loads(out)]
    assert set(kinds) <= set(KINDS) - {"other"}
    assert kinds == sorted(kinds, key=KINDS.index)
    _, out, _ = call("list", "methods")
    before, _, after = out.partition("methods: dynamic sparse")
    assert "synflow.gin" in before and "rigl.gin" in after


@pytest.mark.slow
def test_doctor_checks_packages_device_datasets_and_store(call, empty_folder):
    _, out, _ = call("doctor")
    assert not list(empty_folder.glob("mlflow*"))
    for words in ("torch", "device", "dataset digits", "dataset cifar10", "fetch", "MLflow store"):
        assert words in out


@pytest.mark.parametrize("runs", ["file", "file/below", "/proc/below"])
def test_doctor_reports_a_runs_folder_that_cannot_be_written(call, empty_folder, runs):
    (empty_folder / "file").touch()
    code, out, _ = call("doctor", "--runs", runs, "--tracking", "off")
    assert code == 1 and f"{runs} cannot be written" in out


def test_doctor_reports_an_address_of_no_store(call):
    code, out, _ = call("doctor", "--tracking", "foo://x")
    assert code == 1 and "'foo://x' is not a store" in " ".join(out.split())
    assert call("doctor", "--tracking", "OFF")[0] == 0


@pytest.mark.slow  # MLflow creates a store
def test_sync_reports_folders_that_are_not_runs(call, empty_folder):
    (empty_folder / "empty").mkdir()
    code, out, _ = call("sync", "empty", "absent")
    assert code == 1 and "empty: not sent: the folder has no record.json" in out
    assert "absent: not sent: no such folder" in out and not list(
        (empty_folder / "empty").iterdir()
    )


@pytest.mark.parametrize("name", ["ERK", "Tensor", "myMethod", "Naïve", "A" * 81, ""])
def test_new_refuses_a_name_that_cannot_be_a_class(call, empty_folder, name):
    code, _, err = call("new", name)
    assert code == 2 and err.startswith("dstbench: ") and not list(empty_folder.iterdir())


def test_new_leaves_no_files_after_a_failure(call, empty_folder, monkeypatch):
    written = []

    def full_after_one(path, data):
        if written:
            raise UserError(f"{path}: cannot be written (No space left on device).")
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr(new, "write_atomic", full_after_one)
    code, _, err = call("new", "Another")
    assert code == 2 and "No space left" in err and not list(empty_folder.iterdir())


def test_data_prepare_reports_the_images(call):
    code, out, _ = call("data", "prepare", "digits")
    assert code == 0 and "1,438 training" in out


@pytest.mark.slow
def test_new_method_conforms_and_runs(call, empty_folder):
    code, out, _ = call("new", "MyMethod")
    assert code == 0 and "my_method.gin" in out
    mine = ("my_method.gin", "--plugin", "my_method.py")
    check = dstbench("check", *mine)
    assert check.wait() == 0 and "conforms" in check.output, check.output + check.errors
    run = dstbench("run", *mine, *QUICK, "--tracking", "off")
    assert run.wait() == 0 and "MyMethod" in run.output, run.errors
    code, _, err = call("new", "MyMethod")
    assert code == 2 and "already exists" in err


def test_run_trains_a_model_of_a_plugin(call, empty_folder):
    (empty_folder / "mlp.py").write_text(
        '''
from torch import nn

from dstbench.config.registry import register


@register("models")
class PluginMLP(nn.Sequential):
    """Two layers."""

    def __init__(self, num_classes, image_size, hidden=32):
        super().__init__(
            nn.Flatten(),
            nn.Linear(image_size**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )
'''
    )
    plugin = ("--model", "PluginMLP", "--plugin", "mlp.py", "--set", "PluginMLP.hidden=16")
    short = ("--set", "Run.epochs=4", "--tracking", "off")
    code, out, err = call("run", "methods/set.gin", *plugin, *short)
    assert code == 0, err
    assert "PluginMLP" in out and "asked 90 %" in out


@pytest.mark.slow
def test_run_on_a_full_disk_ends_with_one_message(empty_folder):
    """A limit on the size of files has the effect of a full disk."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "sys.argv = ['dstbench', 'run', 'methods/rigl.gin', '--set', 'Run.epochs=2', "
        "'--tracking', 'off', '--threads', '1']; from dstbench.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert not list(empty_folder.glob("runs/*/.*.tmp"))
    assert not list(empty_folder.glob("runs/*/checkpoint*"))
