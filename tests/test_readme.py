"""The numbers in the README are those of the committed leaderboard."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def rows(text):
    """Return method → non-empty cells of every table row, the first line of each cell only."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| ") and " ± " in line:
            method, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            plain = [re.sub(r"<br>.*| ∅ .*", "", cell) for cell in cells]
            found.setdefault(method, [c for c in map(str.strip, plain) if c not in ("", "–")])
    return found


def test_readme_accuracies_equal_leaderboard():
    shown = rows((ROOT / "README.md").read_text())
    board = rows((ROOT / "leaderboard" / "cifar10_tiny.md").read_text())
    assert len(shown) >= 9
    for method, cells in shown.items():
        assert cells == board[method], method
