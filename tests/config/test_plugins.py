"""Plugins: an installed package provides a method through its entry points."""

import json
import os
import re
import subprocess
import sys

import pytest
from helpers.plugin_method import plugin_class, plugin_gin

# Every test here starts processes with an installed package.
pytestmark = pytest.mark.slow

METHOD, GIN = plugin_class("Foreign"), plugin_gin("Foreign")


@pytest.fixture
def package(tmp_path):
    """An installed package with a method: (environment, site folder, working folder)."""
    site, work = tmp_path / "site", tmp_path / "work"
    info = site / "foreign-1.0.dist-info"
    info.mkdir(parents=True)
    work.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dstbench.methods]\nforeign = foreign_methods\n")
    (site / "foreign_methods.py").write_text(METHOD)
    (work / "foreign.gin").write_text(GIN)
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}, site, work


def dstbench(package, *argv):
    environment, _, work = package
    command = [sys.executable, "-m", "dstbench", *argv]
    return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)


def test_package_methods_are_listed_and_run(package):
    assert "Foreign" in dstbench(package, "list", "parts").stdout
    short = ("--set", "Run.epochs=2", "--set", "ResNet20.width=4", "--threads", "1")
    done = dstbench(package, "run", "foreign.gin", "--tracking", "off", "--sparsity", "0.5", *short)
    assert done.returncode == 0 and "Foreign" in done.stdout, done.stderr
    (path,) = package[2].glob("runs/foreign-*/record.json")
    packages = json.loads(path.read_text())["provenance"]["packages"]
    assert packages == {"foreign": {"version": "1.0", "sha256": packages["foreign"]["sha256"]}}
    assert len(packages["foreign"]["sha256"]) == 64


def test_package_that_fails_to_import_is_reported_by_name(package):
    _, site, _ = package
    (site / "foreign_methods.py").write_text("import no_such_module")
    done = dstbench(package, "run", "foreign.gin", "--tracking", "off")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "package foreign" in done.stderr and "no_such_module" in done.stderr


def test_gin_files_of_packages_are_found_by_name(package):
    _, site, work = package
    (site / "foreign_methods.py").unlink()
    folder = site / "foreign_methods"
    folder.mkdir()
    (folder / "__init__.py").write_text(METHOD)
    (folder / "outlandish.gin").write_text(f"# A method from elsewhere.\n{GIN}")
    (work / "mine.gin").write_text(
        "Table.title = 'Mine'\nTable.sections = [@Section()]\n"
        "Section.methods = ['outlandish', 'rigl']\nSection.recipes = ['digits']\n"
        "Section.sparsities = [0.5]\nSection.seeds = [0]\n"
    )
    listed = dstbench(package, "list", "methods").stdout
    assert re.search(r"^outlandish +A method from elsewhere", listed, re.MULTILINE)
    assert "methods/rigl.gin" in listed
    counted = dstbench(package, "cost", "outlandish", "--sparsity", "0.5")
    assert counted.returncode == 0 and counted.stdout.startswith("Foreign"), counted.stderr
    planned = dstbench(package, "sweep", "mine.gin", "--dry-run")
    assert planned.returncode == 0 and "Foreign" in planned.stdout, planned.stderr
    wrong = dstbench(package, "cost", "outlandihs")
    assert wrong.returncode == 2 and "'outlandish'" in wrong.stderr


def test_method_is_found_by_its_bare_name(package):
    done = dstbench(package, "cost", "rigl", "--sparsity", "0.5")
    assert done.returncode == 0 and done.stdout.startswith("RigL"), done.stderr
