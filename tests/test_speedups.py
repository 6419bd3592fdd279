"""The speed-ups in README and docs are those of the committed measurements."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shown(ratio):
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def speedups(name, rival):
    """Return the speed-up of each batch size over the best dense form, as the docs show it."""
    content = json.loads((ROOT / "leaderboard" / "measurements" / name).read_text())
    latency = {(t["batch"], t["form"]): t["latency_ms"] for t in content["timings"]}
    return [
        shown(latency[batch, content[rival][str(batch)]] / latency[batch, "deployed"])
        for batch in (1, 2, 64)
    ]


def test_readme():
    text = (ROOT / "README.md").read_text()
    for row, rival in (("best dense fp32", "best_dense"), ("any precision", "best_dense_any")):
        (line,) = (
            line for line in text.splitlines() if row in line and "(" in line and "|" in line
        )
        assert re.findall(r"([\d.]+)×", line) == speedups("worst_case-resnet50-s0.9995.json", rival)


def rows(page, columns):
    """Return the record and the cells of every row of a page that names a worst case's record."""
    found = []
    for line in (ROOT / "docs" / page).read_text().splitlines():
        name = re.search(r"worst_case-[\w.-]+(?=\.json)", line)
        if name and line.startswith("|"):
            cells = line.strip("|").split("|")[columns]
            found.append(pytest.param(f"{name[0]}.json", cells, id=name[0]))
    assert found
    return found


@pytest.mark.parametrize(("name", "cells"), rows("performance.md", slice(2, 3)))
def test_performance(name, cells):
    assert re.findall(r"([\d.]+)×", cells[0]) == speedups(name, "best_dense")


@pytest.mark.parametrize(("name", "cells"), rows("deploying.md", slice(1, 4)))
def test_deploying(name, cells):
    fp32, any_precision = zip(*(re.findall(r"[\d.]+", cell) for cell in cells), strict=True)
    assert list(fp32) == speedups(name, "best_dense")
    assert list(any_precision) == speedups(name, "best_dense_any")
