"""The numbers in the README and on the page about collapse are those of the committed records."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAPER = json.loads((ROOT / "leaderboard" / "paper.json").read_text())
LINKED = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "README.md").read_text().splitlines()
    if re.match(r"\| .*leaderboard/records/.*-s0\.9999-", line)
]


def paper(method):
    """Return what the paper has for a method on this network, as shown; – where it has nothing."""
    for table in PAPER["accuracy"]:
        setting = (table["dataset"], table["model"], table["recipe"])
        if setting == ("cifar10", "ResNet34", "cifar10_resnet34") and method in table["rows"]:
            number = table["rows"][method][table["sparsities"].index(0.9999)]
            return f"{number[0] if isinstance(number, list) else number:.2f}"
    return "–"


def percent(fraction):
    return f"{100 * fraction:.1f} %".replace(".0 %", " %")


@pytest.mark.parametrize("row", LINKED, ids=lambda row: row[0])
def test_extreme_row_equals_its_record(row):
    method, accuracy, in_paper, macs, on_paths = row
    record = json.loads((ROOT / re.search(r"\((.*)\)", accuracy)[1]).read_text())
    collapsed = record["health"]["collapsed"]
    shown = f"{record['accuracy']['test_final']:.2f}"
    assert method == record["method"]
    assert in_paper == paper(method)
    assert re.sub(r"[\[\]*]|\(.*\)", "", accuracy) == (f"{shown} †" if collapsed else shown)
    assert macs == f"{record['cost']['macs'] / 1e6:.2f} M"
    assert on_paths == percent(record["health"]["live_path_share"])


def test_extreme_rows_are_all_that_are_recorded_in_order():
    records = (ROOT / "leaderboard" / "records").glob("*-cifar10-resnet34-s0.9999-seed0-*.json")
    recipes = [json.loads(path.read_text())["recipe"] for path in records]
    accuracies = [float(re.search(r"\d+\.\d+", row[1])[0]) for row in LINKED]
    assert len(LINKED) == recipes.count("cifar10_resnet34")
    assert accuracies == sorted(accuracies, reverse=True)


def rows(text):
    """Return method → non-empty cells of every table row, the first line of each cell only."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| ") and " ± " in line:
            method, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            plain = [re.sub(r"<br>.*| ∅ .*", "", cell) for cell in cells]
            found.setdefault(method, [c for c in map(str.strip, plain) if c not in ("", "–")])
    return found


def test_accuracies_on_the_page_about_collapse_equal_the_leaderboard():
    shown = rows((ROOT / "docs" / "collapse.md").read_text())
    board = rows((ROOT / "leaderboard" / "cifar10_tiny.md").read_text())
    assert len(shown) >= 9
    for method, cells in shown.items():
        assert cells == board[method], method
