"""docs/methods.md: every method has a row, and its accuracies are those of the records."""

import json
import re
import statistics
from functools import cache
from pathlib import Path

import pytest

from dstbench.config.gin_file import read_file, skip_import
from dstbench.config.shipped_files import shipped
from dstbench.config.suite_methods import method_name

ROOT = Path(__file__).parents[1]
METHODS = shipped("methods")
SPARSITIES = (0.99, 0.999)
ROWS = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs" / "methods.md").read_text().splitlines()
    if line.startswith("| `")
]


def methods_of(row):
    """The files that a row is about; `_c` after `rigl_dyrelu_a` is `rigl_dyrelu_c`."""
    names = re.findall(r"`(\w+)`", row[0])
    return [f"{names[0].rpartition('_')[0]}{n}" if n.startswith("_") else n for n in names]


@cache
def accuracies():
    """(method, sparsity) → final test accuracies on the recipe cifar10_mid, in percent."""
    found = {}
    for path in (ROOT / "leaderboard" / "records").glob("*.json"):
        record = json.loads(path.read_text())
        if record["recipe"].startswith("cifar10_mid") and record["status"] == "finished":
            key = (record["method"], record["sparsity"]["asked"])
            found.setdefault(key, []).append(record["accuracy"]["test_final"])
    return found


def cell(method):
    """What the page shows of a method, such as "61.13 / –"."""
    bindings = {str(b): b.value for b in read_file(METHODS[method], skip_import)}
    given = [accuracies().get((method_name(bindings), sparsity)) for sparsity in SPARSITIES]
    return " / ".join("–" if one is None else f"{statistics.fmean(one):.2f}" for one in given)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: methods_of(row)[0])
def test_row_has_the_accuracies_of_the_records(row):
    cells = [cell(method) for method in methods_of(row)]
    assert row[-1] == ("; ".join(cells) if set(cells) != {"– / –"} else "– / –")


def test_every_method_of_the_field_is_on_the_page():
    own = ("connected_", "live_", "repaired_")
    page = (ROOT / "docs" / "methods.md").read_text()
    east = {"east_no_cycle", "set_east", "dctps_rigl_east", "rigl_clip", "rigl_cyclic"}
    named = {method for row in ROWS for method in methods_of(row)} | east
    named |= {n for n in METHODS if n.startswith(own) or f"`{n}`" in page}
    named |= {"dense", "rigl_dyrelu", "rigl_ws", "rigl_ws_dyrelu"}  # EAST's parts
    assert METHODS.keys() - named == set()
