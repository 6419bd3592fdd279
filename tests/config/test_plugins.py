"""Plugins: an installed package provides a method through its entry points."""

import json
import re

import pytest
from helpers.forked import dstbench
from helpers.plugin_method import plugin_class, plugin_gin

# Every test here starts processes with an installed package.
pytestmark = pytest.mark.slow

METHOD, GIN = plugin_class("Foreign"), plugin_gin("Foreign")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a method: (site folder, working folder)."""
    site, work = tmp_path / "site", tmp_path / "work"
    info = site / "foreign-1.0.dist-info"
    info.mkdir(parents=True)
    work.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dstbench.methods]\nforeign = foreign_methods\n")
    (site / "foreign_methods.py").write_text(METHOD)
    (work / "foreign.gin").write_text(GIN)
    monkeypatch.chdir(work)
    return site, work


def done(package, *argv):
    """Run a command line to its end; return the exit code, stdout and stderr."""
    process = dstbench(*argv, packages=package[0])
    return process.wait(), process.output, process.errors


def test_package_methods_are_listed_and_run(package):
    assert "Foreign" in done(package, "list", "parts")[1]
    short = ("--set", "Run.epochs=2", "--set", "ResNet20.width=4", "--threads", "1")
    argv = ("run", "foreign.gin", "--tracking", "off", "--sparsity", "0.5", *short)
    code, out, err = done(package, *argv)
    assert code == 0 and "Foreign" in out, err
    (path,) = package[1].glob("runs/foreign-*/record.json")
    packages = json.loads(path.read_text())["provenance"]["packages"]
    assert packages == {"foreign": {"version": "1.0", "sha256": packages["foreign"]["sha256"]}}
    assert len(packages["foreign"]["sha256"]) == 64


def test_package_that_fails_to_import_is_reported_by_name(package):
    site, _ = package
    (site / "foreign_methods.py").write_text("import no_such_module")
    code, _, err = done(package, "run", "foreign.gin", "--tracking", "off")
    assert code == 2 and "Traceback" not in err
    assert "package foreign" in err and "no_such_module" in err


def test_gin_files_of_packages_are_found_by_name(package):
    site, work = package
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
    _, listed, _ = done(package, "list", "methods")
    assert re.search(r"^outlandish +A method from elsewhere", listed, re.MULTILINE)
    assert "methods/rigl.gin" in listed
    code, counted, err = done(package, "cost", "outlandish", "--sparsity", "0.5")
    assert code == 0 and counted.startswith("Foreign"), err
    code, planned, err = done(package, "sweep", "mine.gin", "--dry-run")
    assert code == 0 and "Foreign" in planned, err
    code, _, err = done(package, "cost", "outlandihs")
    assert code == 2 and "'outlandish'" in err


def test_method_is_found_by_its_bare_name(package):
    code, out, err = done(package, "cost", "rigl", "--sparsity", "0.5")
    assert code == 0 and out.startswith("RigL"), err
