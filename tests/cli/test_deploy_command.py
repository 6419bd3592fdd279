"""`dstbench deploy`: the files of a finished run, and clear messages for any other."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from helpers.web_pages import needs_compiler

from dstbench.config.shipped_files import shipped
from dstbench.data import datasets
from dstbench.deployment import load
from dstbench.deployment.c_export import toolchain
from dstbench.deployment.c_export.toolchain import host_compiler
from dstbench.training import trained_network

# All tests here need three trained runs.
pytestmark = pytest.mark.slow

SHORT = (
    *("--set", "Run.epochs=1", "--set", "ResNet20.width=4", "--quiet"),
    *("--tracking", "off", "--threads", "1"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder of short finished runs."""
    from dstbench.cli.main import main

    runs = tmp_path_factory.mktemp("runs")
    for method in ("rigl_ws", "dctps", "small_dense"):
        with pytest.raises(SystemExit) as exit:
            main(
                [
                    "run",
                    str(shipped("methods")[method]),
                    "--runs",
                    str(runs),
                    "--tracking",
                    "off",
                    *SHORT,
                ]
            )
        assert exit.value.code == 0
    return runs


@pytest.fixture
def shared(runs, tmp_path):
    return _copy(runs, "rigl*", tmp_path)


@pytest.fixture
def narrow(runs, tmp_path):
    return _copy(runs, "small*", tmp_path)


@pytest.fixture
def offset(runs, tmp_path):
    return _copy(runs, "dctps*", tmp_path)


def _copy(runs, pattern, tmp_path):
    (folder,) = runs.glob(pattern)
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def test_deploy_writes_four_files_with_the_accuracy_of_the_run(call, shared):
    code, out, _ = call("deploy", str(shared), "--tracking", "off")
    assert code == 0
    files = {"network.dst", "weights.safetensors", "network.onnx", "README.md"}
    assert {path.name for path in (shared / "deployed").iterdir()} == files
    assert all(name in out for name in files)
    assert "of the dense network's MACs: a dense library may be faster" in out  # it has many
    record = json.loads((shared / "record.json").read_text())
    network = load(shared / "deployed" / "network.dst", threads=1)
    test = datasets.load("digits", None, None).test
    expected = record["accuracy"]["test_final"]
    assert network.accuracy(test.pixels, test.labels) == pytest.approx(expected, abs=1e-3)
    card = (shared / "deployed" / "README.md").read_text()
    assert record["config"]["sha256"] in card and f"{expected:.6g} %" in card


def test_deploy_c_writes_both_arithmetics_with_measured_accuracies(call, shared):
    if host_compiler() is None:
        pytest.skip("needs a C compiler")
    code, out, _ = call("deploy", str(shared), "--c")
    assert code == 0
    record = json.loads((shared / "record.json").read_text())
    card = (shared / "deployed" / "README.md").read_text()
    assert f"network.c: test accuracy {record['accuracy']['test_final']:.2f} %\n" in out
    for name in ("network.c", "network_int8.c"):
        assert (shared / "deployed" / name).exists()
        (line,) = [x for x in out.splitlines() if x.startswith(f"{name}: test accuracy")]
        assert f"| `{name}` | {line.removeprefix(f'{name}: ')} · flash" in card
    assert call("deploy", str(shared))[0] == 0  # removes the C of the earlier deployment
    assert not (shared / "deployed" / "network.h").exists()


def test_deploy_c_of_other_images_leaves_int8_out_and_says_so(call, shared):
    record = json.loads((shared / "record.json").read_text())
    record["provenance"]["dataset_sha256"] = "0" * 64
    (shared / "record.json").write_text(json.dumps(record))
    code, out, _ = call("deploy", str(shared), "--c")
    assert code == 0 and "network_int8.c is left out" in out
    assert "network.c: test accuracy not measured" in out
    assert not (shared / "deployed" / "network_int8.c").exists()


def test_deploy_dense_as_c_is_refused(call, offset):
    code, _, err = call("deploy", str(offset), "--dense", "--c")
    assert code == 2 and "leave out dense (--dense), or c (--c) and web (--web)" in err


@needs_compiler
def test_deploy_web_writes_a_page_with_test_images(call, shared):
    code, out, _ = call("deploy", str(shared), "--web", "--tracking", "off")
    assert code == 0 and "network.html" in out
    page = (shared / "deployed" / "network.html").read_text()
    assert page.count("<img ") == 20 and "test image" in page
    assert "network.html" in (shared / "deployed" / "README.md").read_text()


@needs_compiler
def test_deploy_web_with_other_images_than_the_runs_writes_none(call, shared):
    record = json.loads((shared / "record.json").read_text())
    record["provenance"]["dataset_sha256"] = "0" * 64
    (shared / "record.json").write_text(json.dumps(record))
    code, out, _ = call("deploy", str(shared), "--web", "--tracking", "off")
    assert code == 0 and "network.html has no test images" in out
    assert "<img " not in (shared / "deployed" / "network.html").read_text()


def test_deploy_web_without_a_compiler_writes_nothing(call, shared, monkeypatch):
    monkeypatch.setattr(toolchain, "_has_zig", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    code, _, err = call("deploy", str(shared), "--web", "--tracking", "off")
    assert code == 2 and "pip install ziglang" in err and err.count("\n") == 1
    assert not (shared / "deployed").exists()


def test_deploy_best_writes_the_best_epoch_to_another_folder(call, shared, tmp_path):
    code, _, _ = call("deploy", str(shared), "--best", "--out", str(tmp_path / "best"))
    assert code == 0
    about = load(tmp_path / "best" / "network.dst").about
    assert about["epoch"] == "best validation"
    card = (tmp_path / "best" / "README.md").read_text()
    masks = trained_network.load(shared, best=True).masks
    assert f"({masks.total():,} of " in card
    assert not (shared / "deployed").exists()


def test_deploy_dense_writes_a_network_with_dense_offset_as_onnx(call, offset):
    code, _, err = call("deploy", str(offset))
    assert code == 2 and "--dense" in err
    assert not (offset / "deployed").exists()
    code, out, _ = call("deploy", str(offset), "--dense")
    assert code == 0 and "network.onnx" in out


def test_deploy_refuses_a_network_off_its_budget(call, shared):
    record = json.loads((shared / "record.json").read_text())
    record["sparsity"]["asked"] = 0.95
    (shared / "record.json").write_text(json.dumps(record))
    code, _, err = call("deploy", str(shared))
    assert code == 2 and "not at its budget" in err
    assert not (shared / "deployed").exists()


def test_deploy_takes_a_dense_network_that_is_below_its_budget(call, narrow):
    cost = json.loads((narrow / "record.json").read_text())["cost"]
    assert cost["live_weights"] < 0.1 * cost["prunable_weights"] - 1  # widths are whole numbers
    code, _, err = call("deploy", str(narrow))
    assert code == 0, err
    assert load(narrow / "deployed" / "network.dst").about["method"] == "Small dense"


def test_deploy_refuses_an_unfinished_run(call, shared):
    record = json.loads((shared / "record.json").read_text()) | {"status": "interrupted"}
    (shared / "record.json").write_text(json.dumps(record))
    code, _, err = call("deploy", str(shared))
    assert code == 2 and "not finished" in err


def test_deploy_without_onnx_libraries_writes_the_other_files(call, shared, monkeypatch):
    assert call("deploy", str(shared))[0] == 0
    assert (shared / "deployed" / "network.onnx").exists()  # of an earlier deployment
    monkeypatch.setitem(sys.modules, "onnx", None)  # importing it fails
    code, out, _ = call("deploy", str(shared))
    assert code == 0
    (note,) = [line for line in out.splitlines() if "pip install" in line]
    assert note == "network.onnx needs onnx: pip install 'dstbench[onnx]'."
    assert not (shared / "deployed" / "network.onnx").exists()
    assert "onnx" not in (shared / "deployed" / "README.md").read_text()


def test_deploy_dense_without_onnx_libraries_is_refused(call, offset, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, err = call("deploy", str(offset), "--dense")
    assert code == 2
    assert err == "dstbench: network.onnx needs onnxruntime: pip install 'dstbench[onnx]'.\n"
    assert not (offset / "deployed").exists()


def test_deploy_without_numba_is_refused_in_one_line(call, shared, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    code, _, err = call("deploy", str(shared))
    assert code == 2 and err == "dstbench: Deploying needs numba: pip install 'dstbench[deploy]'.\n"


def test_deploy_does_not_overwrite_a_file_in_place_of_its_folder(call, shared, tmp_path):
    place = tmp_path / "taken"
    place.write_text("mine")
    for out in (place, place / "below"):
        code, _, err = call("deploy", str(shared), "--out", str(out))
        assert code == 2 and "Choose another --out" in err and err.count("\n") == 1
    assert place.read_text() == "mine"
