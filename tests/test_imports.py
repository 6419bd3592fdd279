"""Imports point one way: a room never reaches for one above it, and only gin files name methods."""

import ast
import subprocess
import sys

import pytest

from dstbench.config.shipped import PACKAGE, shipped

# From the ground up. A module may import from its own floor and from those below.
FLOORS = [
    ["errors", "options", "naming", "sparsity", "cores", "__init__"],
    ["registry", "files", "prunable"],
    ["masks", "schedules", "provenance", "images", "history", "portions"],
    ["record", "packing", "shadow", "uses", "cost", "stepping"],
    ["config", "cifar", "decode", "encoded", "cache"],
    ["tracking", "outline", "part", "imagefolder", "parquet"],
    ["grid", "budget", "optim", "dropgrow", "models", "paths", "clip", "surgery", "distributed"],
    ["data", "pipeline", "health"],
    [
        "batches",
        "streamed",
        "protocol",
        "checkpoint",
        "place",
        "progress",
        "stop",
        "figures",
        "collapse",
    ],
    ["train", "run", "rundir"],
    ["builtin", "tryout", "beginning", "follower", "feed", "session", "launch"],
    ["assemble"],
    ["conformance", "costing", "deploy", "finished", "leaderboard", "measure", "sweep"],
    ["cli", "commands"],
    ["__main__"],
]


def room(module: str) -> str:
    return module.removeprefix("dstbench.").split(".")[0]


def imported(path) -> set[str]:
    """The rooms of dstbench that a file imports when it is loaded, not only for its types."""
    rooms = set()
    for node in _at_load(ast.parse(path.read_text()).body):
        if isinstance(node, ast.ImportFrom) and node.module == "dstbench":
            rooms |= {alias.name for alias in node.names if not alias.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dstbench."):
            rooms.add(room(node.module))
        elif isinstance(node, ast.Import):
            rooms |= {room(a.name) for a in node.names if a.name.startswith("dstbench.")}
    return rooms


def _at_load(body):
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node


SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent.name != "methods")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below(path):
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    own = room(".".join(path.relative_to(PACKAGE).with_suffix("").parts))
    for other in imported(path) - {own}:
        assert other in floor, f"{other} stands on no floor yet: add it to FLOORS"
        assert floor[other] <= floor[own], f"{own} reaches up for {other}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_room_imports_a_method(path):
    assert "methods" not in imported(path)


@pytest.mark.parametrize("path", shipped("methods", ".py").values(), ids=shipped("methods", ".py"))
def test_a_method_does_not_reach_for_the_harness(path):
    above = {"session", "assemble", "cli", "commands", "tracking", "rundir", "run", "train"}
    assert not imported(path) & above


def test_help_loads_nothing_heavy():
    heavy = ("torch", "torchvision", "mlflow", "pandas", "sklearn", "numpy", "rich", "pyarrow")
    code = f"import dstbench.cli, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
