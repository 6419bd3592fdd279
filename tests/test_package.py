"""The wheel that users install runs in an empty folder, and holds the methods and recipes."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dstbench.recording.provenance import checkout

pytest.importorskip("hatchling")
ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "xzf", str(sdist), "-C", str(folder)], check=True)
    source = folder / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_runs_method_in_empty_folder(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(site)  # as pip installs it
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [
        sys.executable, "-m", "dstbench", "run", "methods/rigl.gin", "--tracking", "off",
        "--set", "Run.epochs=1", "--set", "ResNet20.width=4", "--threads", "1",
        "--sparsity", "0.5",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    where = "import dstbench, dstbench.methods.rigl as m; print(dstbench.__file__, m.__file__)"
    shown = subprocess.run(
        [sys.executable, "-c", where], cwd=work, env=environment, capture_output=True, text=True
    )
    assert all(Path(path).is_relative_to(site) for path in shown.stdout.split())


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_wheel_contains_commit_that_it_was_built_from(wheel):
    built = json.loads(zipfile.ZipFile(wheel).read("dstbench/_commit.json"))
    assert (built["commit"], built["dirty"]) == checkout(ROOT)


def test_wheel_contains_methods_and_recipes_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"dstbench/methods/rigl.gin", "dstbench/gin/recipes/digits.gin"} <= names
    assert not [name for name in names if name.startswith(("tests", "gin/", "methods/"))]
    assert any(name.endswith("licenses/LICENSE") for name in names)
