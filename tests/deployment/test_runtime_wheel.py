"""The distribution dstbench-runtime: from a checkout and from sources; no torch, no dstbench."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import numpy as np
import pytest
from helpers.blocked_imports import run_with
from helpers.deploy_networks import IMAGE, random_net

import dstbench
from dstbench.deployment.compiler.compile import compile_network
from dstbench.deployment.runtime.network import Network
from dstbench.deployment.runtime.program_file import write_bytes

pytest.importorskip("hatchling")
PROJECT = Path(__file__).parents[2] / "dstbench" / "deployment" / "runtime_wheel"
ABOUT = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]}


def build(project, target, folder):
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (path,) = folder.glob("*.tar.gz" if target == "sdist" else "*.whl")
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(PROJECT, "wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_wheel_needs_numpy_only(wheel):
    files = zipfile.ZipFile(wheel)
    (name,) = [name for name in files.namelist() if name.endswith("/METADATA")]
    metadata = Parser().parsestr(files.read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == ("dstbench-runtime", dstbench.__version__)
    assert sorted(metadata.get_all("Requires-Dist")) == [
        "numba>=0.61; extra == 'fast'",
        "numpy>=1.26",
        "pillow>=10; extra == 'images'",
    ]


def test_wheel_owns_one_package_that_imports_nothing_of_dstbench(wheel):
    files = zipfile.ZipFile(wheel)
    names = [name for name in files.namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"dstbench_runtime"}
    assert {"dstbench_runtime/LICENSE", "dstbench_runtime/py.typed"} <= set(names)
    for name in names:
        text = files.read(name).decode()
        for imported in (
            "from dstbench ",
            "from dstbench.",
            "import dstbench\n",
            "import dstbench.",
        ):
            assert imported not in text, name
        assert "torch" not in name


def test_wheel_from_a_source_distribution_is_the_same(wheel, tmp_path):
    source = build(PROJECT, "sdist", tmp_path)
    subprocess.run(["tar", "xzf", str(source), "-C", str(tmp_path)], check=True)
    project = tmp_path / source.name.removesuffix(".tar.gz")
    again = build(project, "wheel", tmp_path / "again")
    one, other = zipfile.ZipFile(wheel), zipfile.ZipFile(again)
    assert sorted(one.namelist()) == sorted(other.namelist())
    assert all(one.read(n) == other.read(n) for n in one.namelist() if "/RECORD" not in n)


@pytest.mark.parametrize("more", [[], ["numba", "llvmlite"]], ids=["numpy", "numba"])
def test_wheel_runs_a_network_with_numpy_and_numba_only(installed, tmp_path, more):
    program = compile_network(random_net(5), IMAGE, ABOUT)
    (tmp_path / "network.dst").write_bytes(write_bytes(program))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    np.save(tmp_path / "one.npy", pixels[0])
    code = (
        "import numpy as np; from dstbench_runtime import load\n"
        "np.save(sys.argv[3], load(sys.argv[1])(np.load(sys.argv[2])))"
    )
    files = [tmp_path / name for name in ("network.dst", "images.npy", "logits.npy", "one.npy")]
    packages = ["dstbench_runtime", "numpy", *more]
    done = run_with(packages, code, *files, folder=installed)
    assert done.returncode == 0, done.stderr
    expected = Network(program, 1)(pixels)
    assert np.allclose(np.load(files[2]), expected, rtol=1e-5, atol=1e-5)
    command = "import runpy; runpy.run_module('dstbench_runtime', run_name='__main__')"
    shown = run_with(packages, command, files[0], files[3], folder=installed)
    assert shown.stdout.startswith(f"{files[3]}  {expected[0].argmax()}  "), shown.stderr
