"""pyproject.toml declares what the package imports, and nothing else."""

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {  # module → distribution, where their names differ
    "IPython": "ipython",
    "PIL": "pillow",
    "gin": "gin-config",
    "sklearn": "scikit-learn",
}
IN_A_NOTEBOOK = {"ipython"}  # imported where a notebook has it
STARTED = {"ziglang"}  # a compiler, started as `python -m ziglang`


def declared(requirements):
    names = (requirement.partition(">=")[0] for requirement in requirements)
    return {name for name in names if not name.startswith("dstbench[")}


def imported():
    """Distributions of the modules that the package imports, at any place."""
    found = set()
    files = {*ROOT.glob("dstbench/**/*.py"), *ROOT.glob("methods/*.py")}
    for path in files - set(ROOT.glob("dstbench/deployment/runtime_wheel/**/*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module)
    modules = {name.partition(".")[0] for name in found} - sys.stdlib_module_names
    return {DISTRIBUTIONS.get(name, name) for name in modules - {"dstbench"}}


def test_dependencies_are_those_that_are_imported():
    extras = PROJECT["optional-dependencies"].values()
    known = declared(PROJECT["dependencies"]).union(*map(declared, extras))
    assert imported() - IN_A_NOTEBOOK == known - STARTED


def test_runtime_needs_versions_that_dstbench_needs():
    """dstbench-runtime, which is made of its files."""
    path = ROOT / "dstbench" / "deployment" / "runtime_wheel" / "pyproject.toml"
    runtime = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = runtime["optional-dependencies"].values()
    known = {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["native"]}
    assert {*runtime["dependencies"], *(r for extra in extras for r in extra)} <= known


def test_version_is_in_one_place():
    assert PROJECT["dynamic"] == ["version"]
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
